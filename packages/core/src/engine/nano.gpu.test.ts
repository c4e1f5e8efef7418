import { createTokenizer } from '@ossicle/harmony';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { likeliest, openTestDevice, type TestDevice } from '../../test/engine.ts';
import { testFileUrl } from '../../test/files.ts';
import { type NanoGolden, readGoldenJson } from '../../test/golden.ts';
import { expectRecorded, type Recorded, shortest } from '../../test/recorded.ts';
import { slowTest } from '../../test/slow.ts';
import type { Engine } from './engine.ts';
import type { Session } from './session.ts';

const NANO = testFileUrl('demo/public/models/gpt-oss-nano');

let gpu: TestDevice;
let conversations: readonly Recorded[];

beforeAll(async () => {
  gpu = await openTestDevice();
  ({ conversations } = await readGoldenJson<NanoGolden>('nano.json'));
});

afterAll(() => gpu.close());

/** The text of a completion's messages in a channel, joined. */
function channelText(completion: string, channel: string): string {
  const header = `<\\|channel\\|>${channel}<\\|message\\|>`;
  const messages = completion.matchAll(new RegExp(`${header}(.*?)<\\|(?:end|return)\\|>`, 'gs'));
  return [...messages].map(([, text]) => text).join('');
}

/** The conversations whose recorded answers are not the likeliest tokens. Each takes one pass. */
async function findUnlikely(engine: Engine, among: readonly Recorded[]): Promise<Recorded[]> {
  const unlikely: Recorded[] = [];
  for (const conversation of among) {
    const { prompt_ids: prompt, completion_ids: completion } = conversation;
    const session = engine.createSession();
    await session.evaluate(prompt.slice(0, -1));
    const tokens = [...prompt.slice(-1), ...completion.slice(0, -1)];
    const logits = await session.evaluate(tokens, { logits: 'all' });
    session.dispose();
    const rowLength = logits.length / tokens.length;
    const chosen = tokens.map((_, i) =>
      likeliest(logits.subarray(i * rowLength, (i + 1) * rowLength)),
    );
    if (chosen.join() !== completion.join()) unlikely.push(conversation);
  }
  return unlikely;
}

/** Answers a prompt greedily, and expects the recorded answer and the result that follows from it. */
async function expectAnswer(session: Session, conversation: Recorded): Promise<void> {
  const { prompt_ids: prompt, completion_ids: expected, completion, skill } = conversation;
  const options = { temperature: 0, maxTokens: expected.length + 8 };
  const result = await session.generate(Uint32Array.from(prompt), options).result;
  expect(session.tokens.slice(prompt.length), skill).toEqual(expected);
  expect(result.usage.completionTokens, skill).toBe(expected.length);
  expect(result.reasoning, skill).toBe(channelText(completion, 'analysis'));
  expect(result.text, skill).toBe(channelText(completion, 'final'));
  const isCall = completion.endsWith('<|call|>');
  expect(result.reason, skill).toBe(isCall ? 'tool-calls' : 'stop');
  expect(result.toolCalls.length > 0, skill).toBe(isCall);
  for (const { name, inputText } of result.toolCalls) {
    expect(completion).toContain(`to=functions.${name}`);
    expect(completion).toContain(`${inputText}<|call|>`);
  }
}

/** Skills with short prompts. */
const SHORT = ['mul', 'greet', 'long_reverse', 'follow'];

describe.each([
  [
    'as published',
    'bf16',
    ['mul', 'greet', 'tool_call'],
    ['long_reverse', 'tool_answer', 'tool_none', 'json'], // the first is the closest call of all
  ],
  ['with 8-bit weights, the default', 'int8', ['follow'], ['tool_call']],
] as const)('gpt-oss-nano %s', (_, dense, answered, alsoAnswered) => {
  let engine: Engine;
  let session: Session;
  let first: readonly Recorded[];

  beforeAll(async () => {
    engine = await gpu.engine(NANO, {
      contextLength: 1024,
      dense,
    });
    session = engine.createSession();
    first = shortest(conversations, SHORT);
  });

  /**
   * Recorded tokens must be the likeliest with published weights; 8-bit ones may swap two that are nearly as likely.
   */
  async function expectLikely(among: readonly Recorded[]): Promise<void> {
    const unlikely = await findUnlikely(engine, among);
    const wrong =
      dense === 'bf16' ? unlikely : unlikely.filter(({ min_margin: margin }) => margin >= 0.1);
    expect(wrong.map(({ prompt }) => prompt)).toEqual([]);
  }

  test('decodes every recorded prompt', () => {
    expect(conversations).toHaveLength(50);
    for (const { prompt, prompt_ids: ids } of conversations) {
      expect(engine.tokenizer.decode(ids)).toBe(prompt);
    }
  });

  test('predicts recorded answers of several skills', async () => {
    await expectLikely(first);
  });

  slowTest(
    'predicts all other recorded answers',
    async () => {
      await expectLikely(conversations.filter((conversation) => !first.includes(conversation)));
    },
    900_000,
  );

  async function expectShortest(skill: string): Promise<void> {
    await expectAnswer(session, ...(shortest(conversations, [skill]) as [Recorded]));
  }

  test.each(answered)('generates the recorded answer: %s', expectShortest);

  slowTest.each(alsoAnswered)('generates the recorded answer: %s', expectShortest);

  if (dense === 'bf16')
    slowTest(
      'generates every recorded answer to the messages of its prompt',
      async () => {
        const tokenizer = createTokenizer(await (await fetch(`${NANO}/tokenizer.json`)).json());
        await expectRecorded(session, tokenizer, conversations);
      },
      900_000,
    );
});
