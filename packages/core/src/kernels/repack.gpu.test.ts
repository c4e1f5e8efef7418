import { expect } from 'vitest';
import { type NumberFormat, toGgmlMxfp4, toGgmlQ8, writeNumbers } from '../../test/ggml-formats.ts';
import { gpuTest, random, type TestGpu } from '../../test/gpu.ts';
import { randomMxfp4, uploadExperts } from '../../test/kernel-inputs.ts';
import { readDenseMatrix, readExpertMatrix } from '../../test/matrix-layout.ts';
import { decodeMxfp4, E2M1, quantizeInt8, toBf16, toF16 } from '../../test/number-formats.ts';
import { createRandom } from '../../test/random.ts';
import type { DenseFormat } from '../types/load.ts';
import { allocateDense, allocateExperts, type DenseMatrix, type ExpertMatrix } from './matrix.ts';
import { type Repacking, RepackKernels } from './repack.ts';

/** Stages a tensor `rowsPerChunk` rows at a time, and repacks each chunk. */
function stage(
  gpu: TestGpu,
  { rowBytes, dispatches }: Repacking,
  bytes: Uint8Array<ArrayBuffer>,
  rowsPerChunk: number,
): void {
  const rows = bytes.length / rowBytes;
  expect(Number.isInteger(rows), 'whole rows').toBe(true);
  for (let firstRow = 0; firstRow < rows; firstRow += rowsPerChunk) {
    const count = Math.min(rowsPerChunk, rows - firstRow);
    const padded = new Uint8Array(Math.ceil((count * rowBytes) / 4) * 4);
    padded.set(bytes.subarray(firstRow * rowBytes, (firstRow + count) * rowBytes));
    const staged = gpu.upload(new Uint32Array(padded.buffer));
    gpu.run(...dispatches({ staged, firstRow, rows: count }));
  }
}

/** Fails at the first element that differs. Vitest's own comparison takes seconds for arrays of this size. */
function expectSame(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] !== expected[i]) expect(actual[i], `element ${i}`).toBe(expected[i]);
  }
}

/** Rows of ordinary numbers, with zeros, tiny numbers, and ties between int8 and between bfloat16 numbers. */
function variedRows(rows: number, columns: number, seed: number): Float64Array {
  const values = Float64Array.from(random(rows * columns, seed));
  for (let row = 0; row < rows; row++) {
    const at = row * columns;
    if (row % 5 === 1) values.fill(0, at, at + 32);
    if (row % 5 === 2) for (let i = 0; i < columns; i++) values[at + i]! *= 1e-4;
    if (row % 5 === 3) for (let i = 0; i < 32; i++) values[at + i] = i < 31 ? (2 * i + 1) * 2 : 254;
    if (row % 5 === 4) for (let i = 0; i < 32; i++) values[at + i] = 1 + (2 * i + 1) / 256;
  }
  return values;
}

const SHAPES = [
  { rows: 70, columns: 32, maxBindingBytes: 2 ** 27, rowsPerChunk: 70 },
  { rows: 97, columns: 96, maxBindingBytes: 96 * 32 * 2, rowsPerChunk: 19 },
  { rows: 33, columns: 160, maxBindingBytes: 1, rowsPerChunk: 11 },
  { rows: 34, columns: 2880, maxBindingBytes: 2 ** 27, rowsPerChunk: 32 },
];

const FORMATS: readonly NumberFormat[] = ['BF16', 'F16', 'F32', 'Q8_0'];

/** Every shape for BF16, and one ragged shape for the other formats. */
const CASES = FORMATS.flatMap((encoding) =>
  SHAPES.filter(({ rows }) => encoding === 'BF16' || rows === 97).map((shape) => ({
    encoding,
    ...shape,
  })),
);

/** A dense matrix of two consecutive tensors, like q, k and v: 5 rows, and the rest. */
async function repackDense(
  gpu: TestGpu,
  encoding: NumberFormat,
  format: DenseFormat,
  { rows, columns, maxBindingBytes, rowsPerChunk }: (typeof SHAPES)[number],
  bytes: Uint8Array<ArrayBuffer>,
): Promise<DenseMatrix> {
  const matrix = allocateDense(gpu.buffers, {
    label: 'matrix',
    format,
    rows,
    columns,
    maxBindingBytes,
  });
  const repack = new RepackKernels(gpu.gpu, gpu.buffers);
  const first = await repack.dense(encoding, matrix);
  const second = await repack.dense(encoding, matrix, { first: 5, step: 1 });
  const cut = 5 * first.rowBytes;
  stage(gpu, first, bytes.slice(0, cut), rowsPerChunk);
  stage(gpu, second, bytes.slice(cut), rowsPerChunk);
  return matrix;
}

