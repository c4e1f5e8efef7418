import { expect } from 'vitest';
import {
  type CacheShape,
  cachedRows,
  cacheWords,
  columnsOf,
  FREQUENCIES,
  uploadRopeTable,
} from '../../test/attention-inputs.ts';
import { gpuTest, type TestGpu } from '../../test/gpu.ts';
import {
  isUnwritten,
  outputBuffer,
  outputFloats,
  outputWords,
  randomValues,
  stepBuffer,
  uploadDense,
  uploadFloats,
} from '../../test/kernel-inputs.ts';
import { normedRows } from '../../test/normed-rows.ts';
import { int8QuadScale } from '../../test/number-formats.ts';
import { linear, rmsNorm, rope } from '../../test/oracles.ts';
import { Kernel } from '../gpu/kernel.ts';
import type { DenseFormat } from '../types/load.ts';
import { kernelSource } from './shaders.ts';
import { HEAD_SIZE, KV_BYTES, rowSplits, workgroupsOf } from './shape.ts';

interface Shape extends CacheShape {
  readonly heads: number;
}

interface Cache {
  readonly keys: GPUBuffer;
  readonly values: GPUBuffer;
}

function emptyCache(gpu: TestGpu, shape: Shape): Cache {
  const words = cacheWords(shape);
  return { keys: outputBuffer(gpu, words), values: outputBuffer(gpu, words) };
}

/** Expects `rows` [tokens, kvHeads * 64] at their slots of a ring, and nothing written elsewhere. */
async function expectAppended(
  gpu: TestGpu,
  of: 'keys' | 'values',
  cache: Cache,
  shape: Shape,
  rows: Float64Array,
  start: number,
): Promise<void> {
  const { kvHeads, kvCache } = shape;
  const words = await outputWords(gpu, cache[of]);
  const written = words.filter((word) => !isUnwritten(word));
  expect(written.length, 'written words').toBe((rows.length * KV_BYTES[kvCache]) / 4);
  const tokens = rows.length / (kvHeads * HEAD_SIZE);
  const got = cachedRows(of, words, shape, start, start + tokens);
  if (kvCache === 'f32') {
    expect(got).toBeCloseToArray(rows, 1e-5);
    return;
  }
  if (kvCache === 'int8') {
    // Half a unit of the four that share a scale, and what f32 adds; beyond 63 * 16, the largest number.
    const units = got.map((value, i) => {
      const quad = rows.subarray(i - (i % 4), i - (i % 4) + 4);
      return (value - Math.min(1008, Math.max(-1008, rows[i]!))) / int8QuadScale(quad);
    });
    expect(units).toBeCloseToArray(new Float64Array(got.length), 0.501);
    return;
  }
  // f16 has 11 significant bits, and WGSL allows rounding in either direction.
  const relative = got.map((value, i) => (value - rows[i]!) / (Math.abs(rows[i]!) + 1e-3));
  expect(relative).toBeCloseToArray(new Float64Array(got.length), 2 ** -10);
}

/** The oracle's [tokens, heads + 2 * kvHeads, 64], split and rotated. */
function splitAndRotate(
  projected: Float64Array,
  { heads, kvHeads }: Shape,
  start: number,
): { q: Float64Array; k: Float64Array; v: Float64Array } {
  const width = (heads + 2 * kvHeads) * HEAD_SIZE;
  const [queries, keys] = [heads * HEAD_SIZE, kvHeads * HEAD_SIZE];
  return {
    q: rope(columnsOf(projected, width, 0, queries), queries, start, FREQUENCIES),
    k: rope(columnsOf(projected, width, queries, queries + keys), keys, start, FREQUENCIES),
    v: columnsOf(projected, width, queries + keys, width),
  };
}

interface RopeCase extends Shape {
  readonly starts: readonly number[];
  readonly tokens: number;
}

const ROPES: readonly RopeCase[] = [
  // The ring wraps at 128, and at 131071 + 1.
  {
    heads: 3,
    kvHeads: 1,
    capacity: 32,
    kvCache: 'f32',
    starts: [0, 1, 127, 4095, 131071],
    tokens: 5,
  },
  { heads: 4, kvHeads: 2, capacity: 32, kvCache: 'f16', starts: [128, 131071], tokens: 17 },
  { heads: 1, kvHeads: 1, capacity: 160, kvCache: 'f32', starts: [0, 3], tokens: 130 },
  { heads: 3, kvHeads: 2, capacity: 64, kvCache: 'int8', starts: [0, 62], tokens: 33 },
];

