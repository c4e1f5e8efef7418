import { expect, test } from 'vitest';
import { wrapLines } from './wrap-lines.ts';

// The lengths are those of Python's textwrap.wrap(line, 80, replace_whitespace=False, drop_whitespace=False), in code points.
test.each([
  ['a'.repeat(200), [80, 80, 40]],
  ['word '.repeat(40), [80, 80, 40]],
  ['well-known state-of-the-art mixture-of-experts '.repeat(4), [75, 77, 36]],
  [`${'x '.repeat(10)}${' '.repeat(100)}end`, [80, 43]],
  ['日本語'.repeat(50), [80, 70]],
  ['🙂'.repeat(100), [80, 20]],
  ['see https://example.com/a-very-long/path-with-many-parts/ '.repeat(3), [62, 58, 54]],
  [`short ${'b'.repeat(100)} after`, [80, 32]],
  ['1-2-3 x-ray 2020-01-01 '.repeat(6), [80, 58]],
  ['  ', [2]],
  ['line one\n\nline two', [8, 0, 8]],
])('wrapLines cuts %j as textwrap does, and loses nothing', (text, lengths) => {
  const lines = wrapLines(text);
  expect(lines.map((line) => [...line].length)).toEqual(lengths);
  expect(lines.join('')).toBe(text.replaceAll('\n', ''));
});

test('wrapLines cuts a word of a million characters', () => {
  expect(wrapLines(`a ${'b'.repeat(1_000_000)}`)).toHaveLength(12_501);
});

test('wrapLines expands tabs', () => {
  expect(wrapLines('\tcolumn\tand')).toEqual([`${' '.repeat(8)}column  and`]);
});
