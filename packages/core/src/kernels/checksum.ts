import { Buffers, maxBindingBytes, readBuffer } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { Kernel } from '../gpu/kernel.ts';
import { submit } from '../gpu/recorder.ts';
import { kernelSource } from './shaders.ts';

/** Words that an invocation adds up, if there are so many. */
const WORDS_PER_INVOCATION = 256;

/** Invocations of a workgroup. */
const WORKGROUP_SIZE = 256;

/** Bytes between the results of two dispatches: where any device lets a binding begin. */
const STRIDE_BYTES = 256;

/** The most bytes of one submit. */
const SUBMIT_BYTES = 2 ** 28;

/**
 * Checksums of buffers, eight bytes for each: other contents have others. They are no protection against an attacker.
 *
 * @throws {@link OssicleError} `out-of-memory`, `device-lost`.
 */
export async function checksumBuffers(
  gpu: Gpu,
  sources: readonly GPUBuffer[],
): Promise<Uint32Array> {
  const most = Math.min(SUBMIT_BYTES, maxBindingBytes(gpu.device.limits));
  const pieces = sources.flatMap((buffer) =>
    Array.from({ length: Math.ceil(buffer.size / most) }, (_, i) => ({
      buffer,
      offset: i * most,
      size: Math.min(most, buffer.size - i * most),
    })),
  );
  const buffers = new Buffers(gpu, 'checksum');
  try {
    const sums = buffers.storage('sums', STRIDE_BYTES * pieces.length);
    await buffers.allocated();
    const kernel = await Kernel.compile(gpu, kernelSource('checksum'));
    for (const [i, words] of pieces.entries()) {
      const workgroups = Math.ceil(words.size / 4 / WORDS_PER_INVOCATION / WORKGROUP_SIZE);
      const to = { buffer: sums, offset: i * STRIDE_BYTES, size: 8 };
      submit(gpu, [kernel.dispatch(words.buffer.label, { words, sums: to }, [workgroups])]);
    }
    const results = new Uint32Array(await readBuffer(gpu, sums));
    return results.filter((_, i) => i % (STRIDE_BYTES / 4) < 2);
  } finally {
    buffers.dispose();
  }
}
