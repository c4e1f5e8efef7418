// What a conversation with tools evaluates again, counted, on the embedded model.
import type { Message } from '@ossicle/harmony';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestDevice, type TestDevice } from '../../../test/engine.ts';
import { testFileUrl } from '../../../test/files.ts';
import { runsSlowTests, slowTest } from '../../../test/slow.ts';
import { WEATHER } from '../../../test/weather.ts';
import { stepCountIs } from '../../generation/stop-conditions.ts';
import type { GenerateOptions } from '../../types/generate.ts';
import type { Engine } from '../engine.ts';
import type { Session } from '../session.ts';

// A window of 128 and passes of 32: a ring of 160 positions, which a conversation overwrites.
const NANO = testFileUrl('demo/public/models/gpt-oss-nano');
const OPTIONS: GenerateOptions = { temperature: 0, tools: [WEATHER] };
/** More than the ring has room for. */
const ROUNDS = runsSlowTests ? 8 : 4;
/** Turns from one that a new session evaluates as well to the next: each takes SwiftShader up to ten seconds. */
const FRESH_EVERY = 'document' in globalThis ? 6 : 1;
const CITIES = ['Paris', 'Rome', 'Oslo', 'Lima', 'Cairo'];

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
    { role: 'assistant', channel: 'analysis', content: `Page ${i} is next.` },
    { role: 'assistant', channel: 'commentary', recipient, content: `{"page":${i}}` },
    { role: 'tool', name: recipient, content: `Page ${i}: ${i * 7}. ${'And so on. '.repeat(3)}` },
  ];
}

/** Counts of the prompt of a step. */
interface Prefill {
  readonly prompt: number;
  readonly evaluated: number;
}

/**
 * Answers a conversation, and runs the tools. Every step chooses the tokens that a new session chooses.
 *
 * @returns The messages with the answer, and the prefill of each step.
 */
async function answer(
  session: Session,
  messages: readonly Message[],
): Promise<{ readonly messages: readonly Message[]; readonly steps: readonly Prefill[] }> {
  const steps: Prefill[] = [];
  let input = messages;
  const { result } = session.generate(messages, {
    ...OPTIONS,
    onStepFinish: async ({ usage: { promptTokens: prompt, reusedTokens }, messages: added }) => {
      const tokens = [...session.tokens];
      const fresh = engine.createSession();
      const { usage } = await fresh.generate(input, { ...OPTIONS, tools: [CALLED_BY_TEST] }).result;
      expect(usage).toMatchObject({ promptTokens: prompt, reusedTokens: 0 });
      expect(fresh.tokens).toEqual(tokens);
      fresh.dispose();
      steps.push({ prompt, evaluated: prompt - reusedTokens });
      input = [...input, ...added];
    },
  });
  return { messages: [...messages, ...(await result).messages], steps };
}

/** The same tool, which ends a generation when it is called. */
const { execute: _, ...CALLED_BY_TEST } = WEATHER;

const ask = (city: string): Message => user(`What is the weather in ${city}?`);

/**
 * Asks a question with a tool in every turn. The first prompt of a turn evaluates what follows the first prompt of the turn
 * before, because that turn's reasoning is dropped; the second evaluates the result of the tool.
 */
async function converse(session: Session, turns: number): Promise<readonly Message[]> {
  let messages: readonly Message[] = [];
  let before = 0;
  for (let turn = 0; turn < turns; turn++) {
    messages = [...messages, ask(CITIES[turn % CITIES.length] as string)];
    const answered = await answer(session, messages);
    const [first, second] = answered.steps as [Prefill, Prefill];
    expect(answered.steps).toHaveLength(2);
    expect(first.evaluated).toBeLessThanOrEqual(first.prompt - before);
    expect(second.evaluated).toBeLessThan(60);
    before = first.prompt;
    messages = answered.messages;
  }
  return messages;
}

test('a session has the results of the last tools, as soon as its step ends and when it was saved', async () => {
  const session = engine.createSession();
  const seen: (readonly Message[])[] = [];
  const { messages } = await session.generate([ask('Rome')], {
    ...OPTIONS,
    stopWhen: stepCountIs(1),
    onStepFinish: () => void seen.push(session.messages),
  }).result;
  expect(messages.at(-1)).toMatchObject({ role: 'tool', name: 'get_weather' });
  const parts: BlobPart[] = [];
  await session.save(async (bytes) => void parts.push(bytes));
  const opened = await engine.openSession(new Blob(parts));
  const all = [ask('Rome'), ...messages];
  expect([...seen, session.messages, opened.messages]).toEqual([all, all, all]);
  const { usage } = await opened.generate(opened.messages, OPTIONS).result;
  expect(usage.promptTokens - usage.reusedTokens).toBeLessThan(60);
  for (const each of [session, opened]) each.dispose();
});

