import { expect, test } from 'vitest';
import { O200K_PATTERN } from '../../test/o200k.ts';
import { createRandom, randomText } from '../../test/random-text.ts';
import { compileSplitPattern, matchesOf, splitWindow } from './split-pattern.ts';

const split = (pattern: string, text: string): string[] =>
  text.match(compileSplitPattern(pattern)) ?? [];

test('white space follows Unicode', () => {
  expect(split('\\s+', 'a\u0085b\uFEFFc\u00A0d')).toEqual(['\u0085', '\u00A0']);
  expect(split('[^\\s]+', 'a\u0085b\uFEFFc')).toEqual(['a', 'b\uFEFFc']);
  expect(split('\\s(?!\\S)', ' \u0085x')).toEqual([' ']);
});

test('case-insensitivity ends with its group', () => {
  expect(split('(?i:re|ve)x', 'RExvEXrexREX')).toEqual(['REx', 'rex']);
  expect(split("'(?i:s)", "'S'ſ's'x")).toEqual(["'S", "'ſ", "'s"]);
  expect(split('(?i:a(?:b)[cd])e', 'AbDe')).toEqual(['AbDe']);
});

test('escapes, classes and properties keep their meaning', () => {
  expect(split('\\p{Lu}|\\PL', 'aB1')).toEqual(['B', '1']);
  expect(split('[\\]\\-x]', 'a]-x')).toEqual([']', '-', 'x']);
  expect(split('\\d{1,2}', '1٣4')).toEqual(['1٣', '4']);
  expect(split('a.b', 'a\u2028b a\nb')).toEqual(['a\u2028b']);
  expect(split('\\$\\/\\.', '$/.')).toEqual(['$/.']);
});

const windowOf = (pattern: string): number => splitWindow(pattern, compileSplitPattern(pattern));

test('the pattern of gpt-oss, and patterns without attempts in vain, see the whole text', () => {
  expect([O200K_PATTERN, '\\s+', '\\p{L}+|\\d{1,3}', 'a*b'].map(windowOf)).toEqual([
    Infinity,
    Infinity,
    Infinity,
    4096,
  ]);
});

test('the more alternatives a pattern tries in vain, the less it sees at once', () => {
  const branches = (count: number): string =>
    Array.from({ length: count }, (_, i) => `\\p{L}+${i}`).join('|');
  for (const count of [1, 40, 41, 200, 900]) {
    const window = windowOf(branches(count));
    expect(window * count).toBeLessThanOrEqual(4096 * 40);
    expect(window).toBe(Math.floor(4096 * Math.min(1, 40 / count)));
  }
  const text = `${'a'.repeat(2000)}7 b8`;
  const pattern = branches(900);
  const matches = [...matchesOf(text, compileSplitPattern(pattern), windowOf(pattern))];
  expect(matches.map((match) => match.text)).toEqual([expect.stringMatching(/^a{1,182}7$/), 'b8']);
});

test('windows change nothing about matches that are shorter than half of them', () => {
  const random = createRandom(7);
  const pattern = compileSplitPattern(
    O200K_PATTERN.replaceAll('+', '{1,20}').replaceAll('*', '{0,20}'),
  );
  for (let i = 0; i < 200; i++) {
    const text = Array.from({ length: 20 }, () => randomText(random)).join('');
    const pieces = [...matchesOf(text, pattern, 200)].map((match) => match.text);
    expect(pieces).toEqual(text.match(pattern) ?? []);
  }
});

test('a pattern that tries in vain sees each character at most twice, and cuts none', () => {
  for (const [pattern, text] of [
    ['a*b', 'a'.repeat(10_000)],
    ['\\s*x', ' '.repeat(10_000)],
    ['\\p{Any}+(?!x)', '👍'.repeat(5_000)],
  ] as const) {
    const compiled = compileSplitPattern(pattern);
    const window = windowOf(pattern);
    let seen = 0;
    const watched = Object.assign(new RegExp(compiled), {
      [Symbol.matchAll](shown: string) {
        expect(shown.length).toBeLessThanOrEqual(window);
        seen += shown.length;
        return shown.matchAll(compiled);
      },
    });
    const matches = [...matchesOf(text, watched, window)];
    expect(seen).toBeGreaterThanOrEqual(text.length);
    expect(seen).toBeLessThanOrEqual(2 * text.length);
    for (const match of matches) expect(match.text.isWellFormed?.() ?? true).toBe(true);
  }
});
