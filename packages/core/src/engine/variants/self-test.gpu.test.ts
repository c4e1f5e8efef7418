import { describe, expect } from 'vitest';
import { type Config, huggingFaceConfig, PRESETS } from '../../../test/config.ts';
import { SMALL } from '../../../test/engine.ts';
import { gpuTest, type TestGpu } from '../../../test/gpu.ts';
import { SHADERS, type Shaders } from '../../kernels/shaders.ts';
import type { Weights } from '../../model/weights.ts';
import { planLoad } from '../load/plan.ts';
import { createRuntime, type Runtime } from '../runtime.ts';
import { proveVariants } from './choose-variants.ts';
import { runSelfTest } from './self-test.ts';

type Options = Parameters<typeof planLoad>[1];

/** A runtime without weights: the self-test brings its own. */
function runtimeOf(
  { gpu, buffers }: TestGpu,
  config: Config,
  { options = {}, shaders = SHADERS }: { options?: Options; shaders?: Shaders } = {},
): Promise<Runtime> {
  const plan = planLoad(JSON.parse(huggingFaceConfig(config)), { contextLength: 64, ...options });
  return createRuntime(gpu, buffers, plan, undefined as unknown as Weights, shaders);
}

/** The library's kernels with another text of one file in its place, and a variant of that file. */
function replaced(file: string, wrong: readonly [string, string]): Shaders {
  const text = SHADERS.files.get(file) as string;
  expect(text).toContain(wrong[0]);
  const files = new Map([...SHADERS.files, [file, text.replace(...wrong)]]);
  return { ...SHADERS, files };
}

describe('the self-test', () => {
  gpuTest.each<[string, Config, Options]>([
    ['int8', SMALL, {}],
    ['bf16', SMALL, { dense: 'bf16' }],
    ['a chunk of one token', SMALL, { prefillChunkLength: 1 }],
    ['a context of one token', SMALL, { contextLength: 1 }],
    ['tiny', PRESETS.tiny, {}],
    ['nano', PRESETS.nano, {}],
    ['20b', PRESETS['20b'], { prefillChunkLength: 16 }],
  ])('passes with the base kernels: %s', async ([, config, options], gpu) => {
    const { passed, error } = await runSelfTest(await runtimeOf(gpu, config, { options }));
    expect(error).toBeLessThan(options.dense === 'bf16' ? 1e-4 : 2e-3);
    expect(error).toBeGreaterThan(0);
    expect(passed).toBe(true);
  });
});
