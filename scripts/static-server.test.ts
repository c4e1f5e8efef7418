import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FolderServer, serveFolder } from './static-server.ts';

let folder: string;
let server: FolderServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ossicle-served-'));
  await mkdir(join(folder, 'public/empty'), { recursive: true });
  await writeFile(join(folder, 'secret.txt'), 'secret');
  await writeFile(join(folder, 'public/index.html'), '<p>');
  await writeFile(join(folder, 'public/ten bytes.bin'), '0123456789');
  server = await serveFolder(join(folder, 'public'));
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

const ranged = (range: string): Promise<Response> =>
  fetch(`${server.url}/ten%20bytes.bin`, { headers: { Range: range } });

test.each([
  ['bytes=0-3', '0123', 'bytes 0-3/10'],
  ['bytes=7-', '789', 'bytes 7-9/10'],
  ['bytes=-2', '89', 'bytes 8-9/10'],
  ['bytes=8-100', '89', 'bytes 8-9/10'],
])('the range %s gives %s', async (range, text, contentRange) => {
  const response = await ranged(range);
  expect(response.status).toBe(206);
  expect(response.headers.get('content-range')).toBe(contentRange);
  expect(response.headers.get('content-length')).toBe(String(text.length));
  expect(await response.text()).toBe(text);
});

test('a range beyond the end is refused with the size', async () => {
  const response = await ranged('bytes=10-12');
  expect(response.status).toBe(416);
  expect(response.headers.get('content-range')).toBe('bytes */10');
});

test('a request for several ranges gives the whole file', async () => {
  const response = await ranged('bytes=0-1,4-5');
  expect([response.status, await response.text()]).toEqual([200, '0123456789']);
});

test('a folder gives its index.html, or 404 if it has none', async () => {
  expect(await (await fetch(`${server.url}/?query`)).text()).toBe('<p>');
  expect((await fetch(`${server.url}/empty/`)).status).toBe(404);
});

test('an unchanged file is not sent again', async () => {
  const etag = (await fetch(server.url)).headers.get('etag')!;
  const again = await fetch(server.url, { headers: { 'If-None-Match': etag } });
  expect(again.status).toBe(304);
});

test('HEAD sends the size and no bytes', async () => {
  const response = await fetch(`${server.url}/ten%20bytes.bin`, { method: 'HEAD' });
  expect(response.headers.get('content-length')).toBe('10');
  expect(await response.text()).toBe('');
});

test.each(['/../secret.txt', '/%2e%2e/secret.txt', '/..%2fsecret.txt', '/%', '/%00'])(
  'nothing outside the folder is served: %s',
  async (path) => {
    const status = await new Promise((resolve, reject) => {
      // fetch() would normalize the path.
      request({ port: new URL(server.url).port, path }, (response) => resolve(response.statusCode))
        .on('error', reject)
        .end();
    });
    expect(status).toBe(404);
  },
);
