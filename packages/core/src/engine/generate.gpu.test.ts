import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCheckpoint } from '../../test/checkpoint.ts';
import {
  likeliest,
  logSoftmax,
  openTestDevice,
  SMALL,
  smallIds,
  type TestDevice,
} from '../../test/engine.ts';
import { changedLogits, type LogitChanges } from '../../test/oracles.ts';
import type { GenerateEvent, GenerateOptions, GenerateResult } from '../types/generate.ts';
import type { Engine } from './engine.ts';

// Random weights without a tokenizer: ids in, ids out; only its length ends a generation.
let gpu: TestDevice;
let engine: Engine;

beforeAll(async () => {
  gpu = await openTestDevice();
  engine = await gpu.engine(createCheckpoint(SMALL).files, { contextLength: 128 });
});

afterAll(() => gpu.close());

function ids(count: number, seed: number): Uint32Array {
  return Uint32Array.from(smallIds(count, seed));
}

const PROMPT = ids(20, 1);

/** Generates in a new session. */
async function generateFresh(
  options: GenerateOptions,
  prompt: Uint32Array = PROMPT,
): Promise<{ tokens: number[]; result: GenerateResult }> {
  const session = engine.createSession();
  const result = await session.generate(prompt, options).result;
  const tokens = session.tokens.slice(prompt.length);
  session.dispose();
  return { tokens, result };
}

/** The tokens that greedy decoding chooses if `change` is applied to the logits before each choice. */
async function chooseOneByOne(
  count: number,
  change: (logits: Float64Array, tokens: readonly number[]) => Float64Array,
): Promise<number[]> {
  const session = engine.createSession();
  let logits = await session.evaluate(PROMPT);
  const chosen: number[] = [];
  while (chosen.length < count) {
    chosen.push(likeliest(change(Float64Array.from(logits), [...PROMPT, ...chosen])));
    if (chosen.length < count) logits = await session.evaluate(chosen.slice(-1));
  }
  session.dispose();
  return chosen;
}

describe('a call that waits for its turn', () => {
  test('uses its options as they were when it was made', async () => {
    const session = engine.createSession();
    const options = { maxTokens: 6, temperature: 0 };
    const first = session.generate(PROMPT, options);
    options.maxTokens = 1;
    const second = session.generate(PROMPT, options);
    options.maxTokens = -5;
    expect((await first.result).usage.completionTokens).toBe(6);
    expect((await second.result).usage.completionTokens).toBe(1);
    session.dispose();
  });

  test('evaluates its tokens as they were when it was made', async () => {
    const session = engine.createSession();
    const tokens = [...PROMPT];
    const logits = session.evaluate(tokens);
    tokens.fill(0);
    await logits;
    expect(session.tokens).toEqual([...PROMPT]);
    session.dispose();
  });
});

