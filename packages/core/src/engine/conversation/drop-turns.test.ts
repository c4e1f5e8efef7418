import type { Message } from '@ossicle/harmony';
import { expect, test } from 'vitest';
import { dropTurns } from './drop-turns.ts';

const lengthOf = (messages: readonly Message[]): number =>
  messages.reduce((sum, { content }) => sum + content.length, 0);

const message = (role: Message['role'], length: number): Message => ({
  role,
  content: 'x'.repeat(length),
});

/** Turns of 10 tokens after instructions of 5. */
function conversation(turns: number): Message[] {
  const turn = [message('user', 2), message('assistant', 3), message('tool', 4)];
  return [
    message('developer', 5),
    ...Array.from({ length: turns - 1 }, () => [...turn, message('assistant', 1)]).flat(),
    message('user', 2),
  ];
}

const drop = (messages: readonly Message[], maxTokens?: number): readonly Message[] =>
  dropTurns(messages, { contextLength: 100, maxTokens, lengthOf });

test('a conversation that leaves room for the answer stays whole', () => {
  for (const turns of [1, 5, 7]) {
    const messages = conversation(turns);
    expect(drop(messages)).toBe(messages);
  }
  expect(drop(conversation(10), 3)).toHaveLength(38);
});

test('whole turns go, the oldest first; instructions and the last turn stay', () => {
  const messages = conversation(9); // 87 tokens; 12 too many
  expect(drop(messages)).toEqual([messages[0], ...messages.slice(1 + 3 * 4)]);
  const long = [...conversation(3), message('assistant', 40), message('tool', 40)];
  expect(drop(long)).toEqual([long[0], ...long.slice(9)]);
});

test('the cut stays in its place until a quarter of the context is used up', () => {
  const cuts = Array.from({ length: 20 }, (_, i) => {
    const messages = conversation(i + 1);
    return (messages.length - drop(messages).length) / 4;
  });
  expect(cuts).toEqual([0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 5, 5, 8, 8, 8, 10, 10, 13, 13, 13]);
});

test('a single turn, or what is left before a cut, is not shortened', () => {
  const single = [message('system', 50), message('user', 80), message('assistant', 9)];
  expect(drop(single)).toBe(single);
  const answer = [message('assistant', 90), message('user', 8)];
  expect(drop(answer)).toEqual(answer.slice(1));
});
