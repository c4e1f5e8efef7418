import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testFileUrl } from '../../test/files.ts';
import { WEATHER } from '../../test/weather.ts';
import { stepCountIs } from '../generation/stop-conditions.ts';
import type { GenerateOptions, Message } from '../types/generate.ts';
import { load } from './load.ts';
import type { Model } from './model.ts';
import type { ModelSession } from './model-session.ts';
import { store } from './model-store.ts';

const NANO = testFileUrl('demo/public/models/gpt-oss-nano');
const GREEDY: GenerateOptions = { temperature: 0 };
const LOAD = { contextLength: 1024, tune: false } as const;

const user = (content: string): Message => ({ role: 'user', content });

let model: Model;

async function clear(): Promise<void> {
  for (const { id } of await store.list()) await store.remove(id);
  for (const { id } of await model.sessions.list()) await model.sessions.remove(id);
}

beforeAll(async () => {
  model = await load(NANO, LOAD);
  await clear();
});

afterAll(async () => {
  await clear();
  await model.dispose();
});

describe('a session', () => {
  test('is saved, and goes on in another model as it would have, without prefill', async () => {
    const session = model.createSession();
    const first = await session.generate('What is 17 + 25?', GREEDY).result;
    expect(session.messages).toEqual([user('What is 17 + 25?'), ...first.messages]);
    await session.save();
    const next = [...session.messages, user('What is 3 * 4?')];
    const expected = await session.generate(next, GREEDY).result;

    await model.dispose();
    model = await load(NANO, LOAD);
    const [saved] = await model.sessions.list();
    expect(saved).toMatchObject({
      id: session.id,
      model: model.info.id,
      messages: next.slice(0, -1),
      isUnfinished: false,
      isDamaged: false,
    });
    expect(saved?.sizeBytes).toBeGreaterThan(10_000);
    const opened = await model.sessions.open(session.id);
    expect(opened.id).toBe(session.id);
    expect(opened.messages).toEqual(next.slice(0, -1));
    expect(opened.restoredTokens).toBeGreaterThan(first.usage.promptTokens);
    const actual = await opened.generate(next, GREEDY).result;
    expect(actual.messages).toEqual(expected.messages);
    expect(actual.usage).toEqual(expected.usage);

    await opened.save();
    expect(await model.sessions.list()).toHaveLength(1);
    await model.sessions.remove(session.id);
    expect(await model.sessions.list()).toEqual([]);
    await expect(model.sessions.open(session.id)).rejects.toThrow(RangeError);
    await opened.dispose();
  });

  test('saved during its answer resumes it, and runs the tools that it calls', async () => {
    const inputs: unknown[] = [];
    const options: GenerateOptions = {
      ...GREEDY,
      tools: [
        {
          ...WEATHER,
          execute: (input, options) => {
            inputs.push(input);
            return WEATHER.execute?.(input, options);
          },
        },
      ],
    };
    const session = model.createSession();
    const generation = session.generate('What is the weather in Paris?', options);
    for await (const { type } of generation) {
      if (type !== 'reasoning-delta') continue;
      await session.save();
      break;
    }
    await generation.result;
    expect(session.isUnfinished).toBe(true);
    const whole = await model.generate('What is the weather in Paris?', options).result;

    const opened = await model.sessions.open(session.id);
    expect(opened.isUnfinished).toBe(true);
    expect(opened.messages).toEqual([user('What is the weather in Paris?')]);
    const { result } = opened.resume(options);
    const resumed = await result;
    expect(resumed.text).toBe(whole.text);
    expect(resumed.messages.map(({ content }) => content)).toEqual(
      whole.messages.map(({ content }) => content),
    );
    expect(inputs).toHaveLength(2);
    expect(opened.isUnfinished).toBe(false);
    await expect(opened.resume(options).result).rejects.toThrow(RangeError);
    for (const each of [session, opened]) await each.dispose();
  });

  test('saved at the end of a step has the results of its tools', async () => {
    const session = model.createSession();
    let fork: ModelSession | undefined;
    const { messages } = await session.generate('What is the weather in Paris?', {
      ...GREEDY,
      tools: [WEATHER],
      stopWhen: stepCountIs(1),
      onStepFinish: async () => {
        await session.save();
        fork = await session.fork();
      },
    }).result;
    expect(messages.at(-1)).toMatchObject({ role: 'tool', name: 'get_weather' });
    const opened = await model.sessions.open(session.id);
    for (const each of [session, opened, fork!]) {
      expect(each.messages).toEqual([user('What is the weather in Paris?'), ...messages]);
      await each.dispose();
    }
  });

  test('has forks with some of its messages, and ends when it is disposed of', async () => {
    const session = model.createSession();
    await session.generate('What is 17 + 25?', GREEDY).result;
    const [fork, half] = [await session.fork(), await session.fork(1)];
    expect(new Set([session.id, fork.id, half.id]).size).toBe(3);
    expect(fork.messages).toEqual(session.messages);
    expect(half.messages).toEqual([user('What is 17 + 25?')]);
    await expect(session.fork(99)).rejects.toThrow(RangeError);
    const before = await session.generate([...session.messages, user('Hello')], GREEDY).result;
    await session.dispose();
    const { usage, text } = await fork.generate([...fork.messages, user('Hello')], GREEDY).result;
    expect({ usage, text }).toEqual({ usage: before.usage, text: before.text });
    for (const call of [() => session.generate('Hello').result, () => session.save()]) {
      await expect(call()).rejects.toMatchObject({ code: 'disposed' });
    }
    for (const each of [fork, half]) await each.dispose();
  });
});