describe('sampling', () => {
  test('chooses the same tokens for the same seed, and others for another seed', async () => {
    const options = { seed: 5, maxTokens: 12 };
    const { tokens } = await generateFresh(options);
    expect((await generateFresh(options)).tokens).toEqual(tokens);
    expect((await generateFresh({ ...options, seed: 6 })).tokens).not.toEqual(tokens);
    expect((await generateFresh({ ...options, seed: 5 + 2 ** 32 })).tokens).not.toEqual(tokens);
  });

  test('chooses other tokens each time without a seed', async () => {
    const runs = await Promise.all([1, 2].map(() => generateFresh({ maxTokens: 12 })));
    expect(runs[0]!.tokens).not.toEqual(runs[1]!.tokens);
  });

  test('chooses the same tokens whether the prompt is evaluated or reused', async () => {
    const options = { seed: 5, maxTokens: 12 };
    const session = engine.createSession();
    await session.generate(PROMPT, options).result;
    const first = session.tokens.slice(PROMPT.length);
    const { usage } = await session.generate(PROMPT, options).result;
    expect(usage.reusedTokens).toBe(PROMPT.length - 1);
    expect(session.tokens.slice(PROMPT.length)).toEqual(first);
    session.dispose();
  });

  test('chooses the likeliest token at temperature 0, whatever the seed, and with topK 1', async () => {
    const greedy = await chooseOneByOne(10, (logits) => logits);
    for (const options of [
      { temperature: 0, seed: 3 },
      { temperature: 0, topP: 0.1 },
      { topK: 1 },
      { topP: 1e-12 },
      { repetitionPenalty: 1, minP: 1 },
    ]) {
      const { tokens } = await generateFresh({ ...options, maxTokens: 10 });
      expect(tokens, JSON.stringify(options)).toEqual(greedy);
    }
  });

  test('chooses only among the tokens that topK, topP and minP leave', async () => {
    for (const options of [{ topK: 3 }, { topP: 0.2 }, { minP: 0.5 }]) {
      const { result } = await generateFresh({ ...options, seed: 2, maxTokens: 24, logprobs: 20 });
      const ranks = result.logprobs!.map(({ id, logprob, top }) => {
        const rank = top.findIndex((other) => other.id === id);
        const before = top.slice(0, rank).reduce((sum, other) => sum + Math.exp(other.logprob), 0);
        return { rank, before, ratio: Math.exp(logprob - top[0]!.logprob) };
      });
      for (const { rank, before, ratio } of ranks) {
        expect(rank).toBeGreaterThanOrEqual(0);
        if (options.topK) expect(rank).toBeLessThan(options.topK);
        if (options.topP) expect(before).toBeLessThan(options.topP + 1e-4);
        if (options.minP) expect(ratio).toBeGreaterThan(options.minP - 1e-4);
      }
      expect(new Set(ranks.map(({ rank }) => rank)).size, 'chosen by chance').toBeGreaterThan(1);
    }
  });

  test.each<LogitChanges>([
    { repetitionPenalty: 1.5 },
    { presencePenalty: 1.5 },
    { frequencyPenalty: -2 },
    {
      logitBias: new Map([
        [3, -100],
        [7, 4],
        [12, -3],
      ]),
    },
  ])('chooses from the changed logits: %o', async (changes) => {
    const { tokens } = await generateFresh({ ...changes, temperature: 0, maxTokens: 16 });
    const expected = await chooseOneByOne(16, (logits, all) => {
      const [prompt, answer] = [all.slice(0, PROMPT.length), all.slice(PROMPT.length)];
      return changedLogits(logits, { ...changes, prompt, answer });
    });
    expect(tokens).toEqual(expected);
    expect(tokens).not.toEqual(await chooseOneByOne(16, (logits) => logits));
  });
});

describe('log probabilities', () => {
  test('are ln softmax of the logits, whatever the sampling options', async () => {
    const options = { temperature: 0.7, repetitionPenalty: 1.5, seed: 4 };
    const { tokens, result } = await generateFresh({ ...options, maxTokens: 6, logprobs: 5 });
    expect(result.logprobs!.map(({ id }) => id)).toEqual(tokens);
    const session = engine.createSession();
    let logits = await session.evaluate(PROMPT);
    for (const [i, { id, logprob, text, top }] of result.logprobs!.entries()) {
      const expected = logSoftmax(logits);
      expect(logprob).toBeCloseTo(expected[id]!, 4);
      expect(text).toBe('');
      const order = [...expected.keys()].sort((a, b) => expected[b]! - expected[a]! || a - b);
      expect(top.map((other) => other.id)).toEqual(order.slice(0, 5));
      for (const other of top) expect(other.logprob).toBeCloseTo(expected[other.id]!, 4);
      logits = await session.evaluate([tokens[i]!]);
    }
    session.dispose();
  });

  test('change neither the sampled tokens nor what the session keeps', async () => {
    const options = { seed: 9, maxTokens: 10 };
    const session = engine.createSession();
    const { logprobs, usage } = await session.generate(PROMPT, { ...options, logprobs: 1 }).result;
    expect(logprobs).toHaveLength(10);
    expect(usage.completionTokens).toBe(10);
    const { tokens, result } = await generateFresh(options);
    expect(session.tokens.slice(PROMPT.length)).toEqual(tokens);
    expect(result).not.toHaveProperty('logprobs');
    const next = Uint32Array.from([...session.tokens, 3, 4]);
    const again = await session.generate(next, options).result;
    expect(again.usage.reusedTokens).toBe(PROMPT.length + 9);
    expect(session.tokens.slice(next.length)).toEqual((await generateFresh(options, next)).tokens);
    session.dispose();
  });

  test('list only the generated tokens for logprobs 0', async () => {
    const { result } = await generateFresh({ temperature: 0, maxTokens: 3, logprobs: 0 });
    expect(result.logprobs!.map(({ top }) => top)).toEqual([[], [], []]);
    for (const { logprob } of result.logprobs!) expect(logprob).toBeLessThan(0);
  });
});

