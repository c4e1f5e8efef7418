import { describe, expect, test } from 'vitest';
import { createCheckpoint } from '../../../test/checkpoint.ts';
import { type Config, huggingFaceConfig, PRESETS } from '../../../test/config.ts';
import { countedDevice, loadRuntime, openGpuDevice, SMALL } from '../../../test/engine.ts';
import { gpuTest, type TestGpu } from '../../../test/gpu.ts';
import { Buffers } from '../../gpu/buffers.ts';
import { Gpu } from '../../gpu/device.ts';
import { pipelineSources } from '../../kernels/pipelines.ts';
import { SHADERS, type Shaders } from '../../kernels/shaders.ts';
import { createRuntime, type Runtime } from '../../model/runtime.ts';
import type { Weights } from '../../model/weights.ts';
import { planLoad } from '../load/plan.ts';
import { runSelfTest } from './self-test.ts';
import { proveVariants, tuneVariants } from './tune-variants.ts';

type Options = Parameters<typeof planLoad>[1];

/** A runtime without weights: the self-test brings its own. */
function runtimeOf(
  { gpu, buffers }: Pick<TestGpu, 'gpu' | 'buffers'>,
  config: Config,
  { options = {}, shaders = SHADERS }: { options?: Options; shaders?: Shaders } = {},
): Promise<Runtime> {
  const plan = planLoad(JSON.parse(huggingFaceConfig(config)), { contextLength: 64, ...options });
  return createRuntime(gpu, buffers, plan, undefined as unknown as Weights, shaders);
}

/** The library's kernels with one variant more. */
function withVariant(shaders: Shaders, file: string, variant: string, wgsl: string): Shaders {
  return {
    files: new Map([...shaders.files, [variant, wgsl]]),
    variants: { ...shaders.variants, [file]: [variant] },
  };
}

