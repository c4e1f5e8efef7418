import { HEAD_SIZE } from '../kernels/shape.ts';
import type { ModelConfig, RopeConfig } from './config.ts';

/** Angles per head: one for each pair of its dimensions. */
const HALF = HEAD_SIZE / 2;

/**
 * Radians per position of each rotated pair, scaled by parts as in YaRN (https://arxiv.org/abs/2309.00071, §3.2): fast
 * dimensions stay, slow ones turn `factor` times slower, those in between are blended.
 */
export function inverseFrequencies(rope: RopeConfig): Float64Array {
  const { theta, factor, originalContextLength, betaFast, betaSlow, truncate } = rope;
  // The dimension that makes this many rotations over the original context.
  const dimension = (rotations: number): number =>
    (HALF * Math.log(originalContextLength / (rotations * 2 * Math.PI))) / Math.log(theta);
  let low = dimension(betaFast);
  let high = dimension(betaSlow);
  if (truncate) [low, high] = [Math.floor(low), Math.ceil(high)];
  [low, high] = [Math.max(low, 0), Math.min(high, HEAD_SIZE - 1)]; // as transformers does
  return Float64Array.from({ length: HALF }, (_, i) => {
    const unscaled = theta ** (-i / HALF);
    const slowed = Math.min(1, Math.max(0, (i - low) / (high - low)));
    return (unscaled / factor) * slowed + unscaled * (1 - slowed);
  });
}

/** The factor by which YaRN multiplies the cosines and sines of queries and keys. */
export function attentionFactor({ factor }: Pick<RopeConfig, 'factor'>): number {
  return factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1;
}

/** Bytes of {@link ropeTable}. */
export function ropeTableBytes(positions: number): number {
  return 4 * positions * 2 * HALF;
}

/**
 * Cosines and sines for the kernels, computed in float64 because WGSL's are accurate only near zero.
 *
 * @returns f32 [positions, 64]: 32 cosines, then 32 sines, the attention factor included.
 */
export function ropeTable({ rope }: ModelConfig, positions: number): Float32Array<ArrayBuffer> {
  const frequencies = inverseFrequencies(rope);
  const factor = attentionFactor(rope);
  const table = new Float32Array(positions * 2 * HALF);
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < HALF; i++) {
      const angle = position * (frequencies[i] as number);
      table[position * 2 * HALF + i] = Math.cos(angle) * factor;
      table[position * 2 * HALF + HALF + i] = Math.sin(angle) * factor;
    }
  }
  return table;
}
