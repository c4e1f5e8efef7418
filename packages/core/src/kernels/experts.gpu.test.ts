import { expect } from 'vitest';
import {
  type Choice,
  choose,
  compileOut,
  compileSwiglu,
  LIMIT,
  type Mode,
  randomChoice,
  type Weighted,
} from '../../test/expert-kernels.ts';
import { readGoldenJson } from '../../test/golden.ts';
import { gpuTest, type TestGpu } from '../../test/gpu.ts';
import {
  expertLinear,
  type HeldExperts,
  type MatrixOptions,
  randomMxfp4,
  randomValues,
  uploadExperts,
} from '../../test/kernel-inputs.ts';
import { expectNormedRows } from '../../test/normed-rows.ts';
import { swiglu } from '../../test/oracles.ts';
import { inputsFor, TESTED_PRODUCTS } from '../../test/products.ts';
import { runsSlowTests } from '../../test/slow.ts';
import type { Halves } from './halves.ts';

const MODES: readonly Mode[] = ['few', ...TESTED_PRODUCTS];
const HALVES: readonly Halves[] = ['native', 'exact'];

function expectedSwiglu(
  held: HeldExperts,
  h: Float64Array,
  { top, experts }: Choice,
): Float64Array {
  const { columns } = held.matrix;
  return Float64Array.from(
    experts.flatMap((expert, slot) => {
      const token = Math.floor(slot / top);
      const row = h.subarray(token * columns, (token + 1) * columns);
      return [...swiglu(expertLinear(held, expert, row), LIMIT)];
    }),
  );
}

function expectedOut(held: HeldExperts, { choice, hidden, x }: Weighted): Float64Array {
  const { rows, columns } = held.matrix;
  const { top, experts, weights } = choice;
  const sum = x.slice();
  for (const [slot, expert] of experts.entries()) {
    const row = hidden.subarray(slot * columns, (slot + 1) * columns);
    const at = Math.floor(slot / top) * rows;
    for (const [i, value] of expertLinear(held, expert, row).entries()) {
      sum[at + i]! += weights[slot]! * value;
    }
  }
  return sum;
}

interface ExpertCase extends MatrixOptions {
  readonly mode: Mode;
  readonly experts: number;
  readonly rows: number;
  readonly columns: number;
  readonly top: number;
  readonly tokens: readonly number[];
}

function randomExperts(
  gpu: TestGpu,
  { experts, rows, columns, ...options }: ExpertCase,
): Promise<HeldExperts> {
  const bytes = randomMxfp4(experts * rows * columns, rows + columns);
  const bias = randomValues(experts * rows, 3, 2);
  return uploadExperts(gpu, [experts, rows, columns], bytes, bias, options);
}

// Rows are twice the intermediate size: 32, 96 and 128.
/** Ragged numbers of tokens. */
const TOKENS = runsSlowTests ? [2, 5, 7, 8, 9, 16, 31, 33, 64, 100, 129] : [2, 9, 33, 129];

/** The cases with each product. */
function tiledCases(cases: readonly Omit<ExpertCase, 'mode'>[]): ExpertCase[] {
  return TESTED_PRODUCTS.flatMap((mode) => cases.map((each) => ({ mode, ...each })));
}

const SWIGLUS: readonly ExpertCase[] = [
  {
    mode: 'few',
    experts: 8,
    rows: 192,
    columns: 96,
    top: 4,
    tokens: [1, 2, 4],
    maxBindingBytes: 3 * 192 * 48,
  },
  { mode: 'few', experts: 4, rows: 64, columns: 32, top: 2, tokens: [1, 3], rowsPerChunk: 50 },
  { mode: 'few', experts: 5, rows: 256, columns: 160, top: 1, tokens: [4], rowsPerChunk: 301 },
  { mode: 'few', experts: 4, rows: 64, columns: 2880, top: 4, tokens: [2], maxBindingBytes: 1 },
  ...tiledCases([
    {
      experts: 8,
      rows: 192,
      columns: 96,
      top: 4,
      tokens: TOKENS,
      maxBindingBytes: 3 * 192 * 48,
    },
    { experts: 3, rows: 64, columns: 32, top: 1, tokens: [1, 70] },
    { experts: 4, rows: 320, columns: 32, top: 2, tokens: [9, 33] },
    { experts: 4, rows: 64, columns: 2880, top: 2, tokens: [9], maxBindingBytes: 1 },
  ]),
];

