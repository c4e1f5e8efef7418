import { Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';

/** How many tokens can be on their way to the CPU at once. */
export const SLOTS = 4;

/** Reads sampled tokens back through a pool of staging buffers while later ones are computed. */
export class TokenReader {
  readonly #gpu: Gpu;
  readonly #buffers: Buffers;
  readonly #free: GPUBuffer[];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.#buffers = new Buffers(gpu, 'tokens');
    this.#free = Array.from({ length: SLOTS }, (_, i) =>
      this.#buffers.create(`slot ${i}`, 4, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST),
    );
  }

  /**
   * Encodes a copy of the first element of `tokens` into a free slot.
   *
   * @returns A function that reads the token; call it once the encoder's commands have been submitted.
   */
  copy(encoder: GPUCommandEncoder, tokens: GPUBuffer): () => Promise<number> {
    const slot = this.#free.pop();
    if (!slot) throw new Error('All slots are in use');
    encoder.copyBufferToBuffer(tokens, 0, slot, 0, 4);
    return async () => {
      await this.#gpu.settle(slot.mapAsync(GPUMapMode.READ));
      const [token] = new Uint32Array(slot.getMappedRange());
      slot.unmap();
      this.#free.push(slot);
      return token as number;
    };
  }

  dispose(): void {
    this.#buffers.dispose();
  }
}