gpuTest.each(CASES)(
  '$encoding rows become the nearest bfloat16: $rows x $columns',
  async ({ encoding, ...shape }, gpu) => {
    const { bytes, values } = writeNumbers(encoding, variedRows(shape.rows, shape.columns, 3));
    const matrix = await repackDense(gpu, encoding, 'bf16', shape, bytes);
    const { elements } = await readDenseMatrix(gpu, matrix);
    expectSame(elements, Array.from(values, toBf16));
  },
);

gpuTest('float32 and float16 become bfloat16 also at the edges of their ranges', async (gpu) => {
  const f32 = [1e-40, -1e-40, 2 ** -149, 3.4e38, -3.4e38, 3.39e38, -0, 1.00390625, 1.01171875];
  const f16 = [2 ** -24, -(2 ** -24), 2 ** -14, 1023 * 2 ** -24, 65504, -65504, -0, Infinity];
  for (const [encoding, edges] of [
    ['F32', [...f32, Infinity, -Infinity]],
    ['F16', f16],
  ] as const) {
    const numbers = [...edges, ...random(64 - edges.length)];
    const shape = { rows: 2, columns: 32, maxBindingBytes: 2 ** 27 };
    const matrix = allocateDense(gpu.buffers, { ...shape, label: 'matrix', format: 'bf16' });
    const { bytes, values } = writeNumbers(encoding, numbers);
    const repacking = await new RepackKernels(gpu.gpu, gpu.buffers).dense(encoding, matrix);
    stage(gpu, repacking, bytes, 2);
    const { elements } = await readDenseMatrix(gpu, matrix);
    expectSame(elements, Array.from(values, toBf16));
  }
});

gpuTest.each(CASES.filter(({ encoding }) => encoding !== 'Q8_0'))(
  '$encoding rows become the nearest int8: $rows x $columns',
  async (item, gpu) => {
    const { encoding, ...shape } = item;
    const { bytes, values } = writeNumbers(encoding, variedRows(shape.rows, shape.columns, 4));
    const matrix = await repackDense(gpu, encoding, 'int8', shape, bytes);
    const { elements, scales } = await readDenseMatrix(gpu, matrix);
    const expected = quantizeInt8(values);
    expectSame(scales, Array.from(expected.scales, toF16));
    if (encoding !== 'F32') {
      expectSame(elements, expected.q);
      return;
    }
    // A float32 value may lie closer to a tie than the error of the GPU's division.
    let worst = 0;
    for (let first = 0; first < values.length; first += 32) {
      const group = values.subarray(first, first + 32);
      const largest = group.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      group.forEach((x, i) => {
        const quotient = largest === 0 ? 0 : (127 * x) / largest;
        worst = Math.max(worst, Math.abs(elements[first + i]! - quotient));
      });
    }
    expect(worst).toBeLessThanOrEqual(0.5 + 2e-4);
  },
);

gpuTest.each(SHAPES)('Q8_0 numbers stay exact: $rows x $columns', async (shape, gpu) => {
  const next = createRandom(8);
  const elements = shape.rows * shape.columns;
  const q = Int8Array.from({ length: elements }, () => next.integer(256) - 128);
  // Subnormals, a negative scale and zeros among ordinary scales.
  const special = [0x0001, 0x03ff, 0xa000, 0x0000, 0x8000, 0x7bff];
  const scaleBits = Uint16Array.from(
    { length: elements / 32 },
    (_, i) => special[i % 11] ?? 0x1000 + next.integer(0x1000),
  );
  const matrix = await repackDense(gpu, 'Q8_0', 'int8', shape, toGgmlQ8(q, scaleBits));
  const read = await readDenseMatrix(gpu, matrix);
  expectSame(read.elements, q);
  expectSame(read.scales, scaleBits);
});

const EXPERTS = [
  { experts: 3, rows: 64, columns: 32, maxBindingBytes: 2 ** 27, rowsPerChunk: 32 },
  { experts: 8, rows: 192, columns: 96, maxBindingBytes: 192 * 48 * 3, rowsPerChunk: 41 },
  { experts: 2, rows: 96, columns: 160, maxBindingBytes: 1, rowsPerChunk: 96 },
  { experts: 2, rows: 32, columns: 2880, maxBindingBytes: 2 ** 27, rowsPerChunk: 7 },
];

function allocate(gpu: TestGpu, shape: (typeof EXPERTS)[number]): ExpertMatrix {
  return allocateExperts(gpu.buffers, { ...shape, label: 'experts', bias: gpu.empty(1) });
}

/** The even rows (parity 0) or the odd rows (1). */
function halfOfRows(bytes: Uint8Array, rowBytes: number, parity: number): Uint8Array<ArrayBuffer> {
  const half = new Uint8Array(bytes.length / 2);
  for (let row = 0; row < half.length / rowBytes; row++) {
    const from = (2 * row + parity) * rowBytes;
    half.set(bytes.subarray(from, from + rowBytes), row * rowBytes);
  }
  return half;
}

