import { OssicleError } from '../errors.ts';
import type { Gpu } from './device.ts';

/** Buffers of one owner (weights, a session, an upload), released together. */
export class Buffers {
  readonly #gpu: Gpu;
  readonly #owner: string;
  readonly #buffers = new Set<GPUBuffer>();
  #allocation: Promise<void> = Promise.resolve();
  readonly #params = new Map<string, GPUBuffer>();
  #sizeBytes = 0;

  /** @param owner - The first part of every buffer's label, as in `weights/block.0.attn.qkv`. */
  constructor(gpu: Gpu, owner: string) {
    this.#gpu = gpu;
    this.#owner = owner;
  }

  /** Bytes held on the GPU. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Creates a buffer. {@link Buffers.allocated} tells whether the GPU had room for it.
   *
   * @param sizeBytes - Rounded up to a multiple of 4; at least 4.
   * @throws {@link OssicleError} `device-unsuitable` if the device allows no buffer that large.
   */
  create(label: string, sizeBytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const { device } = this.#gpu;
    const size = Math.max(4, Math.ceil(sizeBytes / 4) * 4);
    if (size > device.limits.maxBufferSize) {
      throw new OssicleError(
        'device-unsuitable',
        `${this.#owner}/${label} needs a buffer of ${mebibytes(size)}; this GPU device allows ` +
          `${mebibytes(device.limits.maxBufferSize)}. Use a shorter context or another GPU.`,
      );
    }
    // The scope spans one synchronous call, so that no concurrent work falls into it.
    device.pushErrorScope('out-of-memory');
    const buffer = device.createBuffer({ label: `${this.#owner}/${label}`, size, usage });
    const scope = device.popErrorScope();
    const earlier = this.#allocation;
    this.#allocation = scope.then(async (error) => {
      await earlier;
      if (!error) return;
      throw new OssicleError(
        'out-of-memory',
        `The GPU has no room for ${this.#owner}/${label} (${mebibytes(size)}, after ` +
          `${mebibytes(this.#sizeBytes - size)} of ${this.#owner}). Close other tabs, or use a shorter context.`,
      );
    });
    this.#allocation.catch(() => undefined); // reported by allocated()
    this.#buffers.add(buffer);
    this.#sizeBytes += size;
    return buffer;
  }

  /** A storage buffer, which copies can read and write. */
  storage(label: string, sizeBytes: number): GPUBuffer {
    return this.create(
      label,
      sizeBytes,
      GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    );
  }

  /** A storage buffer with the given contents. */
  storageOf(label: string, data: Float32Array | Uint32Array): GPUBuffer {
    const buffer = this.storage(label, data.byteLength);
    this.#gpu.device.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>);
    return buffer;
  }

  /** A uniform buffer of constant u32 parameters; equal parameters share one buffer. */
  params(...values: readonly number[]): GPUBuffer {
    const key = values.join();
    let buffer = this.#params.get(key);
    if (!buffer) {
      const data = new Uint32Array(Math.ceil(values.length / 4) * 4); // uniforms are bound in 16s
      data.set(values);
      buffer = this.create(
        `params(${key})`,
        data.byteLength,
        GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      );
      this.#gpu.device.queue.writeBuffer(buffer, 0, data);
      this.#params.set(key, buffer);
    }
    return buffer;
  }

  /** Resolves when every buffer created so far has its memory. @throws {@link OssicleError} `out-of-memory`. */
  async allocated(): Promise<void> {
    await this.#gpu.settle(this.#allocation);
  }

  /** Releases one buffer. */
  release(buffer: GPUBuffer): void {
    if (!this.#buffers.delete(buffer)) return;
    this.#sizeBytes -= buffer.size;
    buffer.destroy();
  }

  /** Releases every buffer. */
  dispose(): void {
    for (const buffer of this.#buffers) buffer.destroy();
    this.#buffers.clear();
    this.#params.clear();
    this.#sizeBytes = 0;
  }
}

/** The first bytes of a buffer. */
export interface BufferPart {
  readonly buffer: GPUBuffer;
  readonly sizeBytes: number;
}

/** Copies parts of buffers to others of the same sizes, in one submit. */
export function copyParts(gpu: Gpu, from: readonly BufferPart[], to: readonly BufferPart[]): void {
  gpu.check();
  const encoder = gpu.device.createCommandEncoder({ label: 'copy' });
  from.forEach(({ buffer, sizeBytes }, i) => {
    encoder.copyBufferToBuffer(buffer, 0, (to[i] as BufferPart).buffer, 0, sizeBytes);
  });
  gpu.device.queue.submit([encoder.finish()]);
}

/** Reads a buffer, or a part of it, back from the GPU. */
export async function readBuffer(
  gpu: Gpu,
  source: GPUBuffer,
  offsetBytes = 0,
  sizeBytes: number = source.size - offsetBytes,
): Promise<ArrayBuffer> {
  gpu.check();
  const { device } = gpu;
  const staging = device.createBuffer({
    label: `readback/${source.label}`,
    size: sizeBytes,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  try {
    const encoder = device.createCommandEncoder({ label: 'readback' });
    encoder.copyBufferToBuffer(source, offsetBytes, staging, 0, sizeBytes);
    device.queue.submit([encoder.finish()]);
    await gpu.settle(staging.mapAsync(GPUMapMode.READ));
    return staging.getMappedRange().slice(0);
  } finally {
    staging.destroy();
  }
}

/** The most bytes that one storage binding can hold. */
export function maxBindingBytes(limits: GPUSupportedLimits): number {
  return Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
}

/** A size, for messages. */
export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 3 : 0)} MiB`;
}
