import { expect } from 'vitest';
import { countedDevice } from '../../test/engine.ts';
import { gpuTest } from '../../test/gpu.ts';
import { SHAPE_20B } from '../../test/kernel-shape.ts';
import { Gpu } from '../gpu/device.ts';
import { Kernels } from './kernels.ts';

gpuTest.each([
  { ...SHAPE_20B, prefill: 'int8' as const },
  { ...SHAPE_20B, dense: 'bf16' as const, kvCache: 'f32' as const },
])(
  'every kernel of the 20b compiles with dense $dense, kvCache $kvCache and prefill $prefill',
  async (shape, { gpu, buffers }) => {
    const step = buffers.storage('step', 16);
    const kernels = await Kernels.compile(gpu, shape, step, buffers, { adapter: 'gpu' });
    expect(kernels.has('wide')).toBe(true);
  },
);

gpuTest(
  'only the chosen pipelines of the 20b are compiled, at most 35',
  async ({ gpu, buffers }) => {
    const { device, counts } = countedDevice(gpu.device);
    const step = buffers.storage('step', 16);
    await Kernels.compile(new Gpu(device), SHAPE_20B, step, buffers, { adapter: 'gpu' });
    expect(counts.calls.get('createComputePipelineAsync')).toBeLessThanOrEqual(35);
  },
);

gpuTest('software adapters have tiles of their own', async ({ gpu, buffers }) => {
  const shape = { ...SHAPE_20B, hiddenSize: 64, intermediateSize: 32 };
  const kernels = await Kernels.compile(gpu, shape, buffers.storage('step', 16), buffers);
  const { isFallbackAdapter } = gpu.device.adapterInfo;
  expect(kernels.has('tall')).toBe(isFallbackAdapter);
  expect(kernels.has('wide')).toBe(!isFallbackAdapter);
});
