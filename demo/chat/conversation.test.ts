import type { GenerateEvent, Message } from 'ossicle';
import { expect, test } from 'vitest';
import { CallCounter, contextAfter, contextTokens, historyOf } from './conversation.ts';

const words = (text: string): number => text.split(' ').length;
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
  const messages = historyOf([{ prompt: 'What time is it', reply }], true);
  expect(await contextTokens(counter, messages, {})).toBe(4 + 4 + 1 + 2 + 4);
});

test('calls and results are left out of the history of a question without tools', () => {
  const reply: readonly Message[] = [
    { role: 'assistant', channel: 'commentary', recipient: 'functions.get_time', content: '{}' },
    { role: 'tool', name: 'get_time', content: '14 30' },
    { role: 'assistant', channel: 'final', content: 'It is 14 30' },
  ];
  expect(historyOf([{ prompt: 'What time is it', reply }], false)).toEqual([
    { role: 'user', content: 'What time is it' },
    { role: 'assistant', channel: 'final', content: 'It is 14 30' },
  ]);
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