gpuTest.each(EXPERTS)(
  'ggml blocks are repacked to the same bytes as published blocks: $experts experts of $rows x $columns',
  async (shape, gpu) => {
    const { experts, rows, columns, rowsPerChunk } = shape;
    const published = randomMxfp4(experts * rows * columns, 12);
    published.scales[1] = 0;
    published.scales[2] = 255;
    const extents = [experts, rows, columns] as const;
    const { matrix: expected } = await uploadExperts(
      gpu,
      extents,
      published,
      new Float64Array(experts * rows),
      { maxBindingBytes: shape.maxBindingBytes },
    );
    const whole = allocate(gpu, shape);
    const alternating = allocate(gpu, shape);
    const ggml = toGgmlMxfp4(published.blocks, published.scales);
    const repack = new RepackKernels(gpu.gpu, gpu.buffers);
    stage(gpu, await repack.ggmlBlocks(whole), ggml, rowsPerChunk);
    for (const first of [0, 1]) {
      const repacking = await repack.ggmlBlocks(alternating, { first, step: 2 });
      stage(gpu, repacking, halfOfRows(ggml, repacking.rowBytes, first), rowsPerChunk);
    }
    for (const matrix of [whole, alternating]) {
      for (const [i, part] of matrix.parts.entries()) {
        const other = expected.parts[i]!;
        expectSame(await gpu.words(part.blocks), await gpu.words(other.blocks));
        expectSame(await gpu.words(part.scales), await gpu.words(other.scales));
      }
    }
    const { values, scales } = await readExpertMatrix(gpu, whole);
    expectSame(scales, published.scales);
    expectSame(values, decodeMxfp4(published.blocks, published.scales));
  },
);

gpuTest('experts of random shapes, parts and chunks are repacked exactly', async (gpu) => {
  const next = createRandom(40);
  const repack = new RepackKernels(gpu.gpu, gpu.buffers);
  for (let round = 0; round < 3; round++) {
    const [experts, rows] = [1 + next.integer(5), 64 * (1 + next.integer(3))];
    const columns = 32 * (1 + next.integer(9));
    const maxBindingBytes = 1 + next.integer(3 * rows * columns);
    const shape = { experts, rows, columns, maxBindingBytes, rowsPerChunk: 1 + next.integer(90) };
    const published = randomMxfp4(experts * rows * columns, round);
    const ggml = toGgmlMxfp4(published.blocks, published.scales);
    const [packed, quantized] = [allocate(gpu, shape), allocate(gpu, shape)];
    for (const first of [0, 1]) {
      const repacking = await repack.ggmlBlocks(packed, { first, step: 2 });
      stage(gpu, repacking, halfOfRows(ggml, repacking.rowBytes, first), shape.rowsPerChunk);
    }
    const values = decodeMxfp4(published.blocks, published.scales);
    const turned = writeNumbers('BF16', transpose(values, shape)).bytes;
    stage(
      gpu,
      await repack.quantizedColumns('BF16', quantized),
      turned,
      32 * (1 + next.integer(9)),
    );
    expectSame((await readExpertMatrix(gpu, packed)).values, values);
    expectSame((await readExpertMatrix(gpu, quantized)).values, values);
  }
});

/** The nearest codes of a block for a scale, and their squared error. */
function encodeBlock(x: Float64Array, scaleByte: number): { codes: number[]; error: number } {
  const scale = 2 ** (scaleByte - 127);
  const codes = Array.from(x, (value) => {
    const a = Math.abs(value) / scale;
    let best = 0;
    for (let code = 1; code < 8; code++) {
      const [nearer, farther] = [Math.abs(a - E2M1[code]!), Math.abs(a - E2M1[best]!)];
      if (nearer < farther || (nearer === farther && code % 2 === 0)) best = code;
    }
    return value < 0 && best > 0 ? best + 8 : best;
  });
  const error = codes.reduce((sum, code, i) => sum + (E2M1[code]! * scale - x[i]!) ** 2, 0);
  return { codes, error };
}

/** Checks that each block has the better of two scales, up to rounding, and the nearest codes for it. */
function checkQuantized(
  { codes, scales }: { codes: Uint8Array; scales: Uint8Array },
  values: Float64Array,
): void {
  expect(codes.length).toBe(values.length);
  for (let block = 0; block < scales.length; block++) {
    const x = values.subarray(32 * block, 32 * block + 32);
    const largest = x.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const lower = Math.floor(Math.log2(largest)) - 2 + 127;
    const scale = scales[block]!;
    const actual = codes.subarray(32 * block, 32 * block + 32);
    if (!(lower > 1)) {
      expectSame([scale, ...actual], new Array(33).fill(0));
      continue;
    }
    const candidates = [encodeBlock(x, lower), encodeBlock(x, lower + 1)] as const;
    const chosen = candidates[scale - lower];
    if (!chosen) throw new Error(`block ${block} has scale ${scale}; ${lower} or one more is best`);
    expectSame(actual, chosen.codes);
    const best = Math.min(candidates[0].error, candidates[1].error);
    if (!(chosen.error <= best * (1 + 1e-5))) {
      throw new Error(`block ${block}: squared error ${chosen.error}; ${best} is possible`);
    }
  }
}

