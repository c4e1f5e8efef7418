import { expect } from 'vitest';
import { gpuTest, type TestGpu } from '../../test/gpu.ts';
import {
  outputBuffer,
  outputFloats,
  randomValues,
  stepBuffer,
  uploadFloats,
} from '../../test/kernel-inputs.ts';
import { rmsNorm } from '../../test/oracles.ts';
import { Kernel } from '../gpu/kernel.ts';
import { kernelSource } from './shaders.ts';
import { rowInvocations } from './shape.ts';

interface Norm {
  readonly columns: number;
  readonly epsilon: number;
  /** Rows to normalize. */
  readonly count: number;
  /** `step.output_row`, to start there. Default: start at row 0. */
  readonly outputRow?: number;
}

async function norm(
  gpu: TestGpu,
  x: Float64Array,
  scale: Float64Array,
  { columns, epsilon, count, outputRow }: Norm,
): Promise<Float32Array> {
  const kernel = await Kernel.compile(
    gpu.gpu,
    kernelSource('rms_norm', {
      constants: {
        COLUMNS: columns,
        EPSILON: epsilon,
        WORKGROUP_SIZE: rowInvocations(columns),
        FROM_OUTPUT_ROW: Number(outputRow !== undefined),
      },
    }),
  );
  const y = outputBuffer(gpu, count * columns);
  gpu.run(
    kernel.dispatch(
      'norm',
      {
        step: stepBuffer(gpu, 3, x.length / columns, outputRow ?? 2),
        x: uploadFloats(gpu, x),
        scale: uploadFloats(gpu, scale),
        y,
      },
      [1, count],
    ),
  );
  return outputFloats(gpu, y);
}

gpuTest.each([
  { columns: 32, count: 5 },
  { columns: 96, count: 1 },
  { columns: 160, count: 4 },
  { columns: 2880, count: 3 },
  { columns: 2912, count: 2 },
])('rms_norm matches the oracle: $count rows of $columns', async ({ columns, count }, gpu) => {
  const x = randomValues(columns * count, 1, 30);
  const scale = randomValues(columns, 2);
  const y = await norm(gpu, x, scale, { columns, epsilon: 1e-5, count });
  expect(y).toBeCloseToArray(rmsNorm(x, scale, 1e-5), 1e-6);
});

gpuTest(
  'rms_norm is exact for numbers beyond the f16 range, as in a residual stream',
  async (gpu) => {
    const x = randomValues(96, 3, 1e5);
    const scale = randomValues(96, 4);
    const y = await norm(gpu, x, scale, { columns: 96, epsilon: 1e-5, count: 1 });
    expect(y).toBeCloseToArray(rmsNorm(x, scale, 1e-5), 1e-6);
  },
);

gpuTest.each([1e-5, 1e-6])(
  'rms_norm adds the epsilon %f to the mean square',
  async (epsilon, gpu) => {
    // Numbers so small that the epsilon dominates under the root.
    const x = randomValues(96, 5, 1e-4);
    const scale = randomValues(96, 6);
    const y = await norm(gpu, x, scale, { columns: 96, epsilon, count: 1 });
    expect(y.map((value) => value * 100)).toBeCloseToArray(
      rmsNorm(x, scale, epsilon).map((value) => value * 100),
      1e-5,
    );
  },
);

gpuTest('rms_norm of zeros is zeros', async (gpu) => {
  const y = await norm(gpu, new Float64Array(64), randomValues(64, 7), {
    columns: 64,
    epsilon: 1e-5,
    count: 1,
  });
  expect(y).toBeCloseToArray(new Float64Array(64), 0);
});

gpuTest('rms_norm with FROM_OUTPUT_ROW reads from that row and writes from row 0', async (gpu) => {
  const x = randomValues(7 * 160, 8, 3);
  const scale = randomValues(160, 9);
  const y = await norm(gpu, x, scale, { columns: 160, epsilon: 1e-5, count: 2, outputRow: 4 });
  expect(y).toBeCloseToArray(rmsNorm(x, scale, 1e-5).subarray(4 * 160, 6 * 160), 1e-6);
});
