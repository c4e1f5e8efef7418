import { expect, test } from 'vitest';
import { compileSplitPattern } from './split-pattern.ts';

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
