// An answer that was cut short is resumed as if it had not been, on the embedded model.
import type { Message, ToolDefinition } from '@ossicle/harmony';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestDevice, type TestDevice } from '../../test/engine.ts';
import { testFileUrl } from '../../test/files.ts';
import { slowTest } from '../../test/slow.ts';
import { stepCountIs } from '../generation/stop-conditions.ts';
import type { GenerateOptions, GenerateResult } from '../types/generate.ts';
import type { Engine } from './engine.ts';
import type { Session } from './session.ts';

const QUESTION: readonly Message[] = [{ role: 'user', content: "What's 517-344" }];
const OPTIONS: GenerateOptions = { temperature: 0, reasoningEffort: 'high' };

let gpu: TestDevice;
let engine: Engine;

beforeAll(async () => {
  gpu = await openTestDevice();
  const nano = testFileUrl('demo/public/models/gpt-oss-nano');
  engine = await gpu.engine(nano, { contextLength: 1024 });
});

afterAll(() => gpu.close());

/** Generates an answer up to so many tokens, saves it, opens it, and resumes it. */
async function resumed(
  tokens: number,
  options: GenerateOptions,
  first: GenerateOptions = options,
): Promise<GenerateResult> {
  const session = engine.createSession();
  const { reason } = await session.generate(QUESTION, { ...first, maxTokens: tokens }).result;
  expect([reason, session.isUnfinished]).toEqual(['length', true]);
  const parts: BlobPart[] = [];
  await session.save(async (bytes) => void parts.push(bytes));
  const opened = await engine.openSession(new Blob(parts));
  const result = await opened.resume(options).result;
  for (const each of [session, opened]) each.dispose();
  return result;
}

async function generated(options: GenerateOptions): Promise<GenerateResult> {
  const session = engine.createSession();
  const result = await session.generate(QUESTION, options).result;
  session.dispose();
  return result;
}

/** A result without its times and what its prompt reused. */
function essence({ timings: _, usage: { reusedTokens: __, ...usage }, ...rest }: GenerateResult) {
  return { ...rest, usage };
}

describe('a resumed answer', () => {
  async function continuesAlike(options: GenerateOptions): Promise<void> {
    const own = { ...OPTIONS, ...options };
    expect(essence(await resumed(9, own))).toEqual(essence(await generated(own)));
  }

  test('counts all it has', () => continuesAlike({ maxTokens: 24 }));

  slowTest.each<[string, GenerateOptions]>([
    ['its log probabilities', { logprobs: 2, maxTokens: 14 }],
    ['the tokens of its reasoning', { reasoningBudget: 15, maxTokens: 40 }],
    ['its random numbers', { temperature: 1.2, seed: 7, presencePenalty: 1, maxTokens: 24 }],
  ])('counts %s', (_, options) => continuesAlike(options));

  test('has only the log probabilities that were asked for', async () => {
    const own = { ...OPTIONS, maxTokens: 12 };
    const { logprobs } = await resumed(9, { ...own, logprobs: 0 }, own);
    expect(logprobs).toHaveLength(3);
  });

  slowTest('ends where a stop string is that it has already', async () => {
    const own: GenerateOptions = { ...OPTIONS, prefillText: '517 - 344 is', maxTokens: 16 };
    const whole = await resumed(9, own);
    const stop = [whole.text.slice(14, 17)];
    const { text, reason, usage } = await resumed(9, { ...own, stop }, own);
    expect([text, reason]).toEqual([whole.text.slice(0, 14), 'stop']);
    expect(usage.completionTokens).toBeLessThanOrEqual(9);
  });

  test('has nothing to add if maxTokens is used up', async () => {
    const { reason, usage } = await resumed(9, { ...OPTIONS, maxTokens: 9 });
    expect([reason, usage.completionTokens]).toEqual(['length', 9]);
  });
});

describe('a session with an unfinished answer', () => {
  async function cutShort(): Promise<Session> {
    const session = engine.createSession();
    await session.generate(QUESTION, { ...OPTIONS, maxTokens: 5 }).result;
    return session;
  }

  test('hands it to a fork of all, but not to one of its messages', async () => {
    const session = await cutShort();
    const [whole, some] = [await session.fork(), await session.fork(1)];
    expect([whole.isUnfinished, some.isUnfinished]).toEqual([true, false]);
    expect([whole.messages, some.messages]).toEqual([QUESTION, QUESTION]);
    const options = { ...OPTIONS, maxTokens: 10 };
    const { usage } = await whole.resume(options).result;
    expect(usage.completionTokens).toBe(10);
    await expect(some.resume(options).result).rejects.toThrow(RangeError);
    for (const each of [session, whole, some]) each.dispose();
  });

  test('runs the tools that the rest of it calls', async () => {
    const weather: ToolDefinition = {
      name: 'get_weather',
      parameters: {
        type: 'object',
        properties: { location: { type: 'string' } },
        required: ['location'],
      },
      execute: () => ({ temperature: 21 }),
    };
    const session = engine.createSession();
    const options = { ...OPTIONS, tools: [weather], toolChoice: 'required' } as const;
    const question: Message = { role: 'user', content: 'What is the weather in Rome?' };
    await session.generate([question], { ...options, maxTokens: 3 }).result;
    const { messages } = await session.resume({ ...options, stopWhen: stepCountIs(1) }).result;
    expect(messages.at(-1)).toMatchObject({ role: 'tool', content: '{"temperature":21}' });
    expect(session.messages).toEqual([question, ...messages]);
    session.dispose();
  });
});

test('a session has no messages after a prompt of token ids, which takes no options for messages', async () => {
  const session = engine.createSession();
  const prompt = Uint32Array.from(engine.tokenizer.encodeConversation(QUESTION));
  const options = { temperature: 0, reasoningBudget: 4 };
  const { text, reason, usage } = await session.generate(prompt, options).result;
  expect([reason, usage.reasoningTokens]).toEqual(['stop', 4]);
  expect(text).not.toBe('');
  expect(session.messages).toEqual([]);
  const refused: GenerateOptions = {
    instructions: 'Be brief.',
    prefillText: '',
    keepAnalysis: true,
    reasoningEffort: 'low',
    systemMessage: null,
    onStepFinish: () => undefined,
  };
  for (const [name, value] of Object.entries(refused)) {
    const { result } = session.generate(prompt, { [name]: value });
    await expect(result).rejects.toThrow(TypeError);
    await expect(result).rejects.toThrow(`${name} has no effect on a prompt of token ids`);
  }
  await session.generate(prompt, { maxTokens: 3 }).result;
  const { result } = session.resume({ maxTokens: 6, reasoningEffort: 'low' });
  await expect(result).rejects.toThrow('reasoningEffort has no effect on a prompt of token ids');
  expect((await session.resume({ maxTokens: 6 }).result).usage.completionTokens).toBe(6);
  session.dispose();
});
