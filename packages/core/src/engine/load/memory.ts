import { isOssicleError, OssicleError } from '../../errors.ts';
import { Buffers } from '../../gpu/buffers.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { LoadPlan } from './plan.ts';

/** The largest buffer that memory is claimed in. */
const CLAIM_BYTES = 2 ** 30;

/**
 * Checks that the GPU has enough free memory by allocating it for a moment: WebGPU does not report how much there is.
 *
 * @throws {@link OssicleError} `out-of-memory`.
 */
export async function claimMemory(gpu: Gpu, sizeBytes: number): Promise<void> {
  const buffers = new Buffers(gpu, 'preflight');
  const most = Math.min(CLAIM_BYTES, gpu.device.limits.maxBufferSize);
  try {
    for (let left = sizeBytes; left > 0; left -= most) {
      buffers.storage(`part-${Math.ceil(left / most)}`, Math.min(left, most));
    }
    await buffers.allocated();
  } finally {
    buffers.dispose();
  }
  await gpu.settle(gpu.device.queue.onSubmittedWorkDone()); // then the memory is free again
}

/** Explains that the GPU did not provide the model's memory, with remedies. */
export function describeShortage({ gpuBytes, shape }: LoadPlan): string {
  const { contextLength, dense, kvCache } = shape;
  const smaller = [
    `a contextLength below ${contextLength}`,
    ...(dense === 'bf16' ? ["dense: 'int8'"] : []),
    ...(kvCache === 'f32' ? ["kvCache: 'f16'"] : []),
    ...(kvCache === 'f16' ? ["kvCache: 'int8'"] : []),
  ];
  return (
    `The model takes ${(gpuBytes / 1e9).toFixed(2)} GB of GPU memory, and the GPU did not provide that much. Close other ` +
    `tabs and programs that use the GPU, load with ${smaller.join(' or ')}, or use a machine with more memory.`
  );
}

/** Adds {@link describeShortage} to a failed allocation; other errors stay as they are. */
export function explainShortage(error: unknown, plan: LoadPlan): unknown {
  if (!isOssicleError(error) || error.code !== 'out-of-memory') return error;
  const message = `${describeShortage(plan)} ${error.message}`;
  return new OssicleError('out-of-memory', message, { cause: error });
}
