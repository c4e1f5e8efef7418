import { expect, test } from 'vitest';
import { changed, fuzz, jsonValue, outcome } from '../../packages/core/test/fuzz.ts';
import { parseChats, toJson, toMarkdown } from './chat-file.ts';
import { type ChatRecord, newChat, type Turn } from './chat-record.ts';

const turn: Turn = {
  ...{ id: 'a', parent: null, askedAt: 5, prompt: 'What time is it?', usesTools: true },
  files: [{ name: 'notes.txt', text: 'Paris' }],
  parts: [
    { kind: 'reasoning', text: 'I ask the clock.', ms: 1200 },
    { kind: 'tool', id: '1', name: 'get_time', input: '{}', state: 'done', output: '"06:30"' },
    { kind: 'text', text: 'It is **06:30**.' },
  ],
  reply: [
    {
      ...{ role: 'assistant', channel: 'commentary', content: '{}' },
      ...{ recipient: 'functions.get_time', contentType: 'json' },
    },
    { role: 'tool', name: 'get_time', content: '"06:30"' },
    { role: 'assistant', channel: 'final', content: 'It is **06:30**.', tokens: [1, 2, 3] },
  ],
  outcome: { reason: 'stop', tokens: 12, tokensPerSecond: 3.5, firstTokenMs: 80 },
};
const { outcome: _outcome, ...unfinished } = {
  ...turn,
  id: 'b',
  parent: 'a',
  parts: [],
  reply: [],
};
const chat: ChatRecord = {
  ...newChat(7),
  ...{ title: 'Time', instructions: 'Be brief.', turns: [turn, unfinished], leaf: 'b' },
};

test('an exported chat is imported as it was, under a new id and without token ids', () => {
  const [imported, ...others] = parseChats(toJson([chat]));
  const [call, result, final] = turn.reply;
  const { tokens: _ids, ...readable } = final ?? { role: 'tool', content: '' };
  expect(others).toEqual([]);
  expect(imported).toEqual({
    ...chat,
    id: imported?.id,
    turns: [{ ...turn, reply: [call, result, readable] }, unfinished],
  });
  expect(imported?.id).not.toBe(chat.id);
});

test('a chat as Markdown has its questions, reasoning, calls and answers', () => {
  const markdown = toMarkdown({ ...chat, leaf: 'a' });
  for (const text of [
    '# Time',
    '> Be brief.',
    '*notes.txt*',
    'What time is it?',
    'I ask the clock.',
  ])
    expect(markdown).toContain(text);
  expect(markdown).toContain('`get_time({})` → `"06:30"`');
  expect(markdown).toContain('It is **06:30**.');
});

test.each([
  ['no JSON', '{'],
  ['another format', '{"format":"other","chats":[]}'],
  ['a turn that is its own ancestor', toJson([{ ...chat, turns: [{ ...turn, parent: 'a' }] }])],
  ['a child before its parent', toJson([{ ...chat, turns: [unfinished, turn] }])],
  ['two turns of one id', toJson([{ ...chat, turns: [turn, turn] }])],
])('%s is refused', (_name, json) => {
  expect(() => parseChats(json)).toThrow(/not JSON|does not hold chats/);
});

test('any change of an exported file is imported or refused with a reason', async () => {
  const file: unknown = JSON.parse(toJson([chat]));
  await fuzz('chats', changed(file, jsonValue), async (value) => {
    const chats = await outcome(
      () => parseChats(JSON.stringify(value)),
      // JSON.stringify() itself recurses.
      (error) => /not JSON|does not hold chats|call stack/.test(String(error)),
    );
    for (const { turns, leaf } of chats ?? [])
      expect(leaf === null || turns.some(({ id }) => id === leaf)).toBe(true);
  });
});
