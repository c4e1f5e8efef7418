import { describe, expect, test } from 'vitest';
import { huggingFaceConfig, PRESETS } from '../../../test/config.ts';
import { checkLimits, findObstacles, planLoad } from './plan.ts';

const config = (name: '20b' | '120b'): Record<string, unknown> =>
  JSON.parse(huggingFaceConfig(PRESETS[name]));

/** The default limits of WebGPU, with changes. */
function limits(changes: Partial<Record<keyof GPUSupportedLimits, number>>): GPUSupportedLimits {
  return {
    maxBufferSize: 2 ** 28,
    maxStorageBufferBindingSize: 2 ** 27,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupStorageSize: 16384,
    maxStorageBuffersPerShaderStage: 8,
    ...changes,
  } as unknown as GPUSupportedLimits;
}

describe('planLoad', () => {
  test('plans 20b by default with int8 matrices and a context of 8192 tokens', () => {
    const { shape, gpuBytes } = planLoad(config('20b'), {});
    expect(shape).toMatchObject({
      dense: 'int8',
      kvCache: 'f16',
      contextLength: 8192,
      chunkLength: 512,
      ringCapacity: 128 + 512,
    });
    // 10.6 GB of experts, 1.2 GB of embeddings, 0.7 GB of attention; a few hundred MB of caches and activations.
    expect(gpuBytes).toBeGreaterThan(12.3e9);
    expect(gpuBytes).toBeLessThan(13.5e9);
  });

  test('counts the bytes read per token: 4 of 32 experts, attention, and the unembedding once', () => {
    const gigabytes = (dense: 'int8' | 'bf16') =>
      planLoad(config('20b'), { dense }).tokenBytes / 1e9;
    expect(gigabytes('int8')).toBeCloseTo(0.679 + 1.269 + 0.615, 1);
    expect(gigabytes('bf16')).toBeCloseTo(1.278 + 1.269 + 1.158, 1);
  });

  test('defaults to a float32 cache for bfloat16 weights', () => {
    expect(planLoad(config('20b'), { dense: 'bf16' }).shape.kvCache).toBe('f32');
    expect(planLoad(config('20b'), { dense: 'bf16', kvCache: 'f16' }).shape.kvCache).toBe('f16');
  });

  test('halves the cache of f16 with int8, and quarters that of f32', () => {
    const bytes = (kvCache: 'int8' | 'f16' | 'f32') =>
      planLoad(config('20b'), { kvCache, contextLength: 131072 }).gpuBytes;
    expect(bytes('f32') - bytes('f16')).toBe(2 * (bytes('f16') - bytes('int8')));
    // 12 full layers of 131,072 positions and 12 rings of 640, keys and values, 8 heads of 64 bytes.
    expect(bytes('f16') - bytes('int8')).toBe(12 * (131072 + 640) * 2 * 8 * 64);
  });

  test('adds the caches of full layers and the rotation table for a longer context', () => {
    const bytes = (contextLength: number) => planLoad(config('20b'), { contextLength }).gpuBytes;
    // 12 full layers, keys and values, 8 heads of 64 halves; 64 floats.
    const perToken = 12 * 2 * 8 * 64 * 2 + 64 * 4;
    const more = bytes(65536) - bytes(32768);
    expect(more / 32768).toBeGreaterThanOrEqual(perToken);
    expect(more / 32768).toBeLessThan(perToken * 1.1);
  });

  test('limits the chunk length to the context length', () => {
    const { shape } = planLoad(config('20b'), { contextLength: 100 });
    expect(shape).toMatchObject({ chunkLength: 100, ringCapacity: 128, contextLength: 100 });
  });

  test('gives rings the window of the first token of a pass and all its tokens, in whole tiles of 32', () => {
    const capacity = (prefillChunkLength: number) =>
      planLoad(config('20b'), { prefillChunkLength }).shape.ringCapacity;
    expect([1, 33, 34, 512].map(capacity)).toEqual([128, 160, 192, 640]);
  });

  test('defaults to the context length of the model, if that is shorter', () => {
    const json = { ...config('20b'), max_position_embeddings: 2048 };
    expect(planLoad(json, {}).shape.contextLength).toBe(2048);
    expect(() => planLoad(json, { contextLength: 2049 })).toThrow(RangeError);
  });

  test.each(['20b', '120b'] as const)(
    'finds no obstacle to %s in the default limits of WebGPU',
    (name) => {
      expect(findObstacles(planLoad(config(name), {}), limits({}))).toEqual([]);
      const whole = planLoad(config(name), { contextLength: 131072 });
      expect(findObstacles(whole, limits({}))).toEqual([]);
    },
  );

  test('names the longest context that fits, if the given one does not', () => {
    const plan = planLoad(config('20b'), { contextLength: 131072, kvCache: 'f32' });
    const [obstacle = '', ...others] = findObstacles(plan, limits({}));
    expect(others).toEqual([]);
    const [, fitting] = /contextLength of at most (\d+)/.exec(obstacle) ?? [];
    const shorter = planLoad(config('20b'), { contextLength: Number(fitting), kvCache: 'f32' });
    expect(findObstacles(shorter, limits({}))).toEqual([]);
    const longer = planLoad(config('20b'), { contextLength: Number(fitting) + 1, kvCache: 'f32' });
    expect(findObstacles(longer, limits({}))).toHaveLength(1);
  });

  test('counts the queries, keys and values of a chunk, if they are larger than the expert buffers', () => {
    const narrow = {
      ...config('20b'),
      hidden_size: 64,
      intermediate_size: 64,
      num_experts_per_tok: 1,
    };
    const binding = { maxStorageBufferBindingSize: 2 ** 26 };
    const plan = (prefillChunkLength: number) => planLoad(narrow, { prefillChunkLength });
    const fitting = Math.floor(2 ** 26 / ((64 + 2 * 8) * 64 * 4));
    expect(findObstacles(plan(4096), limits(binding))).toEqual([
      expect.stringMatching(
        `chunk of 4096 tokens needs .* prefillChunkLength of at most ${fitting}`,
      ),
    ]);
    expect(findObstacles(plan(fitting + 1), limits(binding))).toHaveLength(1);
    expect(findObstacles(plan(fitting), limits(binding))).toEqual([]);
    const { needed } = checkLimits(plan(4096), limits({})).find(
      ({ name }) => name === 'maxBufferSize',
    )!;
    expect(needed).toBe(4096 * (64 + 2 * 8) * 64 * 4);
  });

  test('counts the rotation table of a long context, if it is larger than the keys', () => {
    const json = { ...config('20b'), num_key_value_heads: 1, num_attention_heads: 8 };
    const plan = (contextLength: number) =>
      planLoad(json, { contextLength, prefillChunkLength: 256 });
    const binding = limits({ maxStorageBufferBindingSize: 2 ** 24 });
    expect(findObstacles(plan(131072), binding)).toEqual([
      expect.stringMatching('context of 131072 tokens needs .* contextLength of at most 65536'),
    ]);
    expect(findObstacles(plan(65536), binding)).toEqual([]);
  });

  test('finds no obstacle to a model with many query heads per key head', () => {
    const plan = planLoad({ ...config('20b'), num_key_value_heads: 2 }, {});
    expect(findObstacles(plan, limits({}))).toEqual([]);
  });

  test('counts the router, which cannot be split', () => {
    const binding = limits({ maxStorageBufferBindingSize: 2 ** 27 });
    const many = planLoad({ ...config('20b'), num_local_experts: 2 ** 15 }, {});
    expect(findObstacles(many, binding)).toEqual([
      expect.stringMatching('model needs buffers of 180 MiB'),
    ]);
  });

  test('gives a window that is longer than the context no more than a full layer', () => {
    const wide = { ...config('20b'), sliding_window: 2 ** 18 };
    const plan = planLoad(wide, { contextLength: 131072 });
    expect(plan.shape.ringCapacity).toBe(131072);
    expect(findObstacles(plan, limits({}))).toEqual([]);
  });

  test('names every limit that is too low, with its value', () => {
    const low = limits({
      maxComputeInvocationsPerWorkgroup: 128,
      maxStorageBufferBindingSize: 2 ** 20,
    });
    const obstacles = findObstacles(planLoad(config('20b'), {}), low).join('\n');
    expect(obstacles).toMatch(/maxComputeInvocationsPerWorkgroup 128.*256/);
    expect(obstacles).toMatch(/1 MiB/);
  });
});
