import { isOssicleError } from '../errors.ts';
import { Buffers } from '../gpu/buffers.ts';
import { headBytes, type KvCache } from '../model/state.ts';
import type { Runtime } from './runtime.ts';

/** Prefixes of a conversation that can be gone back to; older ones are given up. */
const MAX_SNAPSHOTS = 4;

interface Snapshot {
  /** Tokens of the prefix. */
  readonly length: number;
  /** [sliding layers, (keys, values), kvHeads, window, 64]. */
  readonly buffer: GPUBuffer;
  /** Owns the buffer. */
  readonly buffers: Buffers;
}

/**
 * Copies of the sliding layers' windows at the ends of prompts. A ring forgets what is older than its capacity; with
 * these, a conversation that is cut back there goes on without being evaluated again. Full layers keep everything.
 */
export class Snapshots {
  readonly #runtime: Runtime;
  readonly #kv: KvCache;
  #snapshots: Snapshot[] = [];

  constructor(runtime: Runtime, kv: KvCache) {
    this.#runtime = runtime;
    this.#kv = kv;
  }

  /** Keeps the windows as they are after `length` tokens, if the GPU has room: a snapshot only saves time. */
  async take(length: number): Promise<void> {
    const caches = this.#slidingCaches();
    if (caches.length === 0) return;
    this.drop(length - 1);
    if (this.#snapshots.length === MAX_SNAPSHOTS) this.#snapshots.shift()?.buffers.dispose();
    const { gpu, shape } = this.#runtime;
    const buffers = new Buffers(gpu, 'snapshots');
    try {
      const sizeBytes = caches.length * shape.kvHeads * shape.slidingWindow * headBytes(shape);
      const buffer = buffers.storage(`at ${length}`, sizeBytes);
      await buffers.allocated();
      const snapshot = { length, buffer, buffers };
      this.#copy(snapshot, 'take');
      this.#snapshots.push(snapshot);
    } catch (error) {
      buffers.dispose();
      if (!isOssicleError(error) || error.code !== 'out-of-memory') throw error;
    }
  }

  /** Brings the windows back to the longest prefix of at most `length` tokens that is kept; 0 where there is none. */
  restore(length: number): number {
    // A window holds one position more than the next token sees before it: its last token can be evaluated again.
    const snapshot = this.#snapshots.findLast((kept) => kept.length <= length + 1);
    if (!snapshot) return 0;
    this.#copy(snapshot, 'restore');
    return Math.min(snapshot.length, length);
  }

  /** Forgets prefixes of more than `length` tokens. */
  drop(length: number): void {
    for (const { buffers } of this.#snapshots.filter((kept) => kept.length > length)) {
      buffers.dispose();
    }
    this.#snapshots = this.#snapshots.filter((kept) => kept.length <= length);
  }

  /** Forgets all. */
  dispose(): void {
    this.drop(-1);
  }

  /** Copies the last positions of the window from their places in the ring, or to them; a ring's end cuts them in two. */
  #copy({ length, buffer }: Snapshot, direction: 'take' | 'restore'): void {
    const { gpu, shape } = this.#runtime;
    const { slidingWindow, ringCapacity, kvHeads } = shape;
    const bytes = headBytes(shape);
    const count = Math.min(length, slidingWindow);
    const first = (length - count) % ringCapacity;
    const beforeEnd = Math.min(count, ringCapacity - first);
    const encoder = gpu.device.createCommandEncoder({ label: `snapshot ${direction}` });
    this.#slidingCaches().forEach((cache, i) => {
      for (let head = 0; head < kvHeads; head++) {
        const kept = (i * kvHeads + head) * slidingWindow * bytes;
        const ring = head * ringCapacity * bytes;
        const spans = [
          [kept, ring + first * bytes, beforeEnd * bytes],
          [kept + beforeEnd * bytes, ring, (count - beforeEnd) * bytes],
        ] as const;
        for (const [inSnapshot, inRing, size] of spans) {
          if (size === 0) continue;
          if (direction === 'take') {
            encoder.copyBufferToBuffer(cache, inRing, buffer, inSnapshot, size);
          } else {
            encoder.copyBufferToBuffer(buffer, inSnapshot, cache, inRing, size);
          }
        }
      }
    });
    gpu.device.queue.submit([encoder.finish()]);
  }

  #slidingCaches(): GPUBuffer[] {
    return this.#kv.layers.flatMap(({ isSliding, keys, values }) =>
      isSliding ? [keys, values] : [],
    );
  }
}
