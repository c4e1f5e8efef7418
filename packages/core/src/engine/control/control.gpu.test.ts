import type { Message } from '@ossicle/harmony';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openTestDevice, type TestDevice } from '../../../test/engine.ts';
import { testFileUrl } from '../../../test/files.ts';
import { slowTest } from '../../../test/slow.ts';
import { type Classifier, classify } from '../../generation/classify.ts';
import type { GenerateOptions, GenerateResult } from '../../types/generate.ts';
import type { Engine } from '../engine.ts';
import type { Session } from '../session.ts';
import { LoopGuard } from './loop-guard.ts';

// gpt-oss-nano, which reasons before it answers.
const QUESTION = "What's 517-344";
const OPTIONS: GenerateOptions = { temperature: 0, maxTokens: 150, reasoningEffort: 'high' };

let gpu: TestDevice;
let engine: Engine;
let session: Session;

beforeAll(async () => {
  gpu = await openTestDevice();
  const nano = testFileUrl('demo/public/models/gpt-oss-nano');
  engine = await gpu.engine(nano, { contextLength: 1024 });
  session = engine.createSession();
});

afterAll(() => gpu.close());

interface Answered extends GenerateResult {
  /** What the model wrote or was made to write, control tokens included. */
  readonly written: string;
  /** The text deltas, joined. */
  readonly deltas: string;
}

/** Answers in a session that has the prompt of the answer before. */
async function answer(
  options: GenerateOptions,
  input: string | readonly Message[] = QUESTION,
): Promise<Answered> {
  const generation = session.generate(input, { ...OPTIONS, ...options });
  let deltas = '';
  for await (const event of generation) if (event.type === 'text-delta') deltas += event.text;
  const result = await generation.result;
  const written = engine.tokenizer.decode(session.tokens.slice(result.usage.promptTokens));
  return { ...result, written, deltas };
}

describe('a reasoning budget', () => {
  test('ends reasoning after its tokens, and lets the model answer', async () => {
    const free = await answer({});
    const { reasoning, usage, written, messages, text, reason } = await answer({
      reasoningBudget: 12,
    });
    expect(free.usage.reasoningTokens).toBeGreaterThan(50);
    expect(usage.reasoningTokens).toBe(12);
    expect(free.reasoning.startsWith(reasoning)).toBe(true);
    expect(written).toContain(
      `${reasoning}<|end|><|start|>assistant<|channel|>final<|message|>${text}`,
    );
    expect(messages.map(({ channel }) => channel)).toEqual(['analysis', 'final']);
    expect(text).not.toBe('');
    expect(reason).toBe('stop');
  });

  slowTest('leads to the call of a tool that must be called', async () => {
    const tools = [{ name: 'calculate', parameters: { type: 'object' } }];
    const options = { reasoningBudget: 3, tools, toolChoice: 'required', maxTokens: 60 } as const;
    const { written, toolCalls } = await answer(options);
    expect(written).toContain(
      '<|end|><|start|>assistant<|channel|>commentary to=functions.calculate',
    );
    expect(toolCalls).toMatchObject([{ name: 'calculate' }]);
  });

  slowTest('does nothing before it is used up', async () => {
    const free = await answer({});
    const ample = await answer({ reasoningBudget: free.usage.reasoningTokens + 1 });
    expect(ample.written).toBe(free.written);
  });

  test('of 0 leaves an empty analysis', async () => {
    const { written, usage, reasoning, text } = await answer({ reasoningBudget: 0, maxTokens: 40 });
    const header = '<|channel|>analysis<|message|><|end|><|start|>assistant';
    expect(written.startsWith(`${header}<|channel|>final<|message|>${text}`)).toBe(true);
    expect([reasoning, usage.reasoningTokens]).toEqual(['', 0]);
    expect(text).not.toBe('');
  });

  slowTest('lets the model call a tool, but not reason again', async () => {
    const tools = [{ name: 'calculate', parameters: { type: 'object' } }];
    const { written, usage } = await answer({ reasoningBudget: 3, tools, maxTokens: 60 });
    expect(usage.reasoningTokens).toBe(3);
    const [, after = ''] = written.split('<|end|><|start|>assistant');
    expect(after).not.toBe('');
  });
});

describe('a prefilled answer', () => {
  test('begins with its text, without reasoning', async () => {
    const options = { ...OPTIONS, prefillText: '517 - 344 =' };
    const generation = session.generate(QUESTION, options);
    const deltas: string[] = [];
    for await (const event of generation) {
      if (event.type === 'text-delta') deltas.push(event.text);
      expect(event.type).not.toBe('reasoning-delta');
    }
    const { text, messages, usage, reason } = await generation.result;
    expect(text).toMatch(/^517 - 344 = \d+/);
    expect(deltas.join('')).toBe(text);
    expect(messages).toMatchObject([{ role: 'assistant', channel: 'final', content: text }]);
    expect(reason).toBe('stop');
    const first: Message = { role: 'user', content: QUESTION };
    const { usage: later } = await session.generate(
      [first, ...messages, { role: 'user', content: 'Thanks!' }],
      { ...OPTIONS, maxTokens: 1 },
    ).result;
    const all = usage.promptTokens + usage.completionTokens;
    expect(later.reusedTokens).toBeGreaterThanOrEqual(all - 1);
  });
});

