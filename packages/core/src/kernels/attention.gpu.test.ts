import { expect } from 'vitest';
import { type CacheShape, uploadCache } from '../../test/attention-inputs.ts';
import { gpuTest, type TestGpu } from '../../test/gpu.ts';
import {
  outputBuffer,
  outputFloats,
  randomValues,
  stepBuffer,
  uploadFloats,
} from '../../test/kernel-inputs.ts';
import { CACHED } from '../../test/number-formats.ts';
import { attention } from '../../test/oracles.ts';
import { createRandom } from '../../test/random.ts';
import { Kernel } from '../gpu/kernel.ts';
import { kernelSource } from './shaders.ts';
import { attendTiledGrid, attendWorkgroups, HEAD_SIZE, SPLIT_KEYS } from './shape.ts';

interface Shape extends CacheShape {
  readonly heads: number;
  /** 0: full attention. */
  readonly window: number;
}

interface Input {
  /** [tokens, heads * 64]. */
  readonly q: Float64Array;
  /** [keys, kvHeads * 64], as the cache holds them. */
  readonly k: Float64Array;
  /** [keys, kvHeads * 64], as the cache holds them. */
  readonly v: Float64Array;
  /** [heads]. */
  readonly sinks: Float64Array;
}

/** Inputs for the last `tokens` of `keys` positions. Scores have a standard deviation of about `spread`. */
function randomInput(shape: Shape, keys: number, tokens: number, spread = 2): Input {
  const { heads, kvHeads, kvCache } = shape;
  const next = createRandom(keys * 31 + tokens);
  const normal = (length: number, scale: number): Float64Array =>
    Float64Array.from({ length }, () => Math.fround(next.normal() * scale));
  const v = randomValues(keys * kvHeads * HEAD_SIZE, keys);
  return {
    q: normal(tokens * heads * HEAD_SIZE, spread),
    k: CACHED[kvCache](normal(keys * kvHeads * HEAD_SIZE, 1)),
    v: CACHED[kvCache](v),
    // Sinks that take almost none, some, about half and almost all of the weight.
    sinks: Float64Array.from({ length: heads }, (_, head) => [-1e4, 0.5, 5, 40][head % 4]!),
  };
}

/** [tokens, (heads + 2 * kvHeads) * 64]: the queries, with NaN in place of keys and values. */
function uploadProjected(gpu: TestGpu, q: Float64Array, { heads, kvHeads }: Shape): GPUBuffer {
  const [queries, width] = [heads * HEAD_SIZE, (heads + 2 * kvHeads) * HEAD_SIZE];
  const projected = new Float32Array((q.length / queries) * width).fill(Number.NaN);
  for (let token = 0; token < q.length / queries; token++) {
    projected.set(q.subarray(token * queries, (token + 1) * queries), token * width);
  }
  return gpu.upload(projected);
}

function expected({ q, k, v, sinks }: Input, { kvHeads, window }: Shape): Float64Array {
  return attention({ q, k, v, sinks, kvHeads, headDim: HEAD_SIZE, window }).out;
}

type Attend = (input: Input) => Promise<Float32Array>;

/** Attention of one token, with enough splits for the window or the capacity. */
async function compileAttend(gpu: TestGpu, shape: Shape): Promise<Attend> {
  const { heads, kvHeads, window, capacity, kvCache } = shape;
  const SPLITS = Math.ceil((window || capacity) / SPLIT_KEYS);
  const span = { HEADS: heads, WINDOW: window, SPLITS };
  const attend = await Kernel.compile(
    gpu.gpu,
    kernelSource('attend', {
      libraries: { kv: kvCache },
      constants: { ...span, KV_HEADS: kvHeads, RING: window && capacity },
    }),
  );
  const reduce =
    SPLITS === 1
      ? undefined
      : await Kernel.compile(gpu.gpu, kernelSource('attend_reduce', { constants: span }));
  return async ({ q, k, v, sinks }) => {
    const keys = k.length / (kvHeads * HEAD_SIZE);
    const step = stepBuffer(gpu, keys - 1, 1);
    const attended = outputBuffer(gpu, heads * HEAD_SIZE);
    const sinksBuffer = uploadFloats(gpu, sinks);
    const split = {
      split_out: outputBuffer(gpu, heads * SPLITS * HEAD_SIZE),
      split_stats: outputBuffer(gpu, heads * SPLITS * 2),
    };
    const dispatch = attend.dispatch(
      'attend',
      {
        step,
        projected: uploadProjected(gpu, q, shape),
        keys: uploadCache(gpu, 'keys', k, shape),
        values: uploadCache(gpu, 'values', v, shape),
        sinks: sinksBuffer,
        attended,
        ...split,
      },
      [attendWorkgroups({ heads, kvHeads }), SPLITS],
    );
    const join = reduce?.dispatch('reduce', { step, ...split, sinks: sinksBuffer, attended }, [
      heads,
    ]);
    gpu.run(dispatch, ...(join ? [join] : []));
    return outputFloats(gpu, attended);
  };
}

