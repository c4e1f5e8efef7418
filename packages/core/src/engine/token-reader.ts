import { Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';

/** Tokens that may be on their way to the CPU at once. */
const SLOTS = 4;

/** Brings sampled tokens to the CPU while later ones are computed, through a ring of staging buffers. */
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

  /** Whether another token may be read before an earlier one has arrived. */
  get isFree(): boolean {
    return this.#free.length > 0;
  }

  /**
   * Encodes the copy of a token to a free slot.
   *
   * @param tokens - The token is its first element.
   * @returns To be called once the encoder's commands are submitted; resolves to the token.
   */
  copy(encoder: GPUCommandEncoder, tokens: GPUBuffer): () => Promise<number> {
    const slot = this.#free.pop();
    if (!slot) throw new Error('every slot is in use');
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