/** The library's kernels, of which one does nothing. */
function withIdle(kernel: string): Shaders {
  const text = SHADERS.files.get(kernel) as string;
  const idle = text.replace(/(fn \w+\(@builtin[^{]*\{)/, '$1\n  if (true) {\n    return;\n  }');
  expect(idle).not.toBe(text);
  return withVariant(SHADERS, kernel, `${kernel}_idle`, idle);
}

/** A variant of the library's SwiGLU with another formula, and one of its tiles with the same. */
function withWrongAndRight(): Shaders {
  const swiglu = SHADERS.files.get('lib/swiglu') as string;
  const wrong = swiglu.replace('(up + 1)', '(up + 1.05)');
  expect(wrong).not.toBe(swiglu);
  const shaders = withVariant(SHADERS, 'lib/swiglu', 'lib/swiglu_wrong', wrong);
  return withVariant(shaders, 'lib/tile', 'lib/tile_same', SHADERS.files.get('lib/tile') as string);
}

/** What the self-test is run with: by name, models and options of a load. */
type Case = readonly [name: string, Config, Options];

async function passes([, config, options]: Case, gpu: TestGpu): Promise<void> {
  const { passed, error } = await runSelfTest(await runtimeOf(gpu, config, { options }));
  const rounded = options.kvCache === 'int8' ? 0.05 : 2e-3;
  expect(error).toBeLessThan(options.dense === 'bf16' ? 1e-4 : rounded);
  expect(error).toBeGreaterThan(0);
  expect(passed).toBe(true);
}

describe('the self-test', () => {
  gpuTest.each<Case>([
    ['int8', SMALL, {}],
    ['bf16', SMALL, { dense: 'bf16' }],
    ['an 8-bit cache', SMALL, { kvCache: 'int8' }],
    ['a chunk of one token', SMALL, { prefillChunkLength: 1 }],
    ['a context of one token', SMALL, { contextLength: 1 }],
    ['tiny', PRESETS.tiny, {}],
  ])('passes with the base kernels: %s', passes);
  gpuTest.slow.each<Case>([
    ['nano', PRESETS.nano, {}],
    ['20b', PRESETS['20b'], { prefillChunkLength: 16 }],
  ])('passes with the base kernels: %s', passes);

  test.each([
    ['lib/product_wide', 'count > 48', 'count > 64'],
    ['expert_out_tiled', 'slots.count, local', 'min(slots.count, 48), local'], // of an expert: all choose the same
  ])('fails if a wide tile lacks its last inputs: %s', async (path, right, wrong) => {
    const device = await openGpuDevice();
    const gpu = new Gpu(device.device);
    const buffers = new Buffers(gpu, 'test');
    const text = SHADERS.files.get(path) as string;
    expect(text).toContain(right);
    const shaders = withVariant(SHADERS, path, `${path}_wrong`, text.replace(right, wrong));
    const runtime = await runtimeOf({ gpu, buffers }, SMALL, { shaders });
    expect((await runSelfTest(runtime)).passed).toBe(false);
    buffers.dispose();
    await device.close();
  });

  gpuTest.slow('fails if any kernel does nothing', async (gpu) => {
    const runtime = await runtimeOf(gpu, SMALL, { options: { contextLength: 256 } });
    const { shape } = runtime;
    const libraries = { dense: shape.dense, kv: shape.kvCache, halves: 'native' };
    const kernels = [...pipelineSources(shape, { libraries }).values()];
    for (const kernel of new Set(kernels.map(({ entryPoint }) => entryPoint))) {
      if (kernel === 'sample_candidates') continue; // `sample` does without its list, only slower
      const { passed } = await runSelfTest(await runtime.recompile(withIdle(kernel)));
      expect(passed, kernel).toBe(false);
    }
    expect((await runSelfTest(runtime)).passed).toBe(true);
  });
});

describe('the variants of a runtime', () => {
  gpuTest('are used only if the self-test passes with them', async (gpu) => {
    const runtime = await runtimeOf(gpu, SMALL, { shaders: withWrongAndRight() });
    expect((await runSelfTest(runtime)).passed).toBe(false);
    const proven = await proveVariants(runtime);
    expect(proven.choices).toEqual([
      { variant: 'lib/swiglu_wrong', choice: 'wrong' },
      { variant: 'lib/tile_same', choice: 'used' },
    ]);
    expect(proven.runtime.shaders.variants).toMatchObject({
      'lib/swiglu': [],
      'lib/tile': ['lib/tile_same'],
    });
    expect((await runSelfTest(proven.runtime)).passed).toBe(true);
  });

  gpuTest('are proven once for a device and a shape', async (gpu) => {
    const { device, counts } = countedDevice(gpu.gpu.device);
    const counted = { gpu: new Gpu(device), buffers: gpu.buffers };
    const submits = async (options: Options): Promise<number> => {
      const runtime = await runtimeOf(counted, SMALL, { options });
      const before = counts.calls.get('createCommandEncoder') ?? 0;
      await proveVariants(runtime);
      return (counts.calls.get('createCommandEncoder') ?? 0) - before;
    };
    expect(await submits({})).toBeGreaterThan(0);
    expect(await submits({})).toBe(0);
    expect(await submits({ contextLength: 96 })).toBeGreaterThan(0);
  });

  test.each<[string, Options]>([
    ['lib/product_wide', {}],
    ['lib/product_int8', { prefill: 'int8' }],
  ])('do without %s if it is wrong', async (tiles, options) => {
    const device = await openGpuDevice();
    const gpu = new Gpu(device.device);
    const buffers = new Buffers(gpu, 'test');
    const text = SHADERS.files.get(tiles) as string;
    expect(text).toContain('count > 48');
    const wrong = text.replace('count > 48', 'count > 64');
    const shaders = { ...SHADERS, files: new Map([...SHADERS.files, [tiles, wrong]]) };
    const runtime = await runtimeOf({ gpu, buffers }, SMALL, { options, shaders });
    const proven = await proveVariants(runtime);
    expect(proven.choices.filter(({ choice }) => choice === 'wrong')).toEqual([
      { variant: tiles, choice: 'wrong' },
    ]);
    expect(proven.runtime.kernels.has('wide')).toBe(tiles === 'lib/product_int8');
    expect((await runSelfTest(proven.runtime)).passed).toBe(true);
    buffers.dispose();
    await device.close();
  });

  gpuTest('cannot help if the base is wrong', async (gpu) => {
    const files = new Map([...SHADERS.files, ...withIdle('expert_out').files]);
    files.set('expert_out', files.get('expert_out_idle') as string);
    const runtime = await runtimeOf(gpu, SMALL, { shaders: { ...SHADERS, files } });
    await expect(proveVariants(runtime)).rejects.toMatchObject({ code: 'device-unsuitable' });
  });

  gpuTest.each([
    { used: 9, unused: 10, choice: 'used' },
    { used: 10, unused: 9, choice: 'slower' },
  ])('are used if they are not slower: $used ms, or $unused ms without', async (times, gpu) => {
    const buffers = new Buffers(gpu.gpu, 'model');
    const { files } = createCheckpoint(SMALL);
    const loaded = await loadRuntime(gpu.gpu, buffers, files, { contextLength: 64 });
    const tile = SHADERS.files.get('lib/tile') as string;
    const shaders = withVariant(SHADERS, 'lib/tile', 'lib/tile_same', tile);
    const proven = await proveVariants(await loaded.recompile(shaders));
    // Two calls for the bound, then two for each measurement: with the variant, then without, in turns.
    let calls = 0;
    let milliseconds = 0;
    const tuned = await tuneVariants(proven, () => {
      calls++;
      if (calls % 4 === 0) milliseconds += times.used;
      if (calls % 4 === 2 && calls > 2) milliseconds += times.unused;
      return milliseconds;
    });
    const { used, unused, choice } = times;
    expect(tuned.choices).toEqual([
      // Of a decode step and of a pass.
      { variant: 'lib/tile_same', choice, milliseconds: { used: 2 * used, unused: 2 * unused } },
    ]);
    expect(tuned.runtime.shaders.variants['lib/tile']).toEqual(
      choice === 'used' ? ['lib/tile_same'] : [],
    );
    buffers.dispose();
  });

  gpuTest('beyond the bound are not timed', async (gpu) => {
    const shaders = withWrongAndRight();
    const runtime = await runtimeOf(gpu, SMALL, { shaders });
    const choices = ['lib/swiglu_wrong', 'lib/tile_same'].map(
      (variant) => ({ variant, choice: 'used' }) as const,
    );
    let milliseconds = 0;
    const tuned = await tuneVariants({ runtime, choices }, () => {
      milliseconds += 3000;
      return milliseconds;
    });
    expect(tuned).toEqual({ runtime, choices });
  });
});
