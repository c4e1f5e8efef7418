import { describe, expect, test } from 'vitest';
import { huggingFaceConfig, PRESETS } from '../../test/config.ts';
import { readGoldenJson } from '../../test/golden.ts';
import type { ModelConfig } from '../types/config.ts';
import { parseConfig } from './config.ts';
import { attentionFactor, inverseFrequencies, ropeTable } from './rope.ts';

interface Yarn {
  readonly attention_factor: number;
  readonly inv_freq_f64: readonly number[];
  readonly rounded_range_variant: { readonly inv_freq_f64: readonly number[] };
  readonly positions: readonly {
    readonly position: number;
    readonly cos_f64: readonly number[];
    readonly sin_f64: readonly number[];
  }[];
}

const yarn = await readGoldenJson<Yarn>('yarn.json');
const config: ModelConfig = parseConfig(JSON.parse(huggingFaceConfig(PRESETS['20b'])));

describe('inverseFrequencies', () => {
  test('gives the frequencies of YaRN without rounding the range', () => {
    const frequencies = inverseFrequencies(config.rope);
    expect(frequencies).toHaveLength(32);
    yarn.inv_freq_f64.forEach((expected, i) => {
      expect(frequencies[i]! / expected).toBeCloseTo(1, 13);
    });
  });

  test('rounds the range outwards if `truncate` is true', () => {
    const frequencies = inverseFrequencies({ ...config.rope, truncate: true });
    yarn.rounded_range_variant.inv_freq_f64.forEach((expected, i) => {
      expect(frequencies[i]! / expected).toBeCloseTo(1, 13);
    });
    expect(frequencies[12]).not.toBe(inverseFrequencies(config.rope)[12]);
  });

  test('keeps only the fastest dimension if the original context was short', () => {
    const short = { ...config.rope, theta: 10000, originalContextLength: 16 };
    const frequencies = inverseFrequencies(short);
    const high = (32 * Math.log(16 / (2 * Math.PI))) / Math.log(10000);
    expect(frequencies[0]).toBe(1);
    const unscaled = 10000 ** (-1 / 32);
    expect(frequencies[1]).toBeCloseTo(unscaled * (1 - 31 / 32 / high), 14);
    expect(frequencies[4]).toBeCloseTo(10000 ** (-4 / 32) / 32, 14);
  });

  test('gives plain frequencies and attention factor 1 if the context was not extended', () => {
    const plain = { ...config.rope, factor: 1 };
    inverseFrequencies(plain).forEach((frequency, i) => {
      expect(frequency).toBeCloseTo(plain.theta ** (-i / 32), 15);
    });
    expect(attentionFactor(plain)).toBe(1);
    expect(attentionFactor(config.rope)).toBeCloseTo(yarn.attention_factor, 14);
  });
});

describe('ropeTable', () => {
  const table = ropeTable(config, 131072);

  test('has the golden cosines and sines, times the attention factor, up to the last position', () => {
    expect(table).toHaveLength(131072 * 64);
    expect(yarn.positions.map(({ position }) => position)).toContain(131071);
    for (const { position, cos_f64, sin_f64 } of yarn.positions) {
      const row = table.subarray(position * 64, (position + 1) * 64);
      [...cos_f64, ...sin_f64].forEach((expected, i) => {
        // Angles are float64; values are rounded to float32 once.
        expect(Math.abs(row[i]! - expected), `${position}, ${i}`).toBeLessThan(1.2e-7);
      });
    }
  });
});