gpuTest.each(ROPES)(
  'rope rotates $tokens tokens of $heads heads and $kvHeads KV heads, and appends to $kvCache rings of $capacity',
  async (shape, gpu) => {
    const { heads, kvHeads, capacity, kvCache, tokens } = shape;
    const kernel = await Kernel.compile(
      gpu.gpu,
      kernelSource('rope', {
        libraries: { kv: kvCache },
        constants: { HEADS: heads, KV_HEADS: kvHeads, RING: capacity },
      }),
    );
    const width = (heads + 2 * kvHeads) * HEAD_SIZE;
    for (const start of shape.starts) {
      const input = randomValues(tokens * width, 1 + start);
      const projected = outputBuffer(gpu, input.length, input);
      const cache = emptyCache(gpu, shape);
      gpu.run(
        kernel.dispatch(
          'rope',
          {
            step: stepBuffer(gpu, start, tokens),
            rope_table: uploadRopeTable(gpu, start, tokens),
            projected,
            ...cache,
          },
          [workgroupsOf('rope', width / 8), tokens],
        ),
      );
      const { q, k, v } = splitAndRotate(input, shape, start);
      const got = Float64Array.from(await outputFloats(gpu, projected));
      expect(columnsOf(got, width, 0, heads * HEAD_SIZE)).toBeCloseToArray(q, 1e-6);
      await expectAppended(gpu, 'keys', cache, shape, k, start);
      await expectAppended(gpu, 'values', cache, shape, v, start);
    }
  },
);

gpuTest(
  'keys and values beyond the range of f16 are stored as its largest numbers',
  async (gpu) => {
    const shape: Shape = { heads: 1, kvHeads: 1, capacity: 32, kvCache: 'f16' };
    const kernel = await Kernel.compile(
      gpu.gpu,
      kernelSource('rope', {
        libraries: { kv: 'f16' },
        constants: { HEADS: 1, KV_HEADS: 1, RING: 32 },
      }),
    );
    const beyond = [65504, 65519, 65536, 1e5, 3e38].flatMap((value) => [value, -value]);
    const values = Float64Array.from({ length: HEAD_SIZE }, (_, i) => beyond[i % beyond.length]!);
    const projected = outputBuffer(gpu, 3 * HEAD_SIZE, [
      ...new Float64Array(2 * HEAD_SIZE).fill(1e30),
      ...values,
    ]);
    const cache = emptyCache(gpu, shape);
    const step = stepBuffer(gpu, 5, 1);
    const resources = { step, rope_table: uploadRopeTable(gpu, 5, 1), projected, ...cache };
    gpu.run(kernel.dispatch('rope', resources, [workgroupsOf('rope', (3 * HEAD_SIZE) / 8), 1]));
    const stored = async (of: 'keys' | 'values') =>
      cachedRows(of, await outputWords(gpu, cache[of]), shape, 5, 6);
    expect([...(await stored('values'))]).toEqual(
      [...values].map((value) => 65504 * Math.sign(value)),
    );
    expect((await stored('keys')).every((value) => Math.abs(value) === 65504)).toBe(true);
  },
);

gpuTest(
  'an int8 cache keeps what is small, and what is beyond its range as the largest',
  async (gpu) => {
    const shape: Shape = { heads: 1, kvHeads: 1, capacity: 32, kvCache: 'int8' };
    const kernel = await Kernel.compile(
      gpu.gpu,
      kernelSource('rope', {
        libraries: { kv: 'int8' },
        constants: { HEADS: 1, KV_HEADS: 1, RING: 32 },
      }),
    );
    const quads = [
      [0, 0, 0, 0],
      [1e-9, -(2 ** -12) - 2 ** -20, 2 ** -11, 62 * 2 ** -11], // the least scale
      [1, 63, -63, 0.4],
      [63.4, -2, 31.4, 31.6],
      [63.6, -1, 3, 126], // rounds to a unit of 2
      [1008, -1008, 8, 24], // the largest scale
      [1e30, -3e38, 1016, 23],
    ];
    const stored = [
      [0, 0, 0, 0],
      [0, -(2 ** -11), 2 ** -11, 62 * 2 ** -11],
      [1, 63, -63, 0],
      [63, -2, 31, 32],
      [64, 0, 4, 126],
      [1008, -1008, 0, 32], // ties to even
      [1008, -1008, 1008, 16],
    ];
    const values = Float64Array.from({ length: HEAD_SIZE }, (_, i) => quads.flat()[i % 28]!);
    const projected = outputBuffer(gpu, 3 * HEAD_SIZE, [
      ...new Float64Array(2 * HEAD_SIZE).fill(1),
      ...values,
    ]);
    const cache = emptyCache(gpu, shape);
    const step = stepBuffer(gpu, 5, 1);
    const resources = { step, rope_table: uploadRopeTable(gpu, 5, 1), projected, ...cache };
    gpu.run(kernel.dispatch('rope', resources, [workgroupsOf('rope', (3 * HEAD_SIZE) / 8), 1]));
    const got = cachedRows('values', await outputWords(gpu, cache.values), shape, 5, 6);
    expect([...got].slice(0, 28)).toEqual(stored.flat());
  },
);

