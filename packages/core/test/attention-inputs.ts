/** Inputs of attention tests: RoPE tables, and keys and values in the cache's layout. */

import { HEAD_SIZE } from '../src/kernels/shape.ts';
import { PRESETS } from './config.ts';
import type { TestGpu } from './gpu.ts';
import { fromF16, toF16 } from './number-formats.ts';
import { type RopeFrequencies, ropeAngles, yarnFrequencies } from './oracles.ts';

const { ropeTheta, yarn } = PRESETS['20b'];

/** The rotary frequencies of the published models. */
export const FREQUENCIES: RopeFrequencies = yarnFrequencies(HEAD_SIZE, ropeTheta, yarn);

/** How keys and values are stored. */
export interface CacheShape {
  readonly kvHeads: number;
  /** How many positions fit; position p is at p % capacity. */
  readonly capacity: number;
  readonly kvCache: 'f16' | 'f32';
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

/** How many 4-byte elements a cache of keys, or of values, has. */
export function cacheWords({ kvHeads, capacity, kvCache }: CacheShape): number {
  return (kvHeads * capacity * HEAD_SIZE) / (kvCache === 'f16' ? 2 : 1);
}

/** Uploads [keys, kvHeads * 64] in the cache's layout; places without a position are NaN. */
export function uploadCache(gpu: TestGpu, rows: Float64Array, shape: CacheShape): GPUBuffer {
  const { kvHeads, capacity, kvCache } = shape;
  const width = kvHeads * HEAD_SIZE;
  const keys = rows.length / width;
  const cache = new Float64Array(kvHeads * capacity * HEAD_SIZE).fill(Number.NaN);
  for (let key = Math.max(0, keys - capacity); key < keys; key++) {
    for (let head = 0; head < kvHeads; head++) {
      const from = key * width + head * HEAD_SIZE;
      cache.set(rows.subarray(from, from + HEAD_SIZE), placeOf(key, head, shape));
    }
  }
  if (kvCache === 'f32') return gpu.upload(Float32Array.from(cache));
  return gpu.upload(new Uint32Array(Uint16Array.from(cache, toF16).buffer));
}

/** The rows for positions [from, to) in a cache that was read back: [to - from, kvHeads * 64]. */
export function cachedRows(
  words: Uint32Array,
  shape: CacheShape,
  from: number,
  to: number,
): Float64Array {
  const copy = words.slice();
  const numbers =
    shape.kvCache === 'f32'
      ? Float64Array.from(new Float32Array(copy.buffer))
      : Float64Array.from(new Uint16Array(copy.buffer), fromF16);
  const rows = new Float64Array((to - from) * shape.kvHeads * HEAD_SIZE);
  for (let key = from; key < to; key++) {
    for (let head = 0; head < shape.kvHeads; head++) {
      const at = placeOf(key, head, shape);
      const row = ((key - from) * shape.kvHeads + head) * HEAD_SIZE;
      rows.set(numbers.subarray(at, at + HEAD_SIZE), row);
    }
  }
  return rows;
}

function placeOf(key: number, head: number, { capacity }: CacheShape): number {
  return (head * capacity + (key % capacity)) * HEAD_SIZE;
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
