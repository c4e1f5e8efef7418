/** Inputs of attention tests: RoPE tables, and keys and values in the cache's layout. */

import { HEAD_SIZE, KV_BYTES } from '../src/kernels/shape.ts';
import type { KvCacheFormat } from '../src/types/load.ts';
import { PRESETS } from './config.ts';
import type { TestGpu } from './gpu.ts';
import { fromF16, packInt8Quads, toF16, unpackInt8Quads } from './number-formats.ts';
import { type RopeFrequencies, ropeAngles, yarnFrequencies } from './oracles.ts';

const { ropeTheta, yarn } = PRESETS['20b'];

/** The rotary frequencies of the published models. */
export const FREQUENCIES: RopeFrequencies = yarnFrequencies(HEAD_SIZE, ropeTheta, yarn);

/** How keys and values are stored. */
export interface CacheShape {
  readonly kvHeads: number;
  /** How many positions fit, rounded up to whole tiles. In a ring, position p is at p % capacity. */
  readonly capacity: number;
  readonly kvCache: KvCacheFormat;
}

/**
 * Uploads a table of cosines and sines with `tokens` positions from `start` on; all other positions rotate to zeros.
 */
export function uploadRopeTable(gpu: TestGpu, start: number, tokens: number): GPUBuffer {
  const buffer = gpu.buffers.storage('rope table', (start + tokens) * HEAD_SIZE * 4);
  const rows = Array.from({ length: tokens }, (_, token) => {
    const { cos, sin } = ropeAngles(start + token, FREQUENCIES);
    return [...cos, ...sin];
  });
  gpu.gpu.device.queue.writeBuffer(buffer, start * HEAD_SIZE * 4, Float32Array.from(rows.flat()));
  return buffer;
}

/** Positions of a tile. */
const TILE = 32;

/** How many 4-byte elements a cache of keys, or of values, has. */
export function cacheWords({ kvHeads, capacity, kvCache }: CacheShape): number {
  const slots = Math.ceil(capacity / TILE) * TILE;
  return (kvHeads * slots * HEAD_SIZE * KV_BYTES[kvCache]) / 4;
}

/** Uploads [keys, kvHeads * 64] in the cache's layout; places without a position are NaN. */
export function uploadCache(
  gpu: TestGpu,
  of: 'keys' | 'values',
  rows: Float64Array,
  shape: CacheShape,
): GPUBuffer {
  const { kvHeads, capacity, kvCache } = shape;
  const keys = rows.length / (kvHeads * HEAD_SIZE);
  const cache = new Float64Array(cacheWords({ ...shape, kvCache: 'f32' })).fill(Number.NaN);
  const first = Math.max(0, keys - capacity);
  forEachPlace(of, shape, first, keys, (i, place) => {
    cache[place] = rows[first * kvHeads * HEAD_SIZE + i]!;
  });
  if (kvCache === 'f32') return gpu.upload(Float32Array.from(cache));
  if (kvCache === 'int8') return gpu.upload(packInt8Quads(cache));
  return gpu.upload(new Uint32Array(Uint16Array.from(cache, toF16).buffer));
}

/** The rows for positions [from, to) in a cache that was read back: [to - from, kvHeads * 64]. */
export function cachedRows(
  of: 'keys' | 'values',
  words: Uint32Array,
  shape: CacheShape,
  from: number,
  to: number,
): Float64Array {
  const copy = words.slice();
  const numbers = {
    int8: () => unpackInt8Quads(copy),
    f16: () => Float64Array.from(new Uint16Array(copy.buffer), fromF16),
    f32: () => Float64Array.from(new Float32Array(copy.buffer)),
  }[shape.kvCache]();
  const rows = new Float64Array((to - from) * shape.kvHeads * HEAD_SIZE);
  forEachPlace(of, shape, from, to, (i, place) => {
    rows[i] = numbers[place]!;
  });
  return rows;
}

/** Calls back with the index in [to - from, kvHeads, 64], and in the cache, of each number of positions [from, to). */
function forEachPlace(
  of: 'keys' | 'values',
  { kvHeads, capacity }: CacheShape,
  from: number,
  to: number,
  visit: (i: number, place: number) => void,
): void {
  let i = 0;
  for (let position = from; position < to; position++) {
    const slot = position % capacity;
    for (let head = 0; head < kvHeads; head++) {
      const tile = (Math.floor(slot / TILE) * kvHeads + head) * TILE * HEAD_SIZE;
      for (let dimension = 0; dimension < HEAD_SIZE; dimension++) {
        const [quad, rest] = [Math.floor(dimension / 4), dimension % 4];
        const inTile =
          of === 'keys'
            ? (quad * TILE + (slot % TILE)) * 4 + rest
            : (slot % TILE) * HEAD_SIZE + dimension;
        visit(i++, tile + inTile);
      }
    }
  }
}

/** The columns [from, to) of rows with `width` columns. */
export function columnsOf(
  rows: Float64Array,
  width: number,
  from: number,
  to: number,
): Float64Array {
  return rows.filter((_, i) => i % width >= from && i % width < to);
}
