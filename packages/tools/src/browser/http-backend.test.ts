import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHttpBackend } from './http-backend.ts';

const { signal } = new AbortController();

let server: Server;
let origin: string;
/** The requests: address and key. */
const asked: string[] = [];

beforeAll(async () => {
  server = createServer(({ url = '', headers }, response) => {
    asked.push(`${url} ${headers['x-key'] ?? ''}`.trim());
    const [path] = url.split('?');
    if (path === '/endless') {
      response.setHeader('content-type', 'text/plain');
      const more = (): unknown => response.write('x'.repeat(2 ** 16)) && setImmediate(more);
      response.on('drain', more);
      more();
      return;
    }
    const answers: Readonly<Record<string, readonly [type: string, body: string]>> = {
      '/search': [
        'application/json',
        JSON.stringify({ results: [{ url: 'https://a.example/', title: 'A', content: 'On a' }] }),
      ],
      '/other': ['application/json', '{"hits":[{"link":"https://b.example/"}]}'],
      '/page': ['text/html; charset=utf-8', '<p>Grüße'],
      '/notes': ['text/plain', 'Notes'],
      '/image': ['image/png', 'PNG'],
    };
    const [type, body] = answers[path!] ?? [];
    response.writeHead(type ? 200 : 404, { 'content-type': type ?? 'text/plain' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  origin = `http://localhost:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe('a backend over HTTP', () => {
  test('reads the answers of SearXNG', async () => {
    const backend = createHttpBackend({
      searchURL: `${origin}/search?format=json&q={query}&n={topn}`,
      headers: { 'x-key': 'secret' },
    });
    expect(await backend.search('a & b/ü', { topn: 3, signal })).toEqual([
      { url: 'https://a.example/', title: 'A', snippet: 'On a' },
    ]);
    expect(asked.at(-1)).toBe('/search?format=json&q=a%20%26%20b%2F%C3%BC&n=3 secret');
  });

  test('reads other answers by a function', async () => {
    const backend = createHttpBackend({
      searchURL: `${origin}/other?{query}`,
      readResults: (answer) =>
        (answer as { hits: { link: string }[] }).hits.map(({ link }) => ({ url: link })),
    });
    expect(await backend.search('x', { topn: 1, signal })).toEqual([{ url: 'https://b.example/' }]);
  });

  test('reads pages without the key of the search, or through a proxy with it', async () => {
    const options = { searchURL: `${origin}/search?{query}`, headers: { 'x-key': 'secret' } };
    const direct = createHttpBackend(options);
    expect(await direct.fetch(`${origin}/page`, { signal })).toEqual({ html: '<p>Grüße' });
    expect(asked.at(-1)).toBe('/page');
    expect(await direct.fetch(`${origin}/notes`, { signal })).toEqual({ text: 'Notes' });
    const proxied = createHttpBackend({ ...options, pageURL: `${origin}/page?url={url}` });
    await proxied.fetch('https://c.example/?d', { signal });
    expect(asked.at(-1)).toBe('/page?url=https%3A%2F%2Fc.example%2F%3Fd secret');
  });

  test('reads at most 4 MiB', async () => {
    const { text } = await createHttpBackend({ searchURL: '{query}' }).fetch(`${origin}/endless`, {
      signal,
    });
    expect(text!.length).toBe(4 * 2 ** 20);
  });

  test.each([
    ['/image', /no text, but image\/png/],
    ['/missing', /answered 404/],
  ])('says why it cannot read %s', async (path, message) => {
    const backend = createHttpBackend({ searchURL: `${origin}/other?{query}` });
    await expect(backend.fetch(origin + path, { signal })).rejects.toThrow(message);
    await expect(backend.search('x', { topn: 1, signal })).rejects.toThrow(/no results/);
    await expect(backend.fetch('file:///etc/passwd', { signal })).rejects.toThrow(/no address/);
  });

  test('needs a place for the query, and for the page', () => {
    expect(() => createHttpBackend({ searchURL: origin })).toThrow(/\{query\}/);
    expect(() => createHttpBackend({ searchURL: '{query}', pageURL: origin })).toThrow(/\{url\}/);
  });
});
