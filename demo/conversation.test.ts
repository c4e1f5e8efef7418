import type { Message } from 'ossicle';
import { expect, test } from 'vitest';
import { contextTokens, historyOf } from './conversation.ts';

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
  const messages = historyOf([{ prompt: 'What time is it', reply }]);
  expect(await contextTokens(counter, messages, {})).toBe(4 + 4 + 1 + 2 + 4);
});

test('the context of a model that is gone is unknown', async () => {
  const countTokens = () => Promise.reject(new Error('disposed'));
  expect(await contextTokens({ countTokens }, [], {})).toBeUndefined();
});