/** @param tokenTiles - How many tiles of tokens a dispatch has at most. */
async function compileAttendTiled(
  gpu: TestGpu,
  shape: Shape,
  tokenTiles: number = Infinity,
): Promise<Attend> {
  const { heads, kvHeads, window, capacity, kvCache } = shape;
  const kernel = await Kernel.compile(
    gpu.gpu,
    kernelSource('attend_tiled', {
      libraries: { kv: kvCache },
      constants: { HEADS: heads, KV_HEADS: kvHeads, RING: window && capacity, WINDOW: window },
    }),
  );
  return async ({ q, k, v, sinks }) => {
    const tokens = q.length / (heads * HEAD_SIZE);
    const keys = k.length / (kvHeads * HEAD_SIZE);
    const attended = outputBuffer(gpu, q.length);
    const resources = {
      step: stepBuffer(gpu, keys - tokens, tokens),
      projected: uploadProjected(gpu, q, shape),
      keys: uploadCache(gpu, 'keys', k, shape),
      values: uploadCache(gpu, 'values', v, shape),
      sinks: uploadFloats(gpu, sinks),
      attended,
    };
    const [fours, tiles] = attendTiledGrid({ heads, kvHeads }, tokens);
    for (let first = 0; first < tiles; first += tokenTiles) {
      const params = gpu.buffers.params(first);
      const grid = [fours, Math.min(tokenTiles, tiles - first)] as const;
      gpu.run(kernel.dispatch('attend', { ...resources, params }, grid));
    }
    return outputFloats(gpu, attended);
  };
}

interface AttendCase extends Shape {
  /** Positions so far, including the current one. */
  readonly keys: readonly number[];
}

const BOUNDARIES = [1, 2, 127, 128, 129, 255, 256, 257, 1000];

const ATTENDS: readonly AttendCase[] = [
  { heads: 8, kvHeads: 1, window: 0, capacity: 1000, kvCache: 'f32', keys: BOUNDARIES },
  { heads: 3, kvHeads: 3, window: 0, capacity: 256, kvCache: 'f16', keys: [1, 128, 129, 256] },
  { heads: 4, kvHeads: 2, window: 0, capacity: 100, kvCache: 'f32', keys: [1, 99, 100] },
  { heads: 32, kvHeads: 1, window: 0, capacity: 300, kvCache: 'f16', keys: [1, 129, 300] },
  { heads: 11, kvHeads: 1, window: 0, capacity: 96, kvCache: 'f32', keys: [31, 32, 33, 96] },
  {
    heads: 4,
    kvHeads: 2,
    window: 16,
    capacity: 32,
    kvCache: 'f32',
    keys: [1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 1000],
  },
  { heads: 4, kvHeads: 1, window: 128, capacity: 160, kvCache: 'f16', keys: BOUNDARIES },
  { heads: 16, kvHeads: 2, window: 0, capacity: 300, kvCache: 'int8', keys: [1, 31, 129, 300] },
  { heads: 3, kvHeads: 1, window: 16, capacity: 32, kvCache: 'int8', keys: [1, 17, 33, 1000] },
  {
    heads: 4,
    kvHeads: 1,
    window: 200,
    capacity: 224,
    kvCache: 'f32',
    keys: [128, 129, 200, 201, 223, 224, 225, 400, 447],
  },
];