slowTest('a prefilled answer follows its format', async () => {
  const schema = {
    type: 'object',
    properties: { sentiment: { enum: ['positive', 'negative'] } },
    required: ['sentiment'],
    additionalProperties: false,
  };
  const options = { responseFormat: { type: 'json', schema }, prefillText: '{"senti' } as const;
  const { json, reason } = await answer(options, 'What a wonderful melon.');
  expect(json).toEqual({ sentiment: expect.stringMatching(/^(posi|nega)tive$/) });
  expect(reason).toBe('stop');
  await expect(answer({ ...options, prefillText: 'Well, ' })).rejects.toThrow(RangeError);
  const calls = { prefillText: 'It', tools: [{ name: 'f' }], toolChoice: 'required' } as const;
  await expect(answer(calls)).rejects.toThrow(/no tool is called/);
});

slowTest('earlier reasoning stays in the prompt, and is not evaluated again', async () => {
  const first: Message = { role: 'user', content: QUESTION };
  const { messages, usage } = await session.generate([first], OPTIONS).result;
  const history = [first, ...messages, { role: 'user', content: 'Thanks!' } as const];
  const count = (keepAnalysis: boolean) =>
    engine.tokenizer.encodeConversation(history, { ...OPTIONS, keepAnalysis }).length;
  expect(count(true)).toBeGreaterThanOrEqual(count(false) + usage.reasoningTokens);
  const options = { ...OPTIONS, maxTokens: 1, keepAnalysis: true };
  const { usage: later } = await session.generate(history, options).result;
  expect(later.promptTokens).toBe(count(true));
  expect(later.reusedTokens).toBeGreaterThanOrEqual(
    usage.promptTokens + usage.completionTokens - 1,
  );
});

test('penalties change what the model says, but not its headers', async () => {
  const { written } = await answer({ repetitionPenalty: 100, maxTokens: 8 });
  expect(written.startsWith('<|channel|>analysis<|message|>')).toBe(true);
  expect((await answer({ maxTokens: 8 })).written).not.toBe(written);
});

describe('the loop guard', () => {
  test('ends an answer that repeats itself, with all that it has', async () => {
    const guard = vi.spyOn(LoopGuard.prototype, 'push');
    for (let i = 0; i < 19; i++) guard.mockReturnValueOnce(false);
    guard.mockReturnValueOnce(true);
    const { reason, usage, reasoning, messages } = await answer({});
    expect(reason).toBe('loop');
    expect(usage.completionTokens).toBe(20);
    expect(messages).toMatchObject([{ channel: 'analysis', content: reasoning }]);
    expect(reasoning).not.toBe('');

    guard.mockReset().mockReturnValue(true);
    const unguarded = await answer({ loopGuard: false, maxTokens: 4 });
    expect(unguarded).toMatchObject({ reason: 'length', usage: { completionTokens: 4 } });
    expect(guard).not.toHaveBeenCalled();
    guard.mockRestore();
  });
});

slowTest('contents are judged by a policy, which is evaluated once', async () => {
  const reused: number[] = [];
  const model: Classifier = {
    generate(input, options) {
      const generation = session.generate(input, { ...options, maxTokens: 80 });
      void generation.result.then(({ usage }) => reused.push(usage.reusedTokens));
      return generation;
    },
  };
  const verdicts = await classify(model, {
    policy: '- EMAIL: No email addresses.\n- pii_phone: No phone numbers.',
    reasoningEffort: 'low',
    content: ['Call me at 555-0199.', 'He likes tea with milk.'],
  });
  expect(verdicts).toEqual([
    {
      violation: true,
      category: 'pii_phone',
      rationale: 'Contains the phone number 555-0199.',
      reasoning: 'pii_phone: found 555-0199.',
    },
    {
      violation: false,
      category: null,
      rationale: 'No rule is broken.',
      reasoning: 'Nothing found.',
    },
  ]);
  expect(reused[1]).toBeGreaterThan(200);
});

test('log probabilities have the text of each token', async () => {
  const { logprobs, written } = await answer({ logprobs: 1, maxTokens: 12 });
  expect(logprobs!.map(({ text }) => text).join('')).toBe(written);
});

test('answers to one prompt share its keys and values', async () => {
  const results: GenerateResult[] = [];
  for (const seed of [1, 2, 3]) {
    const options = { ...OPTIONS, temperature: 1.5, seed, maxTokens: 20 };
    results.push(await session.generate(QUESTION, options).result);
  }
  const { promptTokens } = results[0]!.usage;
  const reused = results.slice(1).map(({ usage }) => usage.reusedTokens);
  expect(reused).toEqual([promptTokens - 1, promptTokens - 1]);
  expect(new Set(results.map(({ reasoning }) => reasoning)).size).toBe(3);
});
