import { expect } from 'vitest';
import { gpuTest } from '../../test/gpu.ts';
import { type SamplingOptions, samplingDistribution } from '../../test/oracles.ts';
import { allowedIds, compileSampler, expectDistributed, normalLogits } from '../../test/sampler.ts';

gpuTest(
  'under a mask, draws follow the probabilities of the tokens that it allows',
  async (gpu) => {
    const sample = await compileSampler(gpu, 4500);
    const logits = normalLogits(4500, 20, 1.5).with(4099, 12).with(31, 11); // the likeliest are masked
    const few = [0, 63, 64, 2047, 2048, 2080, 4100, 4499];
    const probabilities = [0.04, 0.3, 0.1, 0.2, 0.15, 0.1, 0.08, 0.03];
    for (const [i, id] of few.entries()) logits[id] = Math.fround(Math.log(probabilities[i]!));
    const many = [...logits.keys()].filter((id) => id % 3 !== 1 && id !== 31);
    const cases: readonly (readonly [readonly number[], SamplingOptions])[] = [
      [few, { temperature: 0 }],
      [few, { temperature: 1 }],
      [few, { temperature: 1, topK: 3 }],
      [few, { temperature: 1, topP: 0.7 }],
      [few, { temperature: 0.8, minP: 0.1 }],
      [many, { temperature: 1.5, topK: 80 }],
      [many, { temperature: 1.2, topK: 50, topP: 0.8, minP: 0.02 }],
    ];
    for (const [allowed, options] of cases) {
      const isAllowed = new Set(allowed);
      const masked = logits.map((logit, id) => (isAllowed.has(id) ? logit : -Infinity));
      const distribution = samplingDistribution(masked, options);
      const { tokens } = await sample({ ...options, logits, allowed, count: 100, seed: [5, 21] });
      const what = JSON.stringify({ ...options, allowed: allowed.length });
      const others = tokens.filter((id) => !(distribution[id]! > 0));
      expect([...others], what).toEqual([]);
      const isSpread = allowed === few && allowedIds(distribution).length > 1;
      if (isSpread) expectDistributed(tokens, distribution);
      else expect(new Set(tokens).size > 1, what).toBe(options.temperature > 0);
    }
  },
);

gpuTest(
  'a mask that is off changes nothing, and penalties keep no masked token in',
  async (gpu) => {
    const sample = await compileSampler(gpu, 700);
    const logits = normalLogits(700, 22).with(70, 40).with(80, 30);
    expect([...(await sample({ logits, temperature: 0 })).tokens]).toEqual([70]);
    const drawn = await sample({
      logits,
      temperature: 0,
      changes: { repetitionPenalty: 0.5, prompt: [70, 80, 3] },
      allowed: [80, 3, 699],
    });
    expect([...drawn.tokens]).toEqual([80]);
    expect([...drawn.logits.keys()].filter((id) => drawn.logits[id]! > -3.4e38)).toEqual([
      3, 80, 699,
    ]);
  },
);

gpuTest('a single token that a mask leaves is always drawn', async (gpu) => {
  const sample = await compileSampler(gpu, 700);
  for (const logit of [0, 0.003, -0.2, 7, -5000]) {
    const logits = normalLogits(700, 23).with(70, logit);
    const { tokens } = await sample({ logits, temperature: 1.5, allowed: [70], count: 200 });
    expect(new Set(tokens), `of logit ${logit}`).toEqual(new Set([70]));
  }
});