interface QkvCase extends Shape {
  readonly dense: DenseFormat;
  readonly columns: number;
  readonly starts: readonly number[];
  readonly tokens: number;
  readonly maxBindingBytes?: number;
}

const QKVS: readonly QkvCase[] = [
  {
    dense: 'bf16',
    columns: 288,
    heads: 4,
    kvHeads: 2,
    capacity: 32,
    kvCache: 'f32',
    starts: [0, 1, 22, 131071],
    tokens: 4,
  },
  {
    dense: 'int8',
    columns: 544,
    heads: 2,
    kvHeads: 1,
    capacity: 32,
    kvCache: 'f16',
    starts: [127, 4095],
    tokens: 2,
    maxBindingBytes: 1,
  },
  {
    dense: 'int8',
    columns: 32,
    heads: 8,
    kvHeads: 1,
    capacity: 160,
    kvCache: 'f32',
    starts: [0, 128],
    tokens: 1,
    maxBindingBytes: 3 * 64 * 32,
  },
  {
    dense: 'int8',
    columns: 96,
    heads: 3,
    kvHeads: 2,
    capacity: 32,
    kvCache: 'int8',
    starts: [0, 30],
    tokens: 4,
  },
];

/** Large, so that it matters. */
const EPSILON = 0.5;

gpuTest.each(QKVS)(
  'qkv of $tokens tokens matches the oracle: $dense, $columns columns, $heads + $kvHeads heads, $kvCache cache of $capacity',
  async (shape, gpu) => {
    const { dense, columns, heads, kvHeads, capacity, kvCache, tokens, maxBindingBytes } = shape;
    const rows = (heads + 2 * kvHeads) * HEAD_SIZE;
    const held = await uploadDense(gpu, dense, [rows, columns], randomValues(rows * columns, 2), {
      ...(maxBindingBytes === undefined ? {} : { maxBindingBytes }),
      rowsPerUnit: HEAD_SIZE,
    });
    const kernel = await Kernel.compile(
      gpu.gpu,
      kernelSource('qkv', {
        libraries: { dense, halves: 'native', kv: kvCache },
        constants: {
          COLUMNS: columns,
          HEADS: heads,
          KV_HEADS: kvHeads,
          RING: capacity,
          SPLITS: rowSplits(columns, 16),
          EPSILON,
        },
      }),
    );
    const bias = randomValues(rows, 3, 4);
    const scale = randomValues(columns, 6);
    const biasBuffer = uploadFloats(gpu, bias);
    for (const start of shape.starts) {
      const x = randomValues(tokens * columns, 5 + start);
      const h = uploadFloats(gpu, normedRows(x, scale));
      const projected = outputBuffer(gpu, tokens * rows);
      const cache = emptyCache(gpu, shape);
      const step = stepBuffer(gpu, start, tokens);
      const table = uploadRopeTable(gpu, start, tokens);
      gpu.run(
        ...held.matrix.parts.map((part) =>
          kernel.dispatch(
            'qkv',
            {
              params: gpu.buffers.params(part.firstRow / HEAD_SIZE),
              step,
              weights: part.values,
              scales: part.scales,
              bias: biasBuffer,
              h,
              rope_table: table,
              projected,
              ...cache,
            },
            [(2 * part.rows) / HEAD_SIZE, tokens],
          ),
        ),
      );
      const product = linear(rmsNorm(x, scale, EPSILON), held.values, bias, columns);
      const { q, k, v } = splitAndRotate(product, shape, start);
      const got = Float64Array.from(await outputFloats(gpu, projected));
      expect(columnsOf(got, rows, 0, heads * HEAD_SIZE)).toBeCloseToArray(q, 1e-5);
      await expectAppended(gpu, 'keys', cache, shape, k, start);
      await expectAppended(gpu, 'values', cache, shape, v, start);
    }
  },
);