describe('a generation', () => {
  test('reports the progress of its prefill, and its end', async () => {
    const chunked = await gpu.engine(createCheckpoint(SMALL).files, {
      contextLength: 128,
      prefillChunkLength: 7,
    });
    const session = chunked.createSession();
    const events: GenerateEvent[] = [];
    for await (const event of session.generate(PROMPT, { maxTokens: 2 })) events.push(event);
    const prefill = (processedTokens: number) => ({
      type: 'prefill',
      processedTokens,
      totalTokens: 20,
    });
    expect(events.slice(0, -1)).toEqual([0, 7, 14, 20].map(prefill));
    expect(events.at(-1)).toMatchObject({
      type: 'finish',
      reason: 'length',
      usage: { promptTokens: 20, reusedTokens: 0, completionTokens: 2 },
    });
    const again: GenerateEvent[] = [];
    const longer = Uint32Array.from([...session.tokens, ...ids(10, 2)]);
    for await (const event of session.generate(longer, { maxTokens: 1 })) again.push(event);
    expect(again[0]).toEqual({ type: 'prefill', processedTokens: 21, totalTokens: 32 });
    session.dispose();
  });

  test('has a result even if its events are not read, and can be iterated more than once', async () => {
    const session = engine.createSession();
    const generation = session.generate(PROMPT, { temperature: 0, maxTokens: 3 });
    const result = await generation.result;
    const reads = [];
    for (let i = 0; i < 2; i++) {
      const events: GenerateEvent[] = [];
      for await (const event of generation) events.push(event);
      reads.push(events);
    }
    expect(reads[0]!.at(-1)).toMatchObject({ type: 'finish', usage: result.usage });
    expect(reads[1]).toEqual(reads[0]);
    session.dispose();
  });

  test('measures times and speeds that are consistent', async () => {
    const { result } = await generateFresh({ maxTokens: 5 });
    const { timings } = result;
    for (const value of Object.values(timings)) expect(value).toBeGreaterThan(0);
    expect(timings.timeToFirstTokenMs).toBeGreaterThanOrEqual(timings.prefillMs);
    expect(timings.prefillTokensPerSecond).toBeCloseTo((20 / timings.prefillMs) * 1000);
    expect(timings.decodeTokensPerSecond).toBeCloseTo((4 / timings.decodeMs) * 1000);
  });

  test('ends when the context is full', async () => {
    const { result, tokens } = await generateFresh({ maxTokens: 1000 }, ids(120, 3));
    expect(result.reason).toBe('length');
    expect(tokens).toHaveLength(8);
  });

  test('is not affected if the array of its prompt is changed afterwards', async () => {
    const session = engine.createSession();
    const prompt = PROMPT.slice();
    const { result } = session.generate(prompt, { maxTokens: 1 });
    prompt.fill(7);
    await result;
    expect(session.tokens.slice(0, -1)).toEqual([...PROMPT]);
    session.dispose();
  });

  test('waits for earlier calls, of its own session and of others', async () => {
    const options = { temperature: 0, maxTokens: 6 };
    const [one, other] = [engine.createSession(), engine.createSession()];
    const prompts = [ids(10, 11), ids(30, 12), ids(20, 13)] as const;
    const running = [
      one.generate(prompts[0], options).result,
      other.generate(prompts[1], options).result,
      one.evaluate([7]),
      other.evaluate([8]),
      one.generate(prompts[2], options).result,
    ] as const;
    const [, , first, second] = await Promise.all(running);
    const alone = async (prompt: Uint32Array, next: number) => {
      const session = engine.createSession();
      await session.generate(prompt, options).result;
      const logits = await session.evaluate([next]);
      session.dispose();
      return logits;
    };
    expect(first).toEqual(await alone(prompts[0], 7));
    expect(second).toEqual(await alone(prompts[1], 8));
    expect(one.tokens.slice(20)).toEqual((await generateFresh(options, prompts[2])).tokens);
    one.dispose();
    other.dispose();
  });
});