/** Numbers in the range of weights; some blocks of zeros, of tiny or huge numbers, or of ties between codes. */
function expertNumbers(length: number, seed: number): Float64Array {
  const next = createRandom(seed);
  const values = Float64Array.from({ length }, () => next.normal() * 0.05);
  const halves = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, -0.25, -0.75, -1.25, -1.75, -2.5, -3.5, -5];
  for (let block = 0; block < length / 32; block++) {
    const x = values.subarray(32 * block, 32 * block + 32);
    if (block % 13 === 1) x.fill(0);
    if (block % 13 === 2) x.set(x.map((value) => value * 2 ** -12));
    if (block % 13 === 3) x.set(x.map((value) => value * 2 ** 12));
    if (block % 13 === 4) x.set(x.map((_, i) => (halves[i % 14] ?? 0) / 16));
    if (block % 13 === 5) x.fill(0).set([3.999 / 64, -3 / 64, 0.5 / 64], 7);
  }
  return values;
}

/** [experts, rows, columns] -> [experts, columns, rows]. */
function transpose(
  values: Float64Array,
  { experts, rows, columns }: (typeof EXPERTS)[number],
): Float64Array {
  const turned = new Float64Array(values.length);
  for (let e = 0; e < experts; e++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        turned[(e * columns + column) * rows + row] = values[(e * rows + row) * columns + column]!;
      }
    }
  }
  return turned;
}

gpuTest.each(
  FORMATS.slice(0, 3).flatMap((encoding) =>
    EXPERTS.filter(({ experts }) => encoding === 'BF16' || experts === 8).map((shape) => ({
      encoding,
      ...shape,
    })),
  ),
)(
  '$encoding columns become the nearest MXFP4: $experts experts of $rows x $columns',
  async ({ encoding, ...shape }, gpu) => {
    const matrix = allocate(gpu, shape);
    const numbers = expertNumbers(shape.experts * shape.rows * shape.columns, 21);
    const { values } = writeNumbers(encoding, numbers);
    const { bytes } = writeNumbers(encoding, transpose(numbers, shape));
    const repack = new RepackKernels(gpu.gpu, gpu.buffers);
    const repacking = await repack.quantizedColumns(encoding, matrix);
    expect(repacking.rowsPerTile).toBe(32);
    stage(gpu, repacking, bytes, 96);
    checkQuantized(await readExpertMatrix(gpu, matrix), values);
  },
);

gpuTest.each(FORMATS)('alternating %s rows become the nearest MXFP4', async (encoding, gpu) => {
  for (const shape of EXPERTS.slice(1, encoding === 'BF16' ? 3 : 2)) {
    const matrix = allocate(gpu, shape);
    const numbers = expertNumbers(shape.experts * shape.rows * shape.columns, 22);
    const { bytes, values } = writeNumbers(encoding, numbers);
    const repack = new RepackKernels(gpu.gpu, gpu.buffers);
    for (const first of [0, 1]) {
      const repacking = await repack.quantizedRows(encoding, matrix, { first, step: 2 });
      stage(gpu, repacking, halfOfRows(bytes, repacking.rowBytes, first), shape.rowsPerChunk);
    }
    checkQuantized(await readExpertMatrix(gpu, matrix), values);
  }
});

gpuTest('numbers that MXFP4 can represent are quantized without loss', async (gpu) => {
  const next = createRandom(31);
  for (const shape of EXPERTS) {
    const length = shape.experts * shape.rows * shape.columns;
    const blocks = Uint8Array.from({ length: length / 2 }, () => next.integer(256));
    // Some blocks have small codes only, so that another scale represents them too.
    for (let i = 0; i < blocks.length; i++) if ((i >> 4) % 3 === 0) blocks[i]! &= 0x99 | 0x11;
    const scales = Uint8Array.from({ length: length / 32 }, () => 6 + next.integer(240));
    const published = decodeMxfp4(blocks, scales);
    const matrix = allocate(gpu, shape);
    const { bytes } = writeNumbers('BF16', transpose(published, shape));
    const repack = new RepackKernels(gpu.gpu, gpu.buffers);
    stage(gpu, await repack.quantizedColumns('BF16', matrix), bytes, 64);
    const { values } = await readExpertMatrix(gpu, matrix);
    expectSame(values, published);
  }
});
