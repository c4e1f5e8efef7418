import { expect } from 'vitest';
import { readGoldenJson } from '../../test/golden.ts';
import { gpuTest, type TestGpu } from '../../test/gpu.ts';
import {
  expertLinear,
  type HeldExperts,
  type MatrixOptions,
  outputBuffer,
  outputFloats,
  randomMxfp4,
  randomValues,
  uploadExperts,
  uploadFloats,
} from '../../test/kernel-inputs.ts';
import { swiglu } from '../../test/oracles.ts';
import { createRandom } from '../../test/random.ts';
import { Kernel } from '../gpu/kernel.ts';
import type { Halves } from './halves.ts';
import { kernelSource } from './shaders.ts';
import { rowGroups, rowSplits, TILE_ROWS, TILE_SLOTS, workgroupsOf } from './shape.ts';

const LIMIT = 7;
const HALVES: readonly Halves[] = ['native', 'exact'];

/** The experts chosen for each token. */
interface Choice {
  readonly top: number;
  /** [tokens, top]. */
  readonly experts: readonly number[];
}

/** The kernels for few tokens, or the tiled ones for many. */
type Mode = 'few' | 'many';

/** The buffers of a choice, by binding name; tiles of 32 slots, cut as by group_by_expert. */
function bindChoice(gpu: TestGpu, mode: Mode, { top, experts }: Choice) {
  const slots = experts.length;
  if (mode === 'few') {
    return { resources: { experts: gpu.upload(Uint32Array.from(experts)) }, tiles: slots / top };
  }
  const sorted = [...experts.keys()].sort((a, b) => experts[a]! - experts[b]! || b - a);
  const tiles: number[] = [];
  for (let first = 0; first < slots; ) {
    const expert = experts[sorted[first]!]!;
    let count = 1;
    while (count < TILE_SLOTS && experts[sorted[first + count]!] === expert) count++;
    tiles.push(expert, first, count);
    first += count;
  }
  tiles.push(0, 0, 0); // an unused tile
  return {
    resources: {
      tiles: gpu.upload(Uint32Array.from(tiles)),
      sorted_slots: gpu.upload(Uint32Array.from(sorted)),
    },
    tiles: tiles.length / 3,
  };
}

/** hidden [tokens, top, rows / 2] of h [tokens, columns]. */
async function compileSwiglu(
  gpu: TestGpu,
  mode: Mode,
  { matrix }: HeldExperts,
  top: number,
  halves: Halves = 'native',
) {
  const { rows, columns } = matrix;
  const kernel = await Kernel.compile(
    gpu.gpu,
    kernelSource(mode === 'few' ? 'expert_swiglu' : 'expert_swiglu_tiled', {
      libraries: { halves },
      constants: {
        COLUMNS: columns,
        ROWS: rows,
        TOP: top,
        LIMIT,
        ...(mode === 'few' && { SPLITS: rowSplits(columns, 8) }),
      },
    }),
  );
  return async (h: Float64Array, experts: readonly number[]): Promise<Float32Array> => {
    const { resources, tiles } = bindChoice(gpu, mode, { top, experts });
    const source = uploadFloats(gpu, h);
    const hidden = outputBuffer(gpu, (experts.length * rows) / 2);
    gpu.run(
      ...matrix.parts.map((part) =>
        kernel.dispatch(
          'swiglu',
          {
            params: gpu.buffers.params(part.firstExpert, part.experts),
            ...resources,
            weights: part.blocks,
            scales: part.scales,
            bias: matrix.bias,
            h: source,
            hidden,
          },
          mode === 'few'
            ? [rowGroups('expert_swiglu', rows), experts.length]
            : [rows / TILE_ROWS, tiles],
        ),
      ),
    );
    return outputFloats(gpu, hidden);
  };
}

interface Weighted {
  /** [tokens, top, columns]. */
  readonly hidden: Float64Array;
  /** [tokens, top]. */
  readonly weights: Float64Array;
  readonly experts: readonly number[];
  /** [tokens, rows], to which the sum is added. */
  readonly x: Float64Array;
}

