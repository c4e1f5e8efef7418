// What a conversation with tools evaluates again, counted, on the embedded model.
import type { Message } from '@ossicle/harmony';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestDevice, type TestDevice } from '../../../test/engine.ts';
import { testFileUrl } from '../../../test/files.ts';
import type { GenerateOptions } from '../../types/generate.ts';
import type { Engine } from '../engine.ts';
import type { Session } from '../session.ts';

// A window of 128 and passes of 32: a ring of 160 positions, which a turn overwrites several times.
const NANO = testFileUrl('demo/public/models/gpt-oss-nano');
const OPTIONS: GenerateOptions = {
  temperature: 0,
  maxTokens: 2,
  tools: [{ name: 'search', description: 'Searches.', parameters: { type: 'object' } }],
};

let gpu: TestDevice;
let engine: Engine;

beforeAll(async () => {
  gpu = await openTestDevice();
  engine = await gpu.engine(NANO, { contextLength: 2048, prefillChunkLength: 32, tune: false });
});

afterAll(() => gpu.close());

const user = (content: string): Message => ({ role: 'user', content });

/** What a model says in a round, and the result of the tool that it calls. */
function round(i: number): Message[] {
  const recipient = 'functions.search';
  return [
    { role: 'assistant', channel: 'analysis', content: `Page ${i} of the list is not read yet.` },
    { role: 'assistant', channel: 'commentary', recipient, content: `{"page":${i}}` },
    { role: 'tool', name: recipient, content: `Page ${i} says that ${i * 7} is next.` },
  ];
}

/** Generates after a conversation; the tokens are those of a new session. */
async function generate(
  session: Session,
  messages: readonly Message[],
  options: GenerateOptions = OPTIONS,
): Promise<{ readonly prompt: number; readonly evaluated: number }> {
  const answer = async (by: Session): Promise<number[]> => {
    const { usage } = await by.generate(messages, options).result;
    return by.tokens.slice(usage.promptTokens);
  };
  const { usage } = await session.generate(messages, options).result;
  const tokens = session.tokens.slice(usage.promptTokens);
  const fresh = engine.createSession();
  expect(tokens).toEqual(await answer(fresh));
  fresh.dispose();
  return { prompt: usage.promptTokens, evaluated: usage.promptTokens - usage.reusedTokens };
}

describe('a turn of 8 rounds of tools', () => {
  test('is the only one that the next turn, which drops its reasoning, evaluates again', async () => {
    const session = engine.createSession();
    const messages: Message[] = [user('What is 3 * 4?'), say('12')];
    await generate(session, messages.slice(0, 1));
    messages.push(user('Read the whole list.'));
    const first = await generate(session, messages);
    for (let i = 1; i <= 8; i++) {
      messages.push(...round(i));
      await session.generate(messages, OPTIONS).result;
    }
    messages.push(say('It ends at 56.'), user('Read it again.'));
    const next = await generate(session, messages);
    expect(next.evaluated).toBe(next.prompt - first.prompt);
    session.dispose();
  });
});

function say(content: string): Message {
  return { role: 'assistant', channel: 'final', content };
}
