import { expect } from 'vitest';
import { toGgmlQ8 } from '../../test/ggml-formats.ts';
import { gpuTest, random, type TestGpu } from '../../test/gpu.ts';
import {
  type HeldMatrix,
  type MatrixOptions,
  outputBuffer,
  outputFloats,
  randomValues,
  stepBuffer,
  uploadDense,
  uploadFloats,
} from '../../test/kernel-inputs.ts';
import { expectNormedRows } from '../../test/normed-rows.ts';
import { fromF16 } from '../../test/number-formats.ts';
import { linear } from '../../test/oracles.ts';
import { inputsFor, TESTED_PRODUCTS, type TestedProduct, tileOf } from '../../test/products.ts';
import { createRandom } from '../../test/random.ts';
import { Kernel } from '../gpu/kernel.ts';
import type { DenseFormat } from '../types/load.ts';
import type { Halves } from './halves.ts';
import { allocateDense } from './matrix.ts';
import { RepackKernels } from './repack.ts';
import { kernelSource } from './shaders.ts';
import { rowGroups, rowSplits, TILE_ROWS } from './shape.ts';

const FORMATS: readonly DenseFormat[] = ['bf16', 'int8'];
const HALVES: readonly Halves[] = ['native', 'exact'];

/** Rows of ordinary numbers, with outliers, zeros and tiny numbers (whose f16 scale is subnormal). */
function variedRows(rows: number, columns: number, seed: number): Float32Array {
  const values = random(rows * columns, seed);
  for (let row = 0; row < rows; row++) {
    const at = row * columns;
    if (row % 7 === 2) values.fill(0, at, at + 32);
    if (row % 7 === 3) for (let i = 0; i < columns; i++) values[at + i]! *= 1e-4;
    if (row % 7 === 4) for (let i = 0; i < 32; i++) values[at + i]! *= 1e-6;
    if (row % 7 === 5) values[at + (row % columns)] = 900;
    if (row % 7 === 6) for (let i = 0; i < columns; i++) values[at + i]! *= 1e-9;
  }
  return values;
}

/** x [ids, columns]: the rows `ids` of the matrix, read by embed. Expects h to await the norm of x. */
async function embed(
  gpu: TestGpu,
  { matrix }: HeldMatrix,
  ids: readonly number[],
  halves: Halves = 'native',
): Promise<Float32Array> {
  const { columns, format } = matrix;
  const kernel = await Kernel.compile(
    gpu.gpu,
    kernelSource('embed', {
      constants: { COLUMNS: columns },
      libraries: { dense: format, halves },
    }),
  );
  const tokens = gpu.upload(Uint32Array.from(ids));
  const scale = randomValues(columns, 9);
  const scaleBuffer = uploadFloats(gpu, scale);
  const xBuffer = outputBuffer(gpu, ids.length * columns);
  const h = outputBuffer(gpu, (ids.length * columns * 9) / 8);
  gpu.run(
    ...matrix.parts.map(({ firstRow, rows, values: weights, scales }) => {
      const params = gpu.buffers.params(firstRow, rows);
      const resources = { params, tokens, weights, scales, scale: scaleBuffer, x: xBuffer, h };
      return kernel.dispatch('embed', resources, [1, ids.length]);
    }),
  );
  const x = await outputFloats(gpu, xBuffer);
  const hRows = await outputFloats(gpu, h);
  // The rows of tokens in other parts stay unwritten in both.
  const written = ids.filter((_, i) => !Number.isNaN(x[i * columns]));
  expect(hRows.filter((value) => !Number.isNaN(value)).length).toBe(
    (written.length * columns * 9) / 8,
  );
  if (written.length === ids.length) {
    expectNormedRows(hRows, Float64Array.from(x), scale, 1e-6);
  }
  return x;
}

const EMBEDDINGS = FORMATS.flatMap((format) =>
  [
    { rows: 70, columns: 32, maxBindingBytes: 2 ** 20, rowsPerChunk: 70 },
    { rows: 97, columns: 96, maxBindingBytes: 96 * 32 * 2, rowsPerChunk: 20 },
    { rows: 64, columns: 160, maxBindingBytes: 1, rowsPerChunk: 33 },
    { rows: 40, columns: 2880, maxBindingBytes: 2 ** 20, rowsPerChunk: 40 },
  ].map((shape) => ({ format, ...shape })),
);

gpuTest.each(EMBEDDINGS)(
  'embed returns the exact rows of a $format matrix of $rows x $columns, repacked $rowsPerChunk rows at a time',
  async ({ format, rows, columns, ...options }, gpu) => {
    const held = await uploadDense(
      gpu,
      format,
      [rows, columns],
      variedRows(rows, columns, rows),
      options,
    );
    expect(held.matrix.parts.length).toBeGreaterThan(options.maxBindingBytes < 2 ** 20 ? 1 : 0);
    const ids = Array.from({ length: rows }, (_, i) => (i * 29 + 3) % rows).concat([5, 5, 0]);
    const x = await embed(gpu, held, ids);
    const expected = ids.flatMap((id) => [
      ...held.values.subarray(id * columns, (id + 1) * columns),
    ]);
    expect(x).toBeCloseToArray(expected, 0);
  },
);