gpuTest.each(SWIGLUS)(
  'swiglu matches the oracle: $mode, $experts experts of $rows x $columns, top $top',
  async (expertCase, gpu) => {
    const { mode, experts, columns, top } = expertCase;
    const held = await randomExperts(gpu, expertCase);
    for (const halves of HALVES) {
      const run = await compileSwiglu(gpu, held, { mode, top, halves });
      for (const tokens of expertCase.tokens) {
        const h = inputsFor(mode, randomValues(tokens * columns, tokens));
        const choice = randomChoice(tokens, experts, top, tokens);
        const expected = expectedSwiglu(held, h, choice);
        const got = await run(h, choice);
        expect(got, `${tokens} tokens, ${halves}`).toBeCloseToArray(expected, 1e-5);
      }
    }
  },
);

const OUTS: readonly ExpertCase[] = [
  {
    mode: 'few',
    experts: 8,
    rows: 96,
    columns: 96,
    top: 4,
    tokens: [1, 2, 4],
    maxBindingBytes: 3 * 96 * 48,
  },
  { mode: 'few', experts: 4, rows: 32, columns: 32, top: 2, tokens: [1, 3], rowsPerChunk: 50 },
  { mode: 'few', experts: 5, rows: 160, columns: 128, top: 1, tokens: [4] },
  { mode: 'few', experts: 4, rows: 64, columns: 2880, top: 4, tokens: [2], maxBindingBytes: 1 },
  ...tiledCases([
    {
      experts: 8,
      rows: 96,
      columns: 96,
      top: 4,
      tokens: TOKENS,
      maxBindingBytes: 3 * 96 * 48,
    },
    { experts: 4, rows: 32, columns: 160, top: 1, tokens: [1, 70] },
    { experts: 3, rows: 2880, columns: 32, top: 2, tokens: [6] },
  ]),
];

gpuTest.each(OUTS)(
  'the weighted sum matches the oracle: $mode, $experts experts of $rows x $columns, top $top',
  async (expertCase, gpu) => {
    const { mode, experts, rows, columns, top } = expertCase;
    const held = await randomExperts(gpu, expertCase);
    const scale = randomValues(rows, 6);
    for (const halves of HALVES) {
      const run = await compileOut(gpu, held, { mode, top, halves });
      for (const tokens of expertCase.tokens) {
        const choice = randomChoice(tokens, experts, top, tokens);
        const hidden = inputsFor(mode, randomValues(tokens * top * columns, tokens));
        const input: Weighted = { choice, hidden, x: randomValues(tokens * rows, 5), scale };
        const { x, h } = await run(input);
        const expected = expectedOut(held, input);
        expect(x, `${tokens} tokens, ${halves}`).toBeCloseToArray(expected, 1e-5);
        if (h) expectNormedRows(h, Float64Array.from(x), scale, 1e-6);
      }
    }
  },
);

gpuTest.each([
  { experts: 40, top: 4 },
  { experts: 128, top: 4 },
  { experts: 300, top: 3 },
])(
  'few tokens choose the best $top of $experts experts, the lower one first among equals',
  async ({ experts, top }, gpu) => {
    // Every expert adds a number of its own to x, its bias, so that x shows the chosen ones and their weights.
    const bias = randomValues(experts * 32, 7, 3);
    const held = await uploadExperts(gpu, [experts, 32, 32], randomMxfp4(experts * 1024, 9), bias);
    const run = await compileOut(gpu, held, { mode: 'few', top });
    const random = randomValues(4 * experts, 8, 2);
    // Three kinds of logits, so that equals lie on both sides of the cut; negative ones; huge ones; zeros.
    const inputs = [
      random,
      random.map((_, i) => [-1, 0.5, 2][i % 3]!),
      random.map((value) => -Math.abs(value) - 1),
      random.map((value, i) => (i % 7 === 3 ? 3e38 : value * 1e30)),
      random.map(() => 0),
    ];
    for (const logits of inputs) {
      const choice = choose(logits, experts, top);
      const hidden = new Float64Array(4 * top * 32);
      const input: Weighted = {
        choice,
        hidden,
        x: new Float64Array(4 * 32),
        scale: new Float64Array(32).fill(1),
      };
      const { x } = await run(input);
      expect(x).toBeCloseToArray(expectedOut(held, input), 1e-5);
    }
  },
);

interface Mxfp4Vectors {
  readonly vectors: readonly {
    readonly scale_byte: number;
    readonly exact: readonly (number | string)[];
  }[];
}

