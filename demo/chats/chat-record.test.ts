import { expect, test } from 'vitest';
import {
  branchOf,
  type ChatRecord,
  contains,
  followed,
  newChat,
  pathOf,
  type Turn,
  titleOf,
  versionsOf,
  withTurn,
  withVersion,
} from './chat-record.ts';

const turnOf = (id: string, parent: string | null): Turn => ({
  ...{ id, parent, askedAt: 0, prompt: `Question ${id}`, files: [], usesTools: false },
  ...{ parts: [{ kind: 'text', text: `Answer ${id}` }], reply: [] },
});
const ids = (turns: readonly Turn[]): string => turns.map(({ id }) => id).join('');

/** a ─ b ─ c and a ─ d ─ e: two versions after the first turn. */
const tree = [
  ['a', null],
  ['b', 'a'],
  ['c', 'b'],
  ['d', 'a'],
  ['e', 'd'],
].reduce<ChatRecord>(
  (chat, [id, parent = null]) => withTurn(chat, turnOf(id ?? '', parent)),
  newChat(),
);

test('a new turn is shown, with those before it', () => {
  expect(ids(pathOf(tree))).toBe('ade');
  expect(ids(pathOf(withTurn(tree, turnOf('f', null))))).toBe('f');
});

test('a turn that is stored again keeps its place, whatever is shown', () => {
  const changed = withTurn(tree, { ...turnOf('b', 'a'), prompt: 'Changed' });
  expect(ids(changed.turns)).toBe('abcde');
  expect(ids(pathOf(changed))).toBe('ade');
});

test('versions share their parent, and switching shows what follows the other one', () => {
  const [, b, , d] = tree.turns;
  expect(ids(versionsOf(tree, b as Turn))).toBe('bd');
  expect(ids(versionsOf(tree, d as Turn))).toBe('bd');
  expect(ids(pathOf(withVersion(tree, 'b')))).toBe('abc');
});

test('a branch holds the turns up to its end and nothing else', () => {
  const branch = branchOf(tree, 'b');
  expect(ids(branch.turns)).toBe('ab');
  expect(ids(pathOf(branch))).toBe('ab');
  expect(branch.id).not.toBe(tree.id);
});

test('a chat is named after its first question, cut between words', () => {
  const prompt = 'What is the longest word that a title of a chat can hold without a cut?';
  const chat = withTurn(newChat(), { ...turnOf('a', null), prompt });
  expect(titleOf(chat)).toBe('What is the longest word that a title of a chat can hold…');
  expect(titleOf({ ...chat, title: 'Words' })).toBe('Words');
});

test('a search looks at the title, the questions and the answers of all versions', () => {
  for (const text of ['question C', 'answer c', ' Question a '])
    expect(contains(tree, text)).toBe(true);
  expect(contains(tree, 'f')).toBe(false);
});

test('a chat that another tab has changed keeps the turns that are as before, and follows its own path only', () => {
  const shown = withVersion(tree, 'b');
  const stored = structuredClone(withTurn(tree, turnOf('f', 'e')));
  const now = followed(shown, stored);
  expect(ids(pathOf(now))).toBe('abc');
  expect(now.turns.slice(0, 5).every((turn, index) => turn === shown.turns[index])).toBe(true);
  expect(ids(pathOf(followed(tree, stored)))).toBe('adef');
  const longer = { ...turnOf('e', 'd'), parts: [{ kind: 'text', text: 'Answer e, longer' }] };
  const changed = followed(tree, structuredClone(withTurn(tree, longer as Turn)));
  expect(changed.turns.map((turn, index) => turn === tree.turns[index])).toEqual([
    ...[true, true, true, true],
    false,
  ]);
});