describe('a conversation with tools, whose reasoning is dropped', () => {
  slowTest(
    'evaluates only what is new, also after an edit, in a fork and when it was saved',
    async () => {
      const session = engine.createSession();
      const messages = await converse(session, 2);
      const next = [...messages, ask('Bonn')];
      const parts: BlobPart[] = [];
      await session.save(async (bytes) => void parts.push(bytes));
      const opened = await engine.openSession(new Blob(parts));
      const { restoredTokens } = opened;
      expect(restoredTokens).toBeGreaterThanOrEqual(session.tokens.length - 1); // the last one ends the answer
      const fork = await session.fork();
      const outcomes = [];
      for (const each of [session, fork, opened]) {
        expect(each.messages).toEqual(messages);
        const { steps } = await answer(each, next);
        const edited = messages.slice(
          0,
          messages.findLastIndex(({ role }) => role === 'user'),
        );
        const { steps: again } = await answer(each, [...edited, ask('Kiel')]);
        outcomes.push([steps, again]);
        each.dispose();
      }
      const [[steps, again]] = outcomes as [[Prefill[], Prefill[]]];
      expect(outcomes).toEqual([outcomes[0], outcomes[0], outcomes[0]]);
      expect(steps[0]!.evaluated).toBeLessThan(steps[0]!.prompt / 2);
      expect(again[0]!.evaluated).toBeLessThan(again[0]!.prompt / 2);
    },
  );
});

/** Answers with one token, and tells what was evaluated. */
async function prefill(session: Session, messages: readonly Message[]): Promise<Prefill> {
  const { usage } = await session.generate(messages, { temperature: 0, maxTokens: 1 }).result;
  return { prompt: usage.promptTokens, evaluated: usage.promptTokens - usage.reusedTokens };
}

describe('a conversation whose answers are given', () => {
  test(`evaluates only the last turn again after ${ROUNDS} rounds of tools`, async () => {
    const session = engine.createSession();
    const messages: Message[] = [user('What is 3 * 4?'), say('12')];
    await prefill(session, messages.slice(0, 1));
    messages.push(user('Read the whole list.'));
    const first = await prefill(session, messages);
    for (let i = 1; i <= ROUNDS; i++) {
      messages.push(...round(i));
      await prefill(session, messages);
    }
    messages.push(say('It ends at 56.'), user('Read it again.'));
    const next = await prefill(session, messages);
    expect(next.evaluated).toBe(next.prompt - first.prompt);
    session.dispose();
  });

  slowTest(
    'evaluates only what is new in each of 20 turns, and chooses what a new session does',
    async () => {
      const session = engine.createSession();
      const messages: Message[] = [];
      let before = 0;
      for (let turn = 0; turn < 20; turn++) {
        messages.push(user(`Read page ${turn}.`));
        const first = await prefill(session, messages);
        expect(first.evaluated).toBe(first.prompt - before);
        if (turn % FRESH_EVERY === 0) {
          const fresh = engine.createSession();
          expect((await prefill(fresh, messages)).evaluated).toBe(first.prompt);
          expect(fresh.tokens).toEqual(session.tokens);
          fresh.dispose();
        }
        messages.push(...round(turn));
        await prefill(session, messages);
        messages.push(say(`It says ${turn * 7}.`));
        before = first.prompt;
      }
      session.dispose();
    },
    900_000, // evaluates up to 10,000 tokens on a software adapter
  );
});

test('a conversation that is too long loses its oldest turns if it may, and goes on with the rest', async () => {
  const short = await gpu.engine(NANO, { contextLength: 512, tune: false });
  const session = short.createSession();
  const options = { temperature: 0, maxTokens: 1, instructions: 'Take notes.' } as const;
  const note = 'The train leaves on time, and it arrives an hour later, as it always does.';
  const history = Array.from({ length: 14 }, () => [user(note), say('Noted.')]).flat();
  history.push(user('Hello'));
  const drop = { ...options, overflow: 'drop-oldest' } as const;
  await expect(session.generate(history, options).result).rejects.toMatchObject({
    code: 'context-overflow',
  });
  expect(session.tokens).toEqual([]);
  const { droppedMessages, usage } = await session.generate(history, drop).result;
  expect(droppedMessages).toBeGreaterThan(2);
  const kept = history.slice(droppedMessages);
  expect(kept[0]).toEqual(user(note));
  expect(usage.promptTokens).toBe(short.tokenizer.encodeConversation(kept, options).length);
  expect(usage.promptTokens).toBeLessThan(512);
  history.push(say('Hi'), user('Thanks'));
  const next = await session.generate(history, drop).result;
  expect(next.droppedMessages).toBe(droppedMessages);
  expect(next.usage.reusedTokens).toBeGreaterThanOrEqual(usage.promptTokens);
  expect(await session.generate(kept, drop).result).not.toHaveProperty('droppedMessages');
  session.dispose();
});

function say(content: string): Message {
  return { role: 'assistant', channel: 'final', content };
}