/** x + the weighted sum of the experts' rows of `hidden`. */
async function compileOut(
  gpu: TestGpu,
  mode: Mode,
  { matrix }: HeldExperts,
  top: number,
  halves: Halves = 'native',
) {
  const { rows, columns } = matrix;
  const constants = { COLUMNS: columns, ROWS: rows };
  const few = mode === 'few';
  const kernel = await Kernel.compile(
    gpu.gpu,
    kernelSource(few ? 'expert_out' : 'expert_out_tiled', {
      libraries: { halves },
      constants: few ? { ...constants, TOP: top, SPLITS: rowSplits(columns, 16) } : constants,
    }),
  );
  const sum = few
    ? undefined
    : await Kernel.compile(
        gpu.gpu,
        kernelSource('expert_sum', { constants: { COLUMNS: rows, TOP: top } }),
      );
  return async ({ hidden, weights, experts, x }: Weighted): Promise<Float32Array> => {
    const tokens = experts.length / top;
    const { resources, tiles } = bindChoice(gpu, mode, { top, experts });
    const hiddenBuffer = uploadFloats(gpu, hidden);
    const xBuffer = outputBuffer(gpu, x.length, x);
    const out = outputBuffer(gpu, experts.length * rows);
    const target = few ? { hidden: hiddenBuffer, x: xBuffer } : { hidden: hiddenBuffer, out };
    const expertWeights = uploadFloats(gpu, weights);
    const products = matrix.parts.map((part) =>
      kernel.dispatch(
        'out',
        {
          params: gpu.buffers.params(part.firstExpert, part.experts),
          ...resources,
          expert_weights: expertWeights,
          weights: part.blocks,
          scales: part.scales,
          bias: matrix.bias,
          ...target,
        },
        few ? [rowGroups('expert_out', rows), tokens] : [rows / TILE_ROWS, tiles],
      ),
    );
    const added = sum?.dispatch('sum', { out, x: xBuffer }, [
      workgroupsOf('expert_sum', rows / 4),
      tokens,
    ]);
    gpu.run(...products, ...(added ? [added] : []));
    if (!few) await outputFloats(gpu, out);
    return outputFloats(gpu, xBuffer);
  };
}

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

