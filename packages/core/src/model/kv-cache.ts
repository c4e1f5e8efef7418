import { type BufferPart, Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import type { LayerCache } from '../kernels/operands.ts';
import { CACHE_TILE, HEAD_SIZE, type KernelShape, KV_BYTES } from '../kernels/shape.ts';
import type { ModelConfig } from '../types/config.ts';

/** The fewest positions that full layers have room for. */
const FIRST_POSITIONS = 1024;

/**
 * Keys and values of one conversation. Sliding layers have a ring of a window and a pass; full layers grow by doubling.
 * How a layer's buffers are laid out is in `shaders/lib/cache.wgsl`.
 */
export class KvCache {
  readonly #gpu: Gpu;
  readonly #shape: KernelShape;
  #layers: readonly LayerCache[];
  /** Owns the buffers of each layer. */
  readonly #owners: Buffers[];

  /**
   * Await {@link KvCache.allocated} before use.
   *
   * @param positions - Positions that full layers need room for. They have room for more at first.
   */
  constructor(gpu: Gpu, config: ModelConfig, shape: KernelShape, positions = 0) {
    this.#gpu = gpu;
    this.#shape = shape;
    this.#owners = config.slidingLayers.map(() => new Buffers(gpu, 'session'));
    this.#layers = config.slidingLayers.map((isSliding, layer) => ({
      isSliding,
      ...createLayer(
        this.#owners[layer] as Buffers,
        layer,
        cacheBytes(shape, isSliding, Math.max(positions, FIRST_POSITIONS)),
      ),
    }));
  }

  /** The cache of each layer. A full layer that grows gets new buffers, and the model a new list. */
  get layers(): readonly LayerCache[] {
    return this.#layers;
  }

  /** Resolves when the GPU has allocated the buffers. @throws {@link OssicleError} `out-of-memory`. */
  async allocated(): Promise<void> {
    await Promise.all(this.#owners.map((buffers) => buffers.allocated()));
  }

  /**
   * The parts of the buffers that hold so many positions, layer by layer.
   *
   * @param written - Positions that have been written to the rings, at least as many.
   */
  parts(positions: number, written: number): BufferPart[] {
    const rings = Math.min(written, this.#shape.ringCapacity);
    return this.#layers.flatMap(({ isSliding, keys, values }) => {
      const sizeBytes = cacheBytes(this.#shape, false, isSliding ? rings : positions);
      return [
        { buffer: keys, sizeBytes },
        { buffer: values, sizeBytes },
      ];
    });
  }

  /** Whether full layers have room for so many positions. */
  hasRoom(positions: number): boolean {
    const needed = cacheBytes(this.#shape, false, positions);
    return this.#layers.every(({ isSliding, keys }) => isSliding || keys.size >= needed);
  }

  /**
   * Makes room for so many positions, or for twice as many as before if that is more. Grows a layer at a time, so that
   * only one exists twice. Earlier submits may still be running. If it fails, the cache holds what it held.
   *
   * @throws {@link OssicleError} `out-of-memory`.
   */
  async grow(positions: number): Promise<void> {
    const neededBytes = cacheBytes(this.#shape, false, positions);
    const mostBytes = cacheBytes(this.#shape, false);
    for (const [layer, { isSliding, keys, values }] of this.#layers.entries()) {
      if (isSliding || keys.size >= neededBytes) continue;
      const owner = new Buffers(this.#gpu, 'session');
      try {
        const sizeBytes = Math.min(mostBytes, Math.max(neededBytes, 2 * keys.size));
        const grown = createLayer(owner, layer, sizeBytes);
        await owner.allocated();
        const encoder = this.#gpu.device.createCommandEncoder({ label: `grow keys.${layer}` });
        encoder.copyBufferToBuffer(keys, 0, grown.keys, 0, keys.size);
        encoder.copyBufferToBuffer(values, 0, grown.values, 0, values.size);
        this.#gpu.device.queue.submit([encoder.finish()]);
        this.#owners[layer]?.dispose(); // once the submits that use it are done
        this.#owners[layer] = owner;
        this.#layers = this.#layers.with(layer, { isSliding, ...grown });
      } catch (error) {
        owner.dispose();
        throw error;
      }
    }
  }

  /** Releases the memory. */
  dispose(): void {
    for (const buffers of this.#owners) buffers.dispose();
  }
}

function createLayer(
  buffers: Buffers,
  layer: number,
  sizeBytes: number,
): Pick<LayerCache, 'keys' | 'values'> {
  return {
    keys: buffers.storage(`keys.${layer}`, sizeBytes),
    values: buffers.storage(`values.${layer}`, sizeBytes),
  };
}

/**
 * Bytes of the keys, or of the values, of one layer.
 *
 * @param positions - Positions that a full layer has room for. Default: the whole context.
 */
export function cacheBytes(
  shape: KernelShape,
  isSliding: boolean,
  positions: number = shape.contextLength,
): number {
  const slots = isSliding ? shape.ringCapacity : Math.min(positions, shape.contextLength);
  return Math.ceil(slots / CACHE_TILE) * cacheTileBytes(shape);
}

/** Bytes of the keys, or of the values, of {@link CACHE_TILE} positions of one layer. */
export function cacheTileBytes({ kvHeads, kvCache }: KernelShape): number {
  return CACHE_TILE * kvHeads * HEAD_SIZE * KV_BYTES[kvCache];
}
