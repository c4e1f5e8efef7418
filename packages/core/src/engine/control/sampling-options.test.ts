import { describe, expect, test } from 'vitest';
import type { GenerateOptions } from '../../types/generate.ts';
import { encodeSamplingOptions, samplingOptions } from './sampling-options.ts';

describe('the sampling options', () => {
  test('default to those that OpenAI recommends, with a new seed for each generation', () => {
    const { seed, ...others } = samplingOptions({});
    expect(others).toEqual({
      temperature: 1,
      topP: 1,
      topK: 0,
      minP: 0,
      repetitionPenalty: 1,
      presencePenalty: 0,
      frequencyPenalty: 0,
      logitBias: new Map(),
    });
    expect(Number.isSafeInteger(seed)).toBe(true);
    const seeds = Array.from({ length: 50 }, () => samplingOptions({}).seed);
    expect(new Set(seeds).size).toBe(50);
    expect(Math.max(...seeds)).toBeGreaterThan(2 ** 32);
  });

  test('are encoded as the shaders read them', () => {
    const options = {
      temperature: 0.5,
      topP: 0.25,
      topK: 7,
      minP: 0.125,
      repetitionPenalty: 1.5,
      presencePenalty: -0.5,
      frequencyPenalty: 1.25,
      seed: 2 ** 33 + 3,
    };
    const view = new DataView(encodeSamplingOptions(samplingOptions(options)));
    expect([0, 4, 8, 12].map((at) => view.getFloat32(at, true))).toEqual([0.5, 0.25, 0.125, 1.5]);
    expect([16, 20, 24, 36].map((at) => view.getUint32(at, true))).toEqual([7, 3, 2, 1]);
    expect([28, 32].map((at) => view.getFloat32(at, true))).toEqual([-0.5, 1.25]);
  });

  test('say whether they change logits by token', () => {
    const adjusts = (options: GenerateOptions) =>
      new DataView(encodeSamplingOptions(samplingOptions(options))).getUint32(36, true);
    expect(adjusts({ temperature: 0.5, topK: 3, topP: 0.9, minP: 0.1, logitBias: {} })).toBe(0);
    expect(adjusts({ repetitionPenalty: 1.1 })).toBe(1);
    expect(adjusts({ presencePenalty: -1 })).toBe(1);
    expect(adjusts({ frequencyPenalty: 0.1 })).toBe(1);
    expect(adjusts({ logitBias: { 7: 0.5 } })).toBe(1);
  });

  test('take biases from an object or a Map, and -Infinity as -100', () => {
    const expected = new Map([
      [7, 0.5],
      [30, -100],
    ]);
    expect(samplingOptions({ logitBias: { 7: 0.5, 30: -Infinity } }).logitBias).toEqual(expected);
    expect(samplingOptions({ logitBias: expected }).logitBias).toEqual(expected);
  });

  test('keep every bit of a seed, negative ones included', () => {
    const words = (seed: number) => {
      const view = new DataView(encodeSamplingOptions(samplingOptions({ seed })));
      return [view.getUint32(20, true), view.getUint32(24, true)];
    };
    expect(words(-1)).toEqual([0xffffffff, 0xffffffff]);
    expect(words(Number.MAX_SAFE_INTEGER)).toEqual([0xffffffff, 0x1fffff]);
    expect(words(0)).toEqual([0, 0]);
  });

  test('keep divisors large enough that no GPU flushes them to zero', () => {
    const encoded = (options: GenerateOptions) =>
      new DataView(encodeSamplingOptions(samplingOptions({ ...options, seed: 1 })));
    const temperature = (value: number) => encoded({ temperature: value }).getFloat32(0, true);
    expect(temperature(0)).toBe(0);
    expect(temperature(1e-40)).toBeGreaterThan(1.2e-38);
    expect(temperature(2)).toBe(2);
    const penalty = (value: number) => encoded({ repetitionPenalty: value }).getFloat32(12, true);
    expect(penalty(1e-40)).toBeGreaterThan(1.2e-38);
    expect(penalty(0.5)).toBe(0.5);
  });

  test('are accepted at both ends of their ranges', () => {
    const least = { temperature: 0, topP: 1e-6, topK: 0, minP: 0, repetitionPenalty: 0.1 };
    const most = { temperature: 100, topP: 1, topK: 2 ** 32 - 1, minP: 1, repetitionPenalty: 100 };
    const low = { ...least, presencePenalty: -2, frequencyPenalty: -2, seed: 1 };
    const high = { ...most, presencePenalty: 2, frequencyPenalty: 2, seed: 1 };
    expect(samplingOptions(low)).toMatchObject(low);
    expect(samplingOptions(high)).toMatchObject(high);
  });
});