function expectedOut(held: HeldExperts, { hidden, weights, experts, x }: Weighted): Float64Array {
  const { rows, columns } = held.matrix;
  const top = (experts.length * rows) / x.length;
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

/** [tokens, top] distinct experts; every third token takes the last ones, so that some tiles are full. */
function randomChoices(tokens: number, top: number, experts: number, seed: number): number[] {
  const next = createRandom(seed);
  return Array.from({ length: tokens }, (_, token) => {
    const ids = new Set<number>();
    while (ids.size < top) {
      ids.add(token % 3 === 0 ? experts - 1 - ids.size : next.integer(experts));
    }
    return [...ids];
  }).flat();
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
  {
    mode: 'many',
    experts: 8,
    rows: 192,
    columns: 96,
    top: 4,
    tokens: [5, 33],
    maxBindingBytes: 3 * 192 * 48,
  },
  { mode: 'many', experts: 3, rows: 64, columns: 32, top: 1, tokens: [1, 70] },
  { mode: 'many', experts: 4, rows: 64, columns: 2880, top: 2, tokens: [9], maxBindingBytes: 1 },
];

gpuTest.each(SWIGLUS)(
  'swiglu matches the oracle for $mode tokens: $experts experts of $rows x $columns, top $top',
  async (expertCase, gpu) => {
    const { mode, experts, columns, top } = expertCase;
    const held = await randomExperts(gpu, expertCase);
    for (const halves of HALVES) {
      const run = await compileSwiglu(gpu, mode, held, top, halves);
      for (const tokens of expertCase.tokens) {
        const h = randomValues(tokens * columns, tokens);
        const chosen = randomChoices(tokens, top, experts, tokens);
        const expected = expectedSwiglu(held, h, { top, experts: chosen });
        const got = await run(h, chosen);
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
  {
    mode: 'many',
    experts: 8,
    rows: 96,
    columns: 96,
    top: 4,
    tokens: [5, 33],
    maxBindingBytes: 3 * 96 * 48,
  },
  { mode: 'many', experts: 4, rows: 32, columns: 160, top: 1, tokens: [1, 70] },
  { mode: 'many', experts: 3, rows: 2880, columns: 32, top: 2, tokens: [6] },
];

gpuTest.each(OUTS)(
  'the weighted sum matches the oracle for $mode tokens: $experts experts of $rows x $columns, top $top',
  async (expertCase, gpu) => {
    const { mode, experts, rows, columns, top } = expertCase;
    const held = await randomExperts(gpu, expertCase);
    for (const halves of HALVES) {
      const run = await compileOut(gpu, mode, held, top, halves);
      for (const tokens of expertCase.tokens) {
        const next = createRandom(tokens);
        const input: Weighted = {
          hidden: randomValues(tokens * top * columns, tokens),
          weights: Float64Array.from({ length: tokens * top }, () => Math.fround(next.uniform())),
          experts: randomChoices(tokens, top, experts, tokens),
          x: randomValues(tokens * rows, 5),
        };
        const expected = expectedOut(held, input);
        const sum = await run(input);
        expect(sum, `${tokens} tokens, ${halves}`).toBeCloseToArray(expected, 1e-5);
      }
    }
  },
);

interface Mxfp4Vectors {
  readonly vectors: readonly {
    readonly scale_byte: number;
    readonly exact: readonly (number | string)[];
  }[];
}

gpuTest.each(HALVES.flatMap((halves) => [['few', halves] as const, ['many', halves] as const]))(
  'every MXFP4 code is decoded exactly with every scale of the golden file, for %s tokens: %s',
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
    const run = await compileOut(gpu, mode, held, 1, halves);
    const oneHot = Float64Array.from({ length: 32 * 32 }, (_, i) => (i % 33 === 0 ? 1 : 0));
    const x = await run({
      hidden: oneHot,
      weights: new Float64Array(32).fill(1),
      experts: new Array<number>(32).fill(0),
      x: new Float64Array(32 * 32),
    });
    for (let column = 0; column < 32; column++) {
      for (let r = 0; r < 32; r++) {
        const { scale_byte, exact } = golden[r % golden.length]!;
        // Scale bytes 0 and 1 turn values of at most 7e-38 into 0 (lib/mxfp4.wgsl). No code gives a negative zero.
        const value = scale_byte <= 1 ? 0 : Number(exact[codes[column]!]);
        expect(
          x[column * 32 + r],
          `code ${codes[column]} with scale ${scale_byte} in column ${column}`,
        ).toBe(value === 0 ? 0 : value);
      }
    }
  },
);

gpuTest.each(['few', 'many'] as const)(
  'swiglu clamps gate from above and up on both sides, and adds 1 to up, for %s tokens',
  async (mode, gpu) => {
    const numbers = [-2e4, -300, -60, -8, -7, -1.5, -1e-3, 0, 0.25, 1, 6.5, 7, 7.5, 9, 80, 2e4];
    // With h = 0, the kernel clamps the bias: every gate with every up.
    const bias = Float64Array.from(
      numbers.flatMap((gate) => numbers.flatMap((up) => [gate, up])),
      Math.fround,
    );
    const bytes = randomMxfp4(512 * 32, 1);
    const held = await uploadExperts(gpu, [1, 512, 32], bytes, bias);
    const run = await compileSwiglu(gpu, mode, held, 1);
    const hidden = await run(new Float64Array(32), [0]);
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
  const run = await compileSwiglu(gpu, 'few', part, 4);
  const hidden = await run(randomValues(96, 1), [7, 3, 0, 5]);
  expect(Array.from({ length: 4 }, (_, k) => Number.isNaN(hidden[k * 96]))).toEqual([
    true,
    false,
    true,
    false,
  ]);
});
