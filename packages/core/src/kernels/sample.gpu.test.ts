import { expect } from 'vitest';
import { gpuTest } from '../../test/gpu.ts';
import { type SamplingOptions, samplingDistribution } from '../../test/oracles.ts';
import { createRandom } from '../../test/random.ts';
import { allowedIds, compileSampler, expectDistributed, normalLogits } from '../../test/sampler.ts';

/** Logits whose softmax is the given probabilities, in the given order of ids. */
function logitsOf(probabilities: readonly number[]): Float64Array {
  return Float64Array.from(probabilities, (p) => Math.fround(Math.log(p)));
}

/** Divides the ids into groups of about the same probability, in the order of ids. */
function groupsOfEqualMass(distribution: Float64Array, count: number): Uint32Array {
  let sum = 0;
  return Uint32Array.from(distribution, (p) => {
    sum += p;
    return Math.min(count - 1, Math.floor((sum - p / 2) * count));
  });
}

gpuTest('temperature 0 takes the likeliest token, with the lowest id among equals', async (gpu) => {
  const sample = await compileSampler(gpu, 10000);
  const logits = normalLogits(10000, 1);
  for (const ids of [
    [9999],
    [0],
    [4095],
    [4096],
    [5000, 4999],
    [8192, 255, 256],
    [4352, 4096, 9000],
  ]) {
    const peaked = logits.slice();
    for (const id of ids) peaked[id] = 50;
    const { tokens } = await sample({ logits: peaked, temperature: 0 });
    expect(tokens[0], `peaks at ${ids}`).toBe(Math.min(...ids));
  }
  expect((await sample({ logits: new Float64Array(10000), temperature: 0 })).tokens[0]).toBe(0);
  const negative = logits.map((logit) => logit - 1000);
  expect((await sample({ logits: negative, temperature: 0 })).tokens[0]).toBe(
    negative.indexOf(negative.reduce((a, b) => Math.max(a, b))),
  );
});

gpuTest('a draw becomes the next input, is counted, and advances the step', async (gpu) => {
  const sample = await compileSampler(gpu, 100);
  const logits = normalLogits(100, 2).with(70, 40);
  const drawn = await sample({
    logits,
    temperature: 0,
    changes: { prompt: [3, 70], answer: [64, 64], exempt: [5] },
    step: [20, 7, 6],
  });
  expect([...drawn.tokens]).toEqual([70]);
  expect(drawn.step).toEqual([27, 1, 0]);
  const counted = [...drawn.occurrences.entries()].filter(([, value]) => value !== 0);
  expect(counted).toEqual([
    [3, 1],
    [5, -(2 ** 31)],
    [64, 5],
    [70, 3],
  ]);
  expect(drawn.logits).toBeCloseToArray(logits, 0);
  const three = await sample({ logits, temperature: 1, count: 3, step: [20, 7, 6] });
  expect(three.step).toEqual([29, 1, 0]);
});

gpuTest('draws follow the probabilities of the tokens', async (gpu) => {
  const sample = await compileSampler(gpu, 30);
  const logits = normalLogits(30, 4, 1.5);
  const cases: readonly SamplingOptions[] = [
    { temperature: 1 },
    { temperature: 0.6, topK: 12 },
    { temperature: 1.7, topP: 0.7 },
    { temperature: 1, topK: 20, topP: 0.8, minP: 0.05 },
  ];
  for (const [i, options] of cases.entries()) {
    const { tokens } = await sample({
      ...options,
      logits,
      count: i === 0 ? 1200 : 400,
      seed: [i, 99],
    });
    expectDistributed(tokens, samplingDistribution(logits, options));
  }
});

