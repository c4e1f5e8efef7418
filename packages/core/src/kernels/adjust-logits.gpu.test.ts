import { expect } from 'vitest';
import { gpuTest } from '../../test/gpu.ts';
import {
  changedLogits,
  type LogitChanges,
  type SamplingOptions,
  samplingDistribution,
} from '../../test/oracles.ts';
import { compileSampler, normalLogits } from '../../test/sampler.ts';

const CHANGES: LogitChanges = {
  repetitionPenalty: 1.5,
  presencePenalty: 0.75,
  frequencyPenalty: -0.25,
  logitBias: new Map([
    [5, -100],
    [6, 2.5],
    [9, -100],
    [11, -1],
  ]),
  prompt: [0, 1, 5, 9, 10, 17],
  answer: [1, 2, 2, 2, 3, 12, 12],
  exempt: [3, 4, 10],
};

gpuTest('penalties and biases change the logits of their tokens only', async (gpu) => {
  const sample = await compileSampler(gpu, 5000);
  const logits = normalLogits(5000, 3).with(9, 60).with(5, 50).with(12, 30).with(0, -3);
  const ids = { prompt: [31, 32, 4100, 4999], answer: [4100, 4095, 4096] };
  const cases: readonly LogitChanges[] = [
    { ...ids, repetitionPenalty: 1.5 },
    { ...ids, presencePenalty: 2 },
    { ...ids, frequencyPenalty: 1.25 },
    { ...ids, logitBias: new Map([[4999, 3]]) },
    CHANGES,
  ];
  for (const changes of cases) {
    const drawn = await sample({ logits, temperature: 0, changes });
    const expected = changedLogits(logits, changes);
    expect(drawn.tokens[0]).toBe(expected.indexOf(expected.reduce((a, b) => Math.max(a, b))));
    const { logitBias } = changes;
    const kept = [...logits.keys()].filter((id) => (logitBias?.get(id) ?? 0) > -100);
    const of = (values: ArrayLike<number>) => kept.map((id) => values[id]!);
    expect(of(drawn.logits)).toBeCloseToArray(of(expected), 1e-6);
  }
});

gpuTest('draws are those from logits that already have the penalties and biases', async (gpu) => {
  const sample = await compileSampler(gpu, 30);
  const logits = normalLogits(30, 14, 0.7);
  const changed = changedLogits(logits, CHANGES);
  const cases: readonly SamplingOptions[] = [
    { temperature: 0 },
    { temperature: 1 },
    { temperature: 0.8, topK: 12 },
    { temperature: 1.2, topP: 0.7 },
    { temperature: 1, minP: 0.1 },
  ];
  const isDrawn = new Set<number>();
  for (const [i, options] of cases.entries()) {
    const distribution = samplingDistribution(changed, options);
    for (let seed = 0; seed < 8; seed++) {
      const draw = { ...options, seed: [seed, i] } as const;
      const [token] = (await sample({ ...draw, logits, changes: CHANGES })).tokens;
      expect([token]).toEqual([...(await sample({ ...draw, logits: changed })).tokens]);
      expect(distribution[token!]).toBeGreaterThan(0);
      isDrawn.add(token!);
    }
  }
  expect(isDrawn.size).toBeGreaterThan(5);
});
