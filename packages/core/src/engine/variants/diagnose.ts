import { describeBrowser } from '../../gpu/device.ts';
import { profile, totalsByKernel } from '../../gpu/profiler.ts';
import { shadersChecksum } from '../../kernels/shaders.ts';
import { type Runtime, writeStep } from '../../model/runtime.ts';
import type { Diagnosis, KernelTime, VariantChoice } from '../../types/diagnosis.ts';
import type { ModelInfo } from '../../types/load.ts';
import { runSelfTest } from './self-test.ts';
import { type ChosenVariants, SharedCache } from './tune-variants.ts';

/**
 * Describes a loaded model for a report, and runs its self-test.
 *
 * @param isRemembered - Whether the choices come from an earlier load.
 */
export async function diagnose(
  { runtime, choices }: ChosenVariants,
  info: ModelInfo,
  isRemembered: boolean,
): Promise<Diagnosis> {
  const { gpu, scheduler } = runtime;
  gpu.check();
  const { id, contextLength, dense, kvCache, prefill, gpuBytes, parameterCount } = info;
  const { features, limits } = gpu.device;
  const data = {
    userAgent: describeBrowser(),
    shaders: shadersChecksum(),
    adapter: info.adapter,
    features: [...features].sort(),
    limits: numbersOf(limits),
    model: { id, contextLength, dense, kvCache, prefill, gpuBytes, parameterCount },
    variants: choices,
    isRemembered,
    selfTest: await runSelfTest(runtime),
    speed: scheduler.speed,
    kernels: await timeKernels(runtime),
  };
  return { text: describe(data), ...data };
}

/** The limits are getters of a prototype. */
function numbersOf(limits: GPUSupportedLimits): Record<string, number> {
  const numbers: Record<string, number> = {};
  for (const name in limits) {
    const value: unknown = limits[name as keyof GPUSupportedLimits];
    if (typeof value === 'number') numbers[name] = value;
  }
  return numbers;
}

/** Times the kernels of a decode step. */
async function timeKernels(runtime: Runtime): Promise<KernelTime[]> {
  const { gpu, model } = runtime;
  if (!gpu.device.features.has('timestamp-query')) return [];
  const kv = new SharedCache(runtime);
  try {
    await kv.allocated();
    writeStep(runtime, 0, 1, 0);
    const rows = await profile(gpu, [...model.forward(kv, 1), ...model.unembed(1)]);
    return totalsByKernel(rows).map(({ kernel, nanoseconds }) => ({
      kernel,
      dispatches: rows.filter((row) => row.kernel === kernel).length,
      microseconds: nanoseconds / 1000,
    }));
  } finally {
    kv.dispose();
  }
}

/** The text form: one fact per line. */
function describe(data: Omit<Diagnosis, 'text'>): string {
  const { adapter, model, selfTest, speed } = data;
  const variants = data.variants.map(describeVariant);
  const kernels = data.kernels.map(
    ({ kernel, dispatches, microseconds }) =>
      `  ${kernel} x ${dispatches}: ${microseconds.toFixed(0)} us`,
  );
  const limits = Object.entries(data.limits).map(([name, value]) => `  ${name}: ${value}`);
  return [
    `ossicle, kernels ${data.shaders}`,
    `browser: ${data.userAgent || 'none'}`,
    `adapter: ${[adapter.vendor, adapter.architecture, adapter.description].filter(Boolean).join(', ')}`,
    `features: ${data.features.join(', ') || 'none'}`,
    `model: ${model.id}, ${model.dense} weights, ${model.kvCache} cache, ${model.prefill} prefill, context ${model.contextLength}, ${(model.gpuBytes / 1e9).toFixed(2)} GB`,
    `self-test: ${selfTest.passed ? 'passed' : 'FAILED'}, error ${selfTest.error.toExponential(1)}`,
    `speed: ${(speed.flopsPerSecond / 1e9).toFixed(0)} GFLOP/s, ${(speed.bytesPerSecond / 1e9).toFixed(0)} GB/s`,
    `variants${data.isRemembered ? ', as in an earlier load' : ''}: ${variants.length === 0 ? 'none' : ''}`,
    ...variants,
    `one token: ${kernels.length === 0 ? 'not timed' : ''}`,
    ...kernels,
    'limits:',
    ...limits,
  ].join('\n');
}

function describeVariant({ variant, choice, milliseconds }: VariantChoice): string {
  if (!milliseconds) return `  ${variant}: ${choice}`;
  const { used, unused } = milliseconds;
  return `  ${variant}: ${choice} (${used.toFixed(3)} ms with it, ${unused.toFixed(3)} ms without)`;
}
