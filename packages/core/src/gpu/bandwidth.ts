import { Buffers } from './buffers.ts';
import type { Gpu } from './device.ts';

/** Copies must take at least this long in all, so that the time of a submission does not matter. */
const LEAST_MS = 20;

const MOST_COPIES = 1024;

/** The most bytes to copy: more than the caches of GPUs hold. */
const MOST_BYTES = 256 * 2 ** 20;

/**
 * Measures how fast the GPU moves bytes within its memory, by copying.
 *
 * @param sizeBytes - What later work reads over and over: if it fits in a cache, so do the copies.
 * @returns Bytes read and written per second; somewhat less than the memory can do.
 * @throws {@link OssicleError} `out-of-memory`, `device-lost`.
 */
export async function measureBandwidth(gpu: Gpu, sizeBytes: number): Promise<number> {
  const { device } = gpu;
  const size = Math.max(2 ** 16, Math.min(sizeBytes, MOST_BYTES, device.limits.maxBufferSize));
  const bytes = size - (size % 4);
  const buffers = new Buffers(gpu, 'bandwidth');
  try {
    const from = buffers.storage('from', bytes);
    const to = buffers.storage('to', bytes);
    await buffers.allocated();
    const time = async (copies: number): Promise<number> => {
      const start = performance.now();
      const encoder = device.createCommandEncoder({ label: 'bandwidth' });
      for (let i = 0; i < copies; i++) encoder.copyBufferToBuffer(from, 0, to, 0, bytes);
      device.queue.submit([encoder.finish()]);
      await gpu.settle(device.queue.onSubmittedWorkDone());
      return performance.now() - start;
    };
    await time(1); // the first copy also clears the buffers
    for (let copies = 1; ; copies *= 4) {
      const ms = await time(copies);
      if (ms < LEAST_MS && copies < MOST_COPIES) continue;
      return (2 * bytes * copies) / (Math.max(ms, 0.1) / 1000);
    }
  } finally {
    buffers.dispose();
  }
}