gpuTest('exactly the tokens within top-k, top-p and min-p are drawn', async (gpu) => {
  const sample = await compileSampler(gpu, 600);
  const ids = [599, 2, 300, 255, 256, 31, 512, 77];
  const probabilities = [0.3, 0.2, 0.15, 0.1, 0.1, 0.08, 0.04, 0.03];
  const logits = new Float64Array(600).fill(-30);
  for (const [i, id] of ids.entries()) logits[id] = logitsOf(probabilities)[i]!;
  const cases: readonly (readonly [SamplingOptions, number])[] = [
    [{ temperature: 1, topK: 1 }, 1],
    [{ temperature: 1, topK: 3 }, 3],
    [{ temperature: 1, topK: 4 }, 5], // the fifth is as likely as the fourth
    [{ temperature: 1, topP: 1e-12 }, 1],
    [{ temperature: 1, topP: 0.01 }, 1],
    [{ temperature: 1, topP: 0.299 }, 1],
    [{ temperature: 1, topP: 0.301 }, 2],
    [{ temperature: 1, topP: 0.66 }, 5],
    [{ temperature: 1, topP: 0.999 }, 8],
    [{ temperature: 1, topK: 2, topP: 0.59 }, 1], // 0.3 of 0.5 is 0.6
    [{ temperature: 1, topK: 2, topP: 0.61 }, 2],
    [{ temperature: 1, minP: 0.6 }, 2],
    [{ temperature: 1, minP: 0.32 }, 5],
    [{ temperature: 2, minP: 0.6 }, 3], // applied to the square roots
    [{ temperature: 1, minP: 1 }, 1],
    [{ temperature: 1, topP: 0.9, minP: 0.6 }, 2],
  ];
  for (const [options, size] of cases) {
    const allowed = allowedIds(samplingDistribution(logits, options));
    expect(allowed.length, JSON.stringify(options)).toBe(size);
    const { tokens } = await sample({ ...options, logits, count: 150, seed: [7, 8] });
    const drawn = [...new Set(tokens)].sort((a, b) => a - b);
    expect(drawn, JSON.stringify(options)).toEqual(allowed);
  }
});

gpuTest('draws stay within the tokens allowed by random options', async (gpu) => {
  const sample = await compileSampler(gpu, 300);
  const next = createRandom(5);
  for (let round = 0; round < 12; round++) {
    // Rounded logits: many are equal.
    const logits = normalLogits(300, round, 3).map((logit) => Math.round(logit * 4) / 4);
    const options = {
      temperature: 0.3 + 2 * next.uniform(),
      topK: next.integer(2) * next.integer(300),
      topP: next.integer(2) ? next.uniform() : 1,
      minP: next.integer(2) ? 0.2 * next.uniform() : 0,
    };
    // f32 rounding may move a bound, so those of the oracle are a little wider.
    const wider = {
      ...options,
      topP: Math.min(1, options.topP + 1e-5),
      minP: options.minP * 0.9999,
    };
    const allowed = new Set(allowedIds(samplingDistribution(logits, wider)));
    const { tokens } = await sample({ ...options, logits, count: 60, seed: [round, 0] });
    expect(
      tokens.filter((id) => !allowed.has(id)),
      JSON.stringify(options),
    ).toEqual(new Uint32Array());
    expect(allowed.size === 1 || new Set(tokens).size > 1).toBe(true);
  }
});

gpuTest.slow('draws from many tokens follow their probabilities', async (gpu) => {
  // Too flat for the list of candidates to decide, or with more equals than it holds.
  const sample = await compileSampler(gpu, 20000);
  const flat = normalLogits(20000, 10, 0.7);
  const coarse = flat.map((logit) => Math.round(logit * 2) / 2);
  const equal = new Float64Array(20000);
  const signedZeros = equal.map((_, id) => (id % 3 === 0 ? -0 : id % 7 === 0 ? -2 : 0));
  const cases: readonly (readonly [Float64Array, SamplingOptions])[] = [
    [flat, { temperature: 1, topP: 0.4 }],
    [flat, { temperature: 1.5, topP: 0.97 }],
    [flat, { temperature: 0.8, topK: 3000 }],
    [flat, { temperature: 1, topK: 90, topP: 0.8 }],
    [flat, { temperature: 1, topK: 5000, topP: 0.6, minP: 0.01 }],
    [coarse, { temperature: 1, topK: 40 }],
    [coarse, { temperature: 1, topK: 30, topP: 0.5 }],
    [coarse, { temperature: 2, topP: 0.5, minP: 0.3 }],
    [equal, { temperature: 1, topK: 5 }],
    [equal, { temperature: 1, topP: 0.3 }],
    [signedZeros, { temperature: 1, topK: 100 }],
    [signedZeros, { temperature: 1, minP: 1 }],
  ];
  for (const [round, [logits, options]] of cases.entries()) {
    const distribution = samplingDistribution(logits, options);
    const { tokens } = await sample({ ...options, logits, count: 120, seed: [round, 3] });
    const groups = groupsOfEqualMass(distribution, 8);
    expect(
      tokens.filter((id) => distribution[id] === 0),
      JSON.stringify(options),
    ).toEqual(new Uint32Array());
    expectDistributed(
      tokens.map((id) => groups[id]!),
      new Float64Array(8).fill(1 / 8),
    );
  }
});

