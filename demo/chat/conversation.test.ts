import type { GenerateEvent, Message } from 'ossicle';
import { expect, test } from 'vitest';
import type { Turn } from '../chats/chat-record.ts';
import {
  CallCounter,
  contextAfter,
  contextTokens,
  historyOf,
  maxTokensToGoOn,
  questionText,
} from './conversation.ts';

const words = (text: string): number => text.split(' ').length;
/** A turn whose answer is whole. */
const turnOf = (prompt: string, reply: readonly Message[]): Turn => ({
  ...{ id: 'a', parent: null, askedAt: 0, files: [], usesTools: false, parts: [] },
  ...{ prompt, reply },
  outcome: { reason: 'stop', tokens: 1, tokensPerSecond: 1, firstTokenMs: 1 },
});
/** Counts words instead of tokens. */
const counter = {
  countTokens: async (input: string | readonly Message[]) =>
    (input as readonly Message[]).reduce((sum, { content }) => sum + words(content), 0),
};

test('each message of an answer with a tool call counts once, the tool’s result included', async () => {
  const reply: readonly Message[] = [
    { role: 'assistant', channel: 'analysis', content: 'I ask the clock' },
    { role: 'assistant', channel: 'commentary', recipient: 'functions.get_time', content: '{}' },
    { role: 'tool', name: 'get_time', content: '14 30' },
    { role: 'assistant', channel: 'final', content: 'It is 14 30' },
  ];
  const messages = historyOf([turnOf('What time is it', reply)], true);
  expect(await contextTokens(counter, messages, {})).toBe(4 + 4 + 1 + 2 + 4);
});

test('calls and results are left out of the history of a question without tools', () => {
  const reply: readonly Message[] = [
    { role: 'assistant', channel: 'commentary', recipient: 'functions.get_time', content: '{}' },
    { role: 'tool', name: 'get_time', content: '14 30' },
    { role: 'assistant', channel: 'final', content: 'It is 14 30' },
  ];
  expect(historyOf([turnOf('What time is it', reply)], false)).toEqual([
    { role: 'user', content: 'What time is it' },
    { role: 'assistant', channel: 'final', content: 'It is 14 30' },
  ]);
});

test('an answer that was cut off by a reload is sent back as far as it was shown', () => {
  const { outcome: _, ...cut } = turnOf('Count', []);
  const parts = [
    { kind: 'reasoning', text: 'One by one', ms: 3 },
    { kind: 'text', text: '1 2' },
  ] as const;
  expect(historyOf([{ ...cut, parts }], false)).toEqual([
    { role: 'user', content: 'Count' },
    { role: 'assistant', channel: 'final', content: '1 2' },
  ]);
});

test('attached files come before the question, in fences that their text cannot close', () => {
  const files = [{ name: 'a.md', text: '```js\n1\n```\n' }];
  expect(questionText('Why?', files)).toBe('a.md:\n````\n```js\n1\n```\n````\n\nWhy?');
});

test('the context of a model that is gone is unknown', async () => {
  const countTokens = () => Promise.reject(new Error('disposed'));
  expect(await contextTokens({ countTokens }, [], {})).toBeUndefined();
});

test('the context grows with the prompt and with each piece of text', () => {
  const events: readonly GenerateEvent[] = [
    { type: 'prefill', processedTokens: 40, totalTokens: 90 },
    { type: 'prefill', processedTokens: 90, totalTokens: 90 },
    { type: 'reasoning-delta', text: 'Ones' },
    { type: 'text-delta', text: '42', channel: 'final' },
    { type: 'tool-result', id: 'call_0', name: 'get_time', output: {} },
  ];
  let tokens = 12;
  const shown = events.map((event) => {
    tokens = contextAfter(event, tokens);
    return tokens;
  });
  expect(shown).toEqual([40, 90, 91, 92, 92]);
});

test('a model that makes the same call three times loops; other arguments are another call', () => {
  const calls = new CallCounter();
  const call = (inputText: string): boolean => calls.add({ name: 'get_time', inputText });
  expect([call('{"city":"Oslo"}'), call('{"city":"Rome"}')]).toEqual([false, false]);
  expect([call('{"city":"Oslo"}'), call('{"city":"Oslo"}')]).toEqual([false, true]);
  expect(call('{"city":"Rome"}')).toBe(false);
});

test.each([
  ['was stopped', 'aborted', 40, 512, 8000, 512],
  ['was stopped without a limit', 'aborted', 40, undefined, 8000, Infinity],
  ['has reached the limit', 'length', 512, 512, 8000, 1024],
  ['has reached the limit again', 'length', 1024, 512, 8000, 1536],
  ['went on beyond the limit and was stopped', 'aborted', 600, 512, 8000, 1112],
  ['has filled the context', 'length', 8000, 512, 8000, undefined],
  ['has filled the context without a limit', 'length', 7998, undefined, 8000, undefined],
] as const)(
  'an answer that %s goes on with enough tokens',
  (_, reason, tokens, max, room, most) => {
    expect(maxTokensToGoOn({ reason, tokens }, max, room)).toBe(most);
  },
);

test('an answer that the end of the page cut short goes on up to the limit', () => {
  expect(maxTokensToGoOn(undefined, 512, 8000)).toBe(512);
});
