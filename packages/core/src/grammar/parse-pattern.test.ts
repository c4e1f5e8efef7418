import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parsePattern } from './parse-pattern.ts';
import type { Regex } from './regex.ts';
import { isEmpty, next } from './regex-automaton.ts';

function matches(regex: Regex, text: string): boolean {
  let left: Regex | undefined = regex;
  for (const character of text) {
    left = left && next(left, character.codePointAt(0) as number);
  }
  return left?.isNullable === true;
}

const PATTERNS = [
  'a',
  '^a*$',
  '^(ab|ba)+$',
  '^a|b$',
  'a.b',
  '^[^ab]{2,3}$',
  '^[a-c-]?\\d+[\\]b]*$',
  '^(?:a|(?<name>b)){0,2}?$',
  '\\s',
  '^\\S\\W$',
  '^\\p{Lu}\\P{L}$',
  '^[\\p{L}\\d_]+$',
  '^\\u0061\\x62\\u{1f600}?$',
  '^\\ud83d\\ude00$',
  '^[\\ud83d\\ude00é]$',
  '^a{2}b{1,}$',
  '^\\.\\/\\$$',
  '^(a?){3}b$',
  '^$',
  '',
  '()|a',
  '^[]$',
  '^[^]$',
  '^.$',
  '^[\\b]$',
  'a$|^b|^ab$',
];

test.each(PATTERNS)('%j matches what RegExp matches', (pattern) => {
  const regex = parsePattern(pattern);
  const oracle = new RegExp(pattern, 'u');
  const character = fc.constantFrom(...'aabbc1-. _]$/é😀A\n\t\b');
  fc.assert(
    fc.property(fc.array(character, { maxLength: 6 }), (characters) => {
      const text = characters.join('');
      expect(matches(regex, text), JSON.stringify(text)).toBe(oracle.test(text));
    }),
    { numRuns: 300, seed: 7 },
  );
});

test('a pattern that nothing matches is known to be empty, even if that takes states to see', () => {
  expect(isEmpty(parsePattern('^[]$'))).toBe(true);
  expect(isEmpty(parsePattern('^a{3}[]|$a'))).toBe(true);
  expect(isEmpty(parsePattern('^a{3}[]?$'))).toBe(false);
});

test.each([
  ['(?=a)', 'lookahead'],
  ['(?<!a)b', 'lookbehind'],
  ['(a)\\1', 'a back reference'],
  ['\\bword', 'a word boundary'],
  ['a{100001}', '100000 repetitions'],
])('%j is refused for %s', (pattern, reason) => {
  expect(() => parsePattern(pattern)).toThrow(reason);
});

test('a pattern that RegExp refuses is refused', () => {
  expect(() => parsePattern('(a')).toThrow(/"\(a" is not valid/);
});