gpuTest('a draw depends only on logits, seed and position', async (gpu) => {
  const sample = await compileSampler(gpu, 1000);
  const flat = { logits: new Float64Array(1000), temperature: 1, count: 40 };
  const draws = async (seed: readonly [number, number], position: number): Promise<string> =>
    [...(await sample({ ...flat, seed, step: [position, 1, 0] })).tokens].join();
  const first = await draws([5, 6], 100);
  expect(await draws([5, 6], 100)).toBe(first);
  const tail = first.split(',').slice(10);
  expect((await draws([5, 6], 110)).startsWith(tail.join())).toBe(true);
  const others = [await draws([6, 5], 100), await draws([5, 7], 100), await draws([4, 6], 100)];
  expect(new Set([first, ...others]).size).toBe(4);
  expect(new Set(first.split(',')).size).toBeGreaterThan(30);
});

gpuTest('logits that are no numbers, or minus infinity, are not drawn', async (gpu) => {
  const sample = await compileSampler(gpu, 5000);
  const logits = normalLogits(5000, 11).map((logit, id) =>
    id % 3 === 0 ? Number.NaN : id % 3 === 1 ? Number.NEGATIVE_INFINITY : logit,
  );
  const numbers = logits.map((logit) => (logit > -100 ? logit : Number.NEGATIVE_INFINITY));
  const options = [
    { temperature: 0 },
    { temperature: 1 },
    { temperature: 1, topK: 20 },
    { temperature: 1, topK: 4000, topP: 0.9 },
    { temperature: 1, topP: 0.9 },
    { temperature: 1, minP: 0.1 },
  ];
  for (const each of options) {
    const { tokens } = await sample({ ...each, logits, count: 40 });
    expect([...tokens].every((id) => id % 3 === 2)).toBe(true);
    expect((await sample({ ...each, logits: numbers, count: 40 })).tokens).toEqual(tokens);
  }
});

gpuTest('NaN logits give the vocabulary size, which is not a valid id', async (gpu) => {
  const sample = await compileSampler(gpu, 5000);
  const logits = new Float64Array(5000).fill(Number.NaN);
  for (const options of [{ temperature: 0 }, { temperature: 1, topK: 5, topP: 0.9 }]) {
    expect((await sample({ ...options, logits })).tokens[0]).toBe(5000);
  }
});

gpuTest('sampling covers a vocabulary of 201,088 tokens', async (gpu) => {
  const sample = await compileSampler(gpu, 201088);
  const logits = normalLogits(201088, 6, 1);
  expect((await sample({ logits: logits.with(201087, 20), temperature: 0 })).tokens[0]).toBe(
    201087,
  );
  const peaks = [3, 100000, 150001, 201087];
  const peaked = logits.slice();
  for (const [i, id] of peaks.entries()) peaked[id] = 20 + i / 4;
  const cut: readonly SamplingOptions[] = [
    { temperature: 1, topK: 3 },
    { temperature: 1, topP: 0.9 },
  ];
  for (const options of cut) {
    const { tokens } = await sample({ ...options, logits: peaked, count: 16 });
    const drawn = [...new Set(tokens)].sort((a, b) => a - b);
    expect(drawn, JSON.stringify(options)).toEqual(
      allowedIds(samplingDistribution(peaked, options)),
    );
  }
  // Without a cut, every token may be drawn: counted by quarters of the vocabulary.
  const { tokens } = await sample({ logits: new Float64Array(201088), temperature: 1, count: 40 });
  const quarters = new Float64Array(4).fill(0.25);
  expectDistributed(
    tokens.map((id) => Math.floor((id * 4) / 201088)),
    quarters,
  );
});
