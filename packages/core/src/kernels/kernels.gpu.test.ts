import { expect } from 'vitest';
import { gpuTest } from '../../test/gpu.ts';
import { Kernels } from './kernels.ts';
import type { KernelShape } from './shape.ts';

const SHAPE: KernelShape = {
  hiddenSize: 2880,
  intermediateSize: 2880,
  heads: 64,
  kvHeads: 8,
  experts: 32,
  expertsPerToken: 4,
  vocabularySize: 201088,
  normEpsilon: 1e-5,
  swigluLimit: 7,
  slidingWindow: 128,
  ringCapacity: 640,
  contextLength: 8192,
  maxTokens: 512,
  dense: 'int8',
  kvCache: 'f16',
};

gpuTest.each([SHAPE, { ...SHAPE, dense: 'bf16' as const, kvCache: 'f32' as const }])(
  'every kernel of the 20b compiles with dense $dense and kvCache $kvCache',
  async (shape, { gpu, buffers }) => {
    const step = buffers.storage('step', 16);
    const progress: number[] = [];
    await Kernels.compile(gpu, shape, step, buffers, (done, total) => progress.push(done / total));
    expect(progress.at(-1)).toBe(1);
  },
);