gpuTest.each(ATTENDS)(
  'attend matches the oracle: $heads heads, $kvHeads KV heads, window $window, $kvCache cache of $capacity',
  async (shape, gpu) => {
    const attend = await compileAttend(gpu, shape);
    for (const keys of shape.keys) {
      const input = randomInput(shape, keys, 1);
      expect(await attend(input), `${keys} keys`).toBeCloseToArray(expected(input, shape), 1e-5);
    }
  },
);

interface TiledCase extends Shape {
  /** Positions so far, including the new ones, and how many of them are new. */
  readonly spans: readonly (readonly [keys: number, tokens: number])[];
}

const TILED: readonly TiledCase[] = [
  {
    heads: 6,
    kvHeads: 2,
    window: 16,
    capacity: 64,
    kvCache: 'int8',
    spans: [
      [3, 3],
      [40, 40],
      [500, 33],
    ],
  },
  {
    heads: 11,
    kvHeads: 1,
    window: 0,
    capacity: 96,
    kvCache: 'f16',
    spans: [
      [3, 3],
      [33, 2],
      [96, 9],
    ],
  },
  {
    heads: 3,
    kvHeads: 1,
    window: 1,
    capacity: 32,
    kvCache: 'f32',
    spans: [
      [5, 5],
      [100, 32],
    ],
  },
  {
    heads: 8,
    kvHeads: 1,
    window: 0,
    capacity: 300,
    kvCache: 'f32',
    spans: [
      [2, 2],
      [7, 7],
      [65, 65],
      [129, 8],
      [257, 9],
      [300, 40],
    ],
  },
  {
    heads: 2,
    kvHeads: 2,
    window: 0,
    capacity: 140,
    kvCache: 'f16',
    spans: [
      [1, 1],
      [130, 130],
      [140, 65],
    ],
  },
  // The smallest allowed rings: the window of the first new token, and all new tokens, in whole tiles.
  {
    heads: 4,
    kvHeads: 2,
    window: 16,
    capacity: 96, // of 16 + 81 - 1
    kvCache: 'f32',
    spans: [
      [16, 16],
      [17, 17],
      [70, 70],
      [18, 2],
      [400, 70],
      [997, 81],
    ],
  },
  {
    heads: 4,
    kvHeads: 1,
    window: 128,
    capacity: 160, // of 128 + 33 - 1
    kvCache: 'f16',
    spans: [
      [33, 33],
      [129, 33],
      [160, 2],
      [500, 33],
    ],
  },
];

gpuTest.each(TILED)(
  'attend_tiled matches the oracle: $heads heads, $kvHeads KV heads, window $window, $kvCache cache of $capacity',
  async (shape, gpu) => {
    const attend = await compileAttendTiled(gpu, shape);
    for (const [keys, tokens] of shape.spans) {
      const input = randomInput(shape, keys, tokens);
      const out = await attend(input);
      expect(out, `${tokens} of ${keys}`).toBeCloseToArray(expected(input, shape), 1e-5);
    }
  },
);

gpuTest('attend_tiled makes the same of all tokens in one dispatch and in several', async (gpu) => {
  const shape: Shape = { heads: 8, kvHeads: 2, window: 0, capacity: 200, kvCache: 'f16' };
  const input = randomInput(shape, 200, 70);
  const whole = await (await compileAttendTiled(gpu, shape))(input);
  const cut = await (await compileAttendTiled(gpu, shape, 3))(input);
  expect(cut).toEqual(whole);
});

gpuTest(
  'attention stays exact with scores in the hundreds, and with sinks that outweigh every key',
  async (gpu) => {
    const shape: Shape = { heads: 4, kvHeads: 2, window: 0, capacity: 256, kvCache: 'f32' };
    const one = await compileAttend(gpu, shape);
    const many = await compileAttendTiled(gpu, shape);
    const steep = randomInput(shape, 200, 1, 150);
    // Rounding scores of about 500 changes weights by a few times 500 * 2^-24.
    expect(await one(steep)).toBeCloseToArray(expected(steep, shape), 2e-4);
    expect(await many(steep)).toBeCloseToArray(expected(steep, shape), 2e-4);
    const swallowed = { ...randomInput(shape, 200, 1), sinks: Float64Array.of(300, 300, 300, 300) };
    expect(await one(swallowed)).toBeCloseToArray(new Float64Array(256), 1e-30);
    expect(await many(swallowed)).toBeCloseToArray(new Float64Array(256), 1e-30);
  },
);