describe('wrong arguments', () => {
  const WRONG: readonly (readonly [options: object, error: RegExp])[] = [
    [{ temperature: -1 }, /temperature must be from 0 to 100, not -1/],
    [{ temperature: Number.NaN }, /temperature .* NaN/],
    [{ temperature: null }, /temperature .* null/],
    [{ topP: 0 }, /topP must be above 0 and up to 1, not 0/],
    [{ topP: 1.5 }, /topP .* 1\.5/],
    [{ topK: -1 }, /topK .* -1/],
    [{ topK: 2.5 }, /topK .* 2\.5/],
    [{ minP: 2 }, /minP must be from 0 to 1, not 2/],
    [{ repetitionPenalty: 0 }, /repetitionPenalty .* 0/],
    [{ seed: 0.5 }, /seed must be a whole number, not 0\.5/],
    [{ maxTokens: 0 }, /maxTokens must be a whole number above 0, not 0/],
    [{ maxTokens: 1.5 }, /maxTokens .* 1\.5/],
    [{ logprobs: 21 }, /logprobs must be a whole number from 0 to 20, not 21/],
    [{ stop: [''] }, /stop must be an array of non-empty strings/],
    [{ stop: [1] }, /stop must be an array of non-empty strings/],
    [{ stop: 'end' }, /stop must be an array of non-empty strings/],
  ];

  test.each(WRONG)('are rejected: %j', async (options, message) => {
    const session = engine.createSession();
    const { result } = session.generate(PROMPT, options);
    await expect(result).rejects.toThrow(message);
    const error: unknown = await result.catch((reason: unknown) => reason);
    expect(error instanceof RangeError || error instanceof TypeError).toBe(true);
    expect(session.tokens).toEqual([]);
    session.dispose();
  });

  test('are rejected: ids that are not in the vocabulary; the session stays usable', async () => {
    const session = engine.createSession();
    const before = await session.evaluate(PROMPT);
    await expect(session.evaluate([3, 160])).rejects.toThrow(
      new RangeError('tokens[1] is 160; ids of this model run from 0 to 159'),
    );
    for (const id of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(session.evaluate([id]), String(id)).rejects.toThrow(RangeError);
    }
    for (const none of [[], new Set([3]), 5]) {
      await expect(session.evaluate(none as number[])).rejects.toThrow(/at least one token/);
    }
    expect(session.tokens).toEqual([...PROMPT]);
    const { result } = session.generate(Uint32Array.of(700), { maxTokens: 1 });
    await expect(result).rejects.toThrow(/tokens\[0\] is 700/);
    await expect(session.generate(new Uint32Array(), {}).result).rejects.toThrow(RangeError);
    await session.generate(PROMPT, { maxTokens: 1 }).result;
    expect(await session.evaluate([3])).toHaveLength(before.length);
    session.dispose();
  });

  test('are rejected: a prompt that leaves no room for an answer', async () => {
    const session = engine.createSession();
    const { result } = session.generate(ids(128, 1), {});
    await expect(result).rejects.toMatchObject({ code: 'context-overflow' });
    await expect(result).rejects.toThrow(/128 tokens.*context of 128.*contextLength/s);
    await expect(session.evaluate(ids(129, 1))).rejects.toMatchObject({ code: 'context-overflow' });
    await expect(session.evaluate(ids(129, 1))).rejects.toThrow(/129 tokens.*128.*contextLength/s);
    const endless = session.evaluate({ length: 2 ** 40 }, { logits: 'all' });
    await expect(endless).rejects.toMatchObject({ code: 'context-overflow' });
    expect(await session.evaluate(PROMPT)).toHaveLength(160);
    session.dispose();
  });

  test('are rejected: text for a model without a tokenizer', async () => {
    const session = engine.createSession();
    const { result } = session.generate('Hello');
    await expect(result).rejects.toMatchObject({ code: 'format-invalid' });
    await expect(result).rejects.toThrow(/tokenizer\.json/);
    expect(() => engine.tokenizer).toThrow(/tokenizer\.json/);
    session.dispose();
  });
});
