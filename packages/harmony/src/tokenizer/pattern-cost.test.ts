import { expect, test } from 'vitest';
import { countSteps } from '../../test/backtracking.ts';
import { O200K_PATTERN } from '../../test/o200k.ts';
import { compileSplitPattern } from './split-pattern.ts';

/** The patterns of published tokenizers: o200k, cl100k as in Llama 3, GPT-2, Qwen 2, DeepSeek V3. */
const PUBLISHED = [
  O200K_PATTERN,
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  '[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
];

test.each(PUBLISHED)(
  'the pattern of a published tokenizer takes few steps a character: %s',
  (pattern) => {
    const regex = compileSplitPattern(pattern);
    for (const character of ['a', 'A', ' ', '\n', '!', '漢', '\u0301', '1', "'"]) {
      const text = character.repeat(1000);
      const { pieces, steps } = countSteps(regex, text);
      expect(pieces).toEqual(text.match(regex) ?? []);
      expect(steps / text.length, character).toBeLessThan(40);
    }
  },
);

test('the steps of an attempt that fails grow as its cost says', () => {
  const steps = (pattern: string, length: number): number =>
    countSteps(compileSplitPattern(pattern), 'a'.repeat(length)).steps;
  expect(steps('a{1,9}b', 800) / steps('a{1,9}b', 400)).toBeCloseTo(2, 1);
  expect(steps('a*b', 800) / steps('a*b', 400)).toBeCloseTo(4, 1); // each of n attempts is linear
});

test.each([
  '(a+)+b',
  '(?:a*)*b',
  '(?:a|a)*b',
  '(?:a|aa)+b',
  '(?:a?){30}a{30}',
  `${'a?'.repeat(30)}b`,
  'a*a*a*b',
  'a+a+b',
  '\\s*\\s*(?!\\S)',
  '(?:x(?:y+|z)){2,}w',
  'a{1,5000}b',
  '(?:(?:a{100}){100}){100}',
  'a*(?=a*b)c',
  '(?<=a*a*)b',
  'x(?:a*a*b)?',
])('a pattern that can take too long is refused: %s', (pattern) => {
  expect(() => compileSplitPattern(pattern)).toThrow(/Split pattern can take too long/);
});

test.each(['a', '(?:ab)+c', '[(*+?]+x', '\\(+\\)', '\\p{L}{2}a{1,3}?b', '(?:a|b)?c', '.+', ''])(
  'a simple pattern is accepted: %s',
  (pattern) => {
    expect(compileSplitPattern(pattern)).toBeInstanceOf(RegExp);
  },
);