gpuTest.each(MODES.flatMap((mode) => HALVES.map((halves) => [mode, halves] as const)))(
  'every MXFP4 code is decoded exactly with every scale of the golden file: %s, %s',
  async ([mode, halves], gpu) => {
    const { vectors } = await readGoldenJson<Mxfp4Vectors>('mxfp4.json');
    const golden = vectors.filter(({ scale_byte }) => scale_byte < 254); // above, values overflow
    expect(golden.length).toBeGreaterThan(8);
    // Row r has the r-th scale; column c has code c, or 31 - c from 16 on, which detects swapped nibbles.
    const codes = Array.from({ length: 32 }, (_, column) => (column < 16 ? column : 31 - column));
    const row = Uint8Array.from({ length: 16 }, (_, j) => codes[2 * j]! | (codes[2 * j + 1]! << 4));
    const blocks = Uint8Array.from({ length: 32 * 16 }, (_, i) => row[i % 16]!);
    const scales = Uint8Array.from({ length: 32 }, (_, r) => golden[r % golden.length]!.scale_byte);
    const held = await uploadExperts(gpu, [1, 32, 32], { blocks, scales }, new Float64Array(32));
    const run = await compileOut(gpu, held, { mode, top: 1, halves });
    const one = 127 / 128; // int8, too, multiplies it exactly
    const oneHot = Float64Array.from({ length: 32 * 32 }, (_, i) => (i % 33 === 0 ? one : 0));
    const { x } = await run({
      choice: choose(new Float64Array(32), 1, 1),
      hidden: oneHot,
      x: new Float64Array(32 * 32),
      scale: new Float64Array(32),
    });
    for (let column = 0; column < 32; column++) {
      for (let r = 0; r < 32; r++) {
        const { scale_byte, exact } = golden[r % golden.length]!;
        // Scale bytes 0 and 1 turn values of at most 7e-38 into 0 (lib/mxfp4.wgsl). No code gives a negative zero.
        const value = scale_byte <= 1 ? 0 : Number(exact[codes[column]!]);
        expect(
          x[column * 32 + r],
          `code ${codes[column]} with scale ${scale_byte} in column ${column}`,
        ).toBe(value === 0 ? 0 : value * one);
      }
    }
  },
);

gpuTest.each(MODES)(
  'swiglu clamps gate from above and up on both sides, and adds 1 to up: %s',
  async (mode, gpu) => {
    const numbers = [-2e4, -300, -60, -8, -7, -1.5, -1e-3, 0, 0.25, 1, 6.5, 7, 7.5, 9, 80, 2e4];
    // With h = 0, the kernel clamps the bias: every gate with every up.
    const bias = Float64Array.from(
      numbers.flatMap((gate) => numbers.flatMap((up) => [gate, up])),
      Math.fround,
    );
    const bytes = randomMxfp4(512 * 32, 1);
    const held = await uploadExperts(gpu, [1, 512, 32], bytes, bias);
    const run = await compileSwiglu(gpu, held, { mode, top: 1 });
    const hidden = await run(new Float64Array(32), choose(new Float64Array(1), 1, 1));
    expect(hidden).toBeCloseToArray(swiglu(bias, LIMIT), 1e-6);
    // One by one, with a relative tolerance, so that small values count too.
    for (const [i, value] of swiglu(bias, LIMIT).entries()) {
      const inputs = `gate ${bias[2 * i]}, up ${bias[2 * i + 1]}`;
      expect(Math.abs(hidden[i]! - value), inputs).toBeLessThan(1e-5 * Math.abs(value) + 1e-7);
    }
  },
);

gpuTest('expert_swiglu does not write the slots of experts in other parts', async (gpu) => {
  const held = await randomExperts(gpu, SWIGLUS[0]!);
  expect(held.matrix.parts.length).toBe(3);
  const [, second] = held.matrix.parts;
  const part = { ...held, matrix: { ...held.matrix, parts: [second!] } };
  const run = await compileSwiglu(gpu, part, { mode: 'few', top: 4 });
  const logits = Float64Array.of(2, -1, -1, 3, -1, 1, -1, 4);
  const choice = choose(logits, 8, 4);
  expect(choice.experts).toEqual([7, 3, 0, 5]);
  const hidden = await run(randomValues(96, 1), choice);
  expect(Array.from({ length: 4 }, (_, k) => Number.isNaN(hidden[k * 96]))).toEqual([
    true,
    false,
    true,
    false,
  ]);
});
