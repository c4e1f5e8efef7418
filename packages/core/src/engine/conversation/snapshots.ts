import { isOssicleError } from '../../errors.ts';
import { type BufferPart, Buffers } from '../../gpu/buffers.ts';
import { CACHE_TILE } from '../../kernels/shape.ts';
import { cacheTileBytes, type KvCache } from '../../model/kv-cache.ts';
import type { Runtime } from '../../model/runtime.ts';

/** How many prefixes of a conversation are kept. */
const MAX_SNAPSHOTS = 4;

/** What is known of a snapshot besides its contents. */
export interface SnapshotState {
  /** Tokens in the prefix. */
  readonly length: number;
  /** Whether it ends where the first answer of a turn begins. */
  readonly isTurnStart: boolean;
}

interface Snapshot extends SnapshotState {
  /** [sliding layers, (keys, values), tiles of the window]. */
  readonly buffer: GPUBuffer;
  /** Owns the buffer. */
  readonly buffers: Buffers;
}

/**
 * Copies of the sliding layers' windows at the ends of prompts. A ring overwrites old positions; with a snapshot, a
 * conversation can be cut back there and continued without being evaluated again. Full layers keep everything.
 */
export class Snapshots {
  readonly #runtime: Runtime;
  readonly #kv: KvCache;
  #snapshots: Snapshot[] = [];

  /** @param states - Snapshots to allocate; the caller fills their {@link Snapshots.parts}. */
  constructor(runtime: Runtime, kv: KvCache, states: readonly SnapshotState[]) {
    this.#runtime = runtime;
    this.#kv = kv;
    this.#snapshots = states.map((state) => this.#allocate(state));
  }

  /** Resolves when the GPU has allocated all. @throws {@link OssicleError} `out-of-memory`. */
  async allocated(): Promise<void> {
    await Promise.all(this.#snapshots.map(({ buffers }) => buffers.allocated()));
  }

  /** The kept prefixes, shortest first. */
  get states(): readonly SnapshotState[] {
    return this.#snapshots.map(({ length, isTurnStart }) => ({ length, isTurnStart }));
  }

  /** The contents of the kept prefixes. */
  get parts(): BufferPart[] {
    return this.#snapshots.map(({ buffer }) => ({ buffer, sizeBytes: buffer.size }));
  }

  /**
   * Copies the windows after `length` tokens if the GPU has room for them: a snapshot only saves time.
   *
   * @param isTurnStart - Whether the first answer of a turn begins there. The next turn, which drops the reasoning of this
   * one, goes back to it.
   */
  async take(length: number, isTurnStart: boolean): Promise<void> {
    const caches = this.#slidingCaches();
    if (caches.length === 0) return;
    this.drop(length - 1);
    if (this.#snapshots.length === MAX_SNAPSHOTS) this.#dropOne(length);
    const snapshot = this.#allocate({ length, isTurnStart });
    try {
      await snapshot.buffers.allocated();
      this.#copy(snapshot, 'take');
      this.#snapshots.push(snapshot);
    } catch (error) {
      snapshot.buffers.dispose();
      if (!isOssicleError(error) || error.code !== 'out-of-memory') throw error;
    }
  }

  /** Restores the longest kept prefix of at most `length` tokens, and returns its length; 0 if there is none. */
  restore(length: number): number {
    // A window holds one position more than the next token attends to, so its last token can be evaluated again.
    const snapshot = this.#snapshots.findLast((kept) => kept.length <= length + 1);
    if (!snapshot) return 0;
    this.#copy(snapshot, 'restore');
    return Math.min(snapshot.length, length);
  }

  /** Drops prefixes of more than `length` tokens. */
  drop(length: number): void {
    for (const { buffers } of this.#snapshots.filter((kept) => kept.length > length)) {
      buffers.dispose();
    }
    this.#snapshots = this.#snapshots.filter((kept) => kept.length <= length);
  }

  #allocate(state: SnapshotState): Snapshot {
    const { gpu, shape } = this.#runtime;
    const buffers = new Buffers(gpu, 'snapshots');
    const sizeBytes = this.#slidingCaches().length * this.#windowTiles() * cacheTileBytes(shape);
    return { ...state, buffer: buffers.storage(`at ${state.length}`, sizeBytes), buffers };
  }

  /**
   * Makes room for a prefix of `end` tokens: drops the oldest that lies within a turn. If there is none, drops the start
   * of a turn, but not the last, that lies closest to the one before it, relative to its distance from the end: the kept
   * ones get closer to each other towards the end.
   */
  #dropOne(end: number): void {
    const kept = this.#snapshots;
    const gain = ({ length }: Snapshot, i: number): number =>
      (length - (kept[i - 1]?.length ?? 0)) / (end - length);
    const gains = kept.slice(0, -1).map(gain);
    const within = kept.findIndex(({ isTurnStart }) => !isTurnStart);
    const [dropped] = kept.splice(within < 0 ? gains.indexOf(Math.min(...gains)) : within, 1);
    dropped?.buffers.dispose();
  }

  /** Drops all prefixes and releases their memory. */
  dispose(): void {
    this.drop(-1);
  }

  /** The most tiles that a window lies in. */
  #windowTiles(): number {
    const { slidingWindow, ringCapacity } = this.#runtime.shape;
    return Math.min(Math.ceil((slidingWindow - 1) / CACHE_TILE) + 1, ringCapacity / CACHE_TILE);
  }

  /**
   * Copies the tiles of the window out of the ring or back into it, in two spans if they wrap around its end. Positions in
   * them that are not in the window change, too; nothing reads those any more.
   */
  #copy({ length, buffer }: Snapshot, direction: 'take' | 'restore'): void {
    const { gpu, shape } = this.#runtime;
    const ringTiles = shape.ringCapacity / CACHE_TILE;
    const bytes = cacheTileBytes(shape);
    const firstTile = Math.floor(Math.max(0, length - shape.slidingWindow) / CACHE_TILE);
    const tiles = Math.min(Math.ceil(length / CACHE_TILE) - firstTile, ringTiles);
    const first = firstTile % ringTiles;
    const beforeEnd = Math.min(tiles, ringTiles - first);
    const encoder = gpu.device.createCommandEncoder({ label: `snapshot ${direction}` });
    this.#slidingCaches().forEach((cache, i) => {
      const kept = i * this.#windowTiles() * bytes;
      const spans = [
        [kept, first * bytes, beforeEnd * bytes],
        [kept + beforeEnd * bytes, 0, (tiles - beforeEnd) * bytes],
      ] as const;
      for (const [inSnapshot, inRing, size] of spans) {
        if (size === 0) continue;
        if (direction === 'take') {
          encoder.copyBufferToBuffer(cache, inRing, buffer, inSnapshot, size);
        } else {
          encoder.copyBufferToBuffer(buffer, inSnapshot, cache, inRing, size);
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
