import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { english } from './english.ts';
import { german } from './german.ts';
import { japanese } from './japanese.ts';

/** All texts by their path, those of functions with marks as their arguments. */
function textsOf(value: unknown, path = ''): readonly (readonly [path: string, text: string])[] {
  if (typeof value === 'function') return [[path, String(value('«1»', '«2»', '«3»'))]];
  if (typeof value === 'string') return [[path, value]];
  return Object.entries(Object(value)).flatMap(([name, inner]) =>
    textsOf(inner, path === '' ? name : `${path}.${name}`),
  );
}

const names = new Map(textsOf(english));

test.each([
  ['German', german],
  ['Japanese', japanese],
])('%s has the texts of English, none empty, with all that is filled in', (_name, texts) => {
  const marks = (text: string) => (text.match(/«\d»/g) ?? []).toSorted();
  const translated = textsOf(texts);
  expect(translated.map(([path]) => path).toSorted()).toEqual([...names.keys()].toSorted());
  for (const [path, text] of translated) {
    expect(text.trim(), path).not.toBe('');
    expect(marks(text), path).toEqual(marks(names.get(path) ?? ''));
  }
});

test('each text that index.html names exists, and stands there in English', () => {
  const html = readFileSync('demo/index.html', 'utf8');
  const named = [...html.matchAll(/data-(?:text|label|placeholder)="([\w.]+)"/g)];
  expect(named.length).toBeGreaterThan(30);
  for (const [, path = ''] of named) expect(html).toContain(names.get(path) ?? `no ${path}`);
});

test.each([
  ['English', english],
  ['German', german],
  ['Japanese', japanese],
])('%s keeps numbers and their units on one line', (_name, texts) => {
  const apart = /\d (GB|MB|million|billion|bits?|Bit|Million|Milliarde|億|万|時間|ビット)/u;
  for (const [path, text] of textsOf(texts)) expect(text, path).not.toMatch(apart);
});

test('Japanese has colons of full width alone', () => {
  for (const [path, text] of textsOf(japanese)) expect(text, path).not.toMatch(/: |:$/);
});