gpuTest('repack_int8 rounds halves away from zero', async (gpu) => {
  // With a largest value of 254, the scale is 2, and every odd number lies half-way between two of its multiples.
  const row = Float32Array.from({ length: 32 }, (_, i) =>
    i === 0 ? 254 : (i % 2 === 0 ? 1 : -1) * (2 * ((i * 7) % 64) + 1),
  );
  const held = await uploadDense(gpu, 'int8', [1, 32], row);
  const expected = row.map((value, i) => (i === 0 ? 254 : value + Math.sign(value)));
  expect(await embed(gpu, held, [0])).toBeCloseToArray(expected, 0);
});

gpuTest.each(HALVES)(
  'every subnormal f16 scale of int8 is read exactly: %s',
  async (halves, gpu) => {
    const subnormals = Array.from({ length: 0x3ff }, (_, i) => i + 1);
    const ordinary = [0x0400, 0x7bff, 0x3c00, 0x0000];
    const positive = [...subnormals, ...ordinary];
    const scaleBits = Uint16Array.from([...positive, ...positive.map((bits) => bits | 0x8000)]);
    const [rows, columns] = [scaleBits.length / 2, 64];
    const q = Int8Array.from({ length: rows * columns }, (_, i) => ((i * 7) % 255) - 127);
    const matrix = allocateDense(gpu.buffers, {
      label: 'matrix',
      format: 'int8',
      rows,
      columns,
      maxBindingBytes: 2 ** 27,
    });
    const repacking = await new RepackKernels(gpu.gpu, gpu.buffers).dense('Q8_0', matrix);
    const bytes = new Uint8Array(Math.ceil((rows * repacking.rowBytes) / 4) * 4);
    bytes.set(toGgmlQ8(q, scaleBits));
    const staged = gpu.upload(new Uint32Array(bytes.buffer));
    gpu.run(...repacking.dispatches({ staged, firstRow: 0, rows }));
    const values = Float64Array.from(q, (value, i) => value * fromF16(scaleBits[i >> 5]!));
    const ids = Array.from({ length: rows }, (_, row) => row);
    const x = await embed(gpu, { matrix, values }, ids, halves);
    const different = values.findIndex((value, i) => value !== x[i]);
    expect([different, x[different]]).toEqual([-1, undefined]);
  },
);

gpuTest('embed does not write the rows of tokens in other parts', async (gpu) => {
  const held = await uploadDense(gpu, 'bf16', [64, 32], random(64 * 32), { maxBindingBytes: 1 });
  const [first] = held.matrix.parts;
  const x = await embed(gpu, { ...held, matrix: { ...held.matrix, parts: [first!] } }, [40, 3]);
  expect(x.subarray(0, 32).every(Number.isNaN)).toBe(true);
  expect(x.subarray(32)).toBeCloseToArray(held.values.subarray(3 * 32, 4 * 32), 0);
});

interface LinearCase extends MatrixOptions {
  readonly format: DenseFormat;
  readonly rows: number;
  readonly columns: number;
  readonly tokens: readonly number[];
  /** Of `linear_tiled`; `out` always has both. */
  readonly bias?: boolean;
  readonly add?: boolean;
}

/** Tests `linear` or `out`, or `linear_tiled` with a product. */
async function testLinear(
  gpu: TestGpu,
  of: 'linear' | 'out' | TestedProduct,
  {
    format,
    rows,
    columns,
    tokens,
    bias: hasBias = of === 'out',
    add = of === 'out',
    ...options
  }: LinearCase,
): Promise<void> {
  const file = of === 'linear' || of === 'out' ? of : 'linear_tiled';
  const product = of === 'linear' || of === 'out' ? undefined : of;
  const held = await uploadDense(gpu, format, [rows, columns], random(rows * columns, 2), options);
  const constants = {
    linear: { COLUMNS: columns, ROWS: rows, SPLITS: rowSplits(columns, 8) },
    linear_tiled: { COLUMNS: columns, ROWS: rows, HAS_BIAS: Number(hasBias), ADD: Number(add) },
    out: { COLUMNS: columns, ROWS: rows, SPLITS: rowSplits(columns, 32) },
  }[file];
  const biasValues = randomValues(rows, 3, 5);
  const bias = uploadFloats(gpu, biasValues);
  const scaleValues = randomValues(rows, 7);
  const scale = uploadFloats(gpu, scaleValues);
  for (const halves of format === 'bf16' ? HALVES.slice(0, 1) : HALVES) {
    const libraries = { dense: format, halves, ...(product && { product }) };
    const kernel = await Kernel.compile(gpu.gpu, kernelSource(file, { libraries, constants }));
    for (const count of tokens) {
      const random = randomValues(count * columns, 4 + count);
      const xValues = product ? inputsFor(product, random) : random;
      const before = add ? randomValues(count * rows, 5, 10) : undefined;
      // One extra row of x, which the kernel must not add.
      const x = uploadFloats(gpu, [...xValues, ...new Array(columns).fill(1e9)]);
      const y = outputBuffer(gpu, count * rows, before);
      const h = outputBuffer(gpu, (count * rows * 9) / 8);
      const operands = {
        linear: { x, y },
        linear_tiled: { bias, x, y, step: stepBuffer(gpu, 0, count) },
        out: { bias, attended: x, scale, x: y, h },
      }[file];
      gpu.run(
        ...held.matrix.parts.map((part) =>
          kernel.dispatch(
            file,
            {
              params: gpu.buffers.params(part.firstRow, Math.ceil(part.rows / TILE_ROWS)),
              weights: part.values,
              scales: part.scales,
              ...operands,
            },
            of === 'linear' || of === 'out'
              ? [rowGroups(of, part.rows), count]
              : [Math.ceil(part.rows / tileOf(of).rows), Math.ceil(count / tileOf(of).inputs)],
          ),
        ),
      );
      const expected = linear(xValues, held.values, hasBias ? biasValues : undefined, columns);
      if (before) for (let i = 0; i < expected.length; i++) expected[i]! += before[i]!;
      const got = await outputFloats(gpu, y);
      expect(got, `${count} tokens, ${halves}`).toBeCloseToArray(expected, 1e-5);
      if (file === 'out') {
        expectNormedRows(await outputFloats(gpu, h), Float64Array.from(got), scaleValues, 1e-6);
      }
    }
  }
}

