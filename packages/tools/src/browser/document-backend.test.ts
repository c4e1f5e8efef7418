import { describe, expect, test } from 'vitest';
import { createDocumentBackend } from './document-backend.ts';

const { signal } = new AbortController();

const backend = createDocumentBackend([
  { url: 'a', text: 'Bread needs flour, water and salt.' },
  { url: 'b', text: 'Water, water everywhere,\nnor any drop to drink.' },
  { url: 'c', text: 'Salt of the Earth' },
  { url: 'd', text: 'The sourdough bread of my mother needs a lot of time and water.' },
]);

const urlsOf = async (query: string, topn = 10): Promise<string> =>
  (await backend.search(query, { topn, signal })).map(({ url }) => url).join(' ');

describe('a search of documents', () => {
  // Computed in Python, from the formula of BM25 with k1 = 1.2 and b = 0.75.
  test.each([
    ['water', 'b a d'],
    ['Salt bread?', 'a c d'],
    ['the WATER, bread', 'd a c b'],
    ['drink time', 'b d'],
    ['zebra', ''],
    ['', ''],
  ])('for %j ranks them by BM25: %s', async (query, urls) => {
    expect(await urlsOf(query)).toBe(urls);
  });

  test('gives the best only, with the passage that says most', async () => {
    expect(await urlsOf('water', 2)).toBe('b a');
    const [first] = await backend.search('to drink', { topn: 1, signal });
    expect(first).toEqual({ url: 'b', title: 'b', snippet: 'nor any drop to drink.' });
  });

  test('finds titles, words without spaces, and other forms of the same characters', async () => {
    const others = createDocumentBackend([
      { url: 'tokyo', title: '観光案内', text: '東京は日本の首都です。' },
      { url: 'full', text: 'ＡＢＣ and ﬁne' },
      { url: 'empty', text: '' },
    ]);
    for (const [query, url] of [
      ['首都', 'tokyo'],
      ['観光', 'tokyo'],
      ['abc', 'full'],
      ['fine', 'full'],
    ]) {
      expect(await others.search(query!, { topn: 1, signal })).toMatchObject([{ url }]);
    }
  });

  test('cuts a long passage', async () => {
    const long = createDocumentBackend([{ url: 'l', text: `needle ${'straw '.repeat(1000)}` }]);
    const [result] = await long.search('needle', { topn: 1, signal });
    expect(result!.snippet!.length).toBeLessThan(250);
  });
});

test('a document is read by its name; others are not there, nor two of one name', async () => {
  expect(await backend.fetch('c', { signal })).toMatchObject({ text: 'Salt of the Earth' });
  await expect(backend.fetch('https://c', { signal })).rejects.toThrow(/no document "https/);
  expect(() => createDocumentBackend([{ url: 'a' }, { url: 'a' }])).toThrow(RangeError);
});