const FEW = [1, 2, 4, 5];
const MANY = [1, 2, 5, 7, 8, 9, 16, 31, 33, 64, 100, 129];

const LINEARS: readonly LinearCase[] = [
  { format: 'bf16', rows: 33, columns: 32, tokens: FEW },
  { format: 'int8', rows: 100, columns: 32, tokens: FEW },
  { format: 'bf16', rows: 96, columns: 96, tokens: FEW, maxBindingBytes: 1 },
  { format: 'int8', rows: 70, columns: 96, tokens: FEW },
  { format: 'bf16', rows: 64, columns: 160, tokens: FEW },
  { format: 'int8', rows: 130, columns: 160, tokens: FEW, maxBindingBytes: 160 * 64 },
  { format: 'bf16', rows: 40, columns: 2880, tokens: [1, 4] },
  { format: 'int8', rows: 40, columns: 2880, tokens: [1, 4] },
];

gpuTest.each(LINEARS)('linear matches the oracle: $format, $rows x $columns', (linearCase, gpu) =>
  testLinear(gpu, 'linear', linearCase),
);

const OUTS: readonly LinearCase[] = [
  { format: 'bf16', rows: 32, columns: 64, tokens: FEW },
  { format: 'int8', rows: 96, columns: 64, tokens: FEW, maxBindingBytes: 1 },
  { format: 'int8', rows: 160, columns: 192, tokens: FEW, maxBindingBytes: 192 * 64 },
  { format: 'bf16', rows: 64, columns: 4096, tokens: [1, 4] },
  { format: 'int8', rows: 64, columns: 4096, tokens: [1, 4] },
];

gpuTest.each(OUTS)('out matches the oracle: $format, $rows x $columns', (outCase, gpu) =>
  testLinear(gpu, 'out', outCase),
);

const TILED_LINEARS: readonly LinearCase[] = [
  { format: 'bf16', rows: 70, columns: 32, bias: false, add: false, tokens: MANY },
  {
    format: 'int8',
    rows: 100,
    columns: 96,
    bias: true,
    add: true,
    tokens: MANY,
    maxBindingBytes: 96 * 32,
  },
  {
    format: 'int8',
    rows: 291,
    columns: 64,
    bias: true,
    add: true,
    tokens: MANY,
    maxBindingBytes: 64 * 160,
  },
  {
    format: 'bf16',
    rows: 64,
    columns: 160,
    bias: true,
    add: true,
    tokens: MANY,
    maxBindingBytes: 1,
  },
  { format: 'int8', rows: 40, columns: 2880, bias: true, add: false, tokens: [9, 65] },
];

gpuTest.each(
  TESTED_PRODUCTS.flatMap((product) =>
    TILED_LINEARS.filter(({ format }) => product !== 'int8' || format === 'int8').map(
      (linearCase) => ({ product, ...linearCase }),
    ),
  ),
)(
  'linear_tiled matches the oracle: $product, $format, $rows x $columns, bias $bias, add $add',
  ({ product, ...linearCase }, gpu) => testLinear(gpu, product, linearCase),
);

gpuTest('linear matches the oracle for random shapes', async (gpu) => {
  const next = createRandom(11);
  for (let round = 0; round < 6; round++) {
    const columns = 32 * (1 + next.integer(9));
    await testLinear(gpu, 'linear', {
      format: FORMATS[round % 2]!,
      rows: 1 + next.integer(150),
      columns,
      tokens: [1 + next.integer(6)],
      maxBindingBytes: columns * 32 * (1 + next.integer(4)),
      rowsPerChunk: 1 + next.integer(60),
    });
  }
});
