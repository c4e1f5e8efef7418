import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type ByteSource, readAll } from './byte-source.ts';
import { openSource } from './open-source.ts';
import type { PublishedSource } from './published-source.ts';
import type { RetryPolicy } from './retry.ts';

const BYTES = Uint8Array.from({ length: 5000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);

/** Short delays, with a long stall limit. */
const retry: RetryPolicy = {
  attempts: 4,
  firstAttempts: 2,
  firstDelayMs: 1,
  maxDelayMs: 4,
  maxRetryAfterMs: 1000,
  stallMs: 10_000,
  minBytesPerSecond: 1000,
  slowMs: 60_000,
};

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let origin: string;
let answer: Answer;
let requests: { method: string; url: string; range: string | undefined }[];

beforeAll(async () => {
  server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    requests.push({ method, url, range: headers.range });
    answer(request, response);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  requests = [];
  answer = ranged;
});

const ranged: Answer = (request, response) => {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  if (first === undefined) return void response.end(BYTES);
  const start = Number(first);
  const end = Math.min(Number(last) + 1, BYTES.length);
  if (start >= BYTES.length) {
    return void response.writeHead(416, { 'Content-Range': `bytes */${BYTES.length}` }).end();
  }
  response.writeHead(206, {
    'Content-Range': `bytes ${start}-${end - 1}/${BYTES.length}`,
    'Content-Length': end - start,
  });
  response.end(BYTES.subarray(start, end));
};

const rangeless: Answer = (_, response) => {
  response.writeHead(200, { 'Content-Length': BYTES.length }).end(BYTES);
};

const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    response.writeHead(code, headers).end('no');

async function read(source: ByteSource, offset: number, size: number): Promise<Uint8Array> {
  const into = new Uint8Array(size + 2).fill(0xee);
  await source.read({ path: 'a/b.bin', offsetBytes: offset }, into.subarray(1, size + 1));
  expect([into[0], into[size + 1]]).toEqual([0xee, 0xee]);
  return into.slice(1, size + 1);
}

const open = (): Promise<ByteSource> => openSource(`${origin}/models/x`, { retry });

test('a folder is read by ranges, and only the bytes asked for', async () => {
  const source = await open();
  expect(source.id).toBe(`${origin}/models/x/`);
  expect(await source.size('a/b.bin')).toBe(5000);
  expect(await read(source, 1234, 567)).toEqual(BYTES.slice(1234, 1801));
  expect(await readAll(source, 'a/b.bin')).toEqual(BYTES);
  expect(requests).toEqual([
    { method: 'GET', url: '/models/x/a/b.bin', range: 'bytes=0-0' },
    { method: 'GET', url: '/models/x/a/b.bin', range: 'bytes=1234-1800' },
    { method: 'GET', url: '/models/x/a/b.bin', range: undefined },
  ]);
});

test('a read of no bytes sends no request', async () => {
  expect(await read(await open(), 7, 0)).toEqual(new Uint8Array());
  expect(requests).toEqual([]);
});

test('a server that ignores ranges is still read correctly', async () => {
  answer = rangeless;
  const source = await open();
  expect(await source.size('a/b.bin')).toBe(5000);
  expect(await read(source, 4321, 100)).toEqual(BYTES.slice(4321, 4421));
  expect(await read(source, 0, 5000)).toEqual(BYTES);
});

test('the size of a file without ranges or Content-Length is counted from its bytes', async () => {
  answer = (_, response) => {
    response.writeHead(200);
    response.write(BYTES.subarray(0, 1000));
    response.end(BYTES.subarray(1000));
  };
  const source = await open();
  expect(await source.size('a/b.bin')).toBe(5000);
  expect(await read(source, 990, 20)).toEqual(BYTES.slice(990, 1010));
});

test('a read far into a file fails if the server ignores ranges', async () => {
  answer = (_, response) =>
    void response.writeHead(200, { 'Content-Length': 2 ** 33 }).write(BYTES);
  const far = { path: 'big', offsetBytes: 2 ** 32 };
  await expect((await open()).read(far, new Uint8Array(10))).rejects.toMatchObject({
    code: 'download-failed',
    message: expect.stringContaining('range requests'),
  });
});

test('a large file without ranges and Content-Length is refused while its bytes are counted', async () => {
  const piece = Buffer.alloc(2 ** 20);
  answer = (_, response) => {
    const send = (): void => {
      while (response.write(piece));
    };
    response.writeHead(200).on('drain', send);
    send();
  };
  await expect((await open()).size('big')).rejects.toMatchObject({
    code: 'download-failed',
    message: expect.stringMatching(/x\/big: .*neither supports range requests nor says how large/),
  });
});

test('a server that hides Content-Range is asked for the length by HEAD', async () => {
  answer = (request, response) => {
    if (request.method === 'HEAD') {
      response.writeHead(200, { 'Content-Length': BYTES.length }).end();
    } else response.writeHead(206, { 'Content-Length': 1 }).end(BYTES.subarray(0, 1));
  };
  const source = (await open()) as PublishedSource;
  expect(await source.size('a/b.bin')).toBe(5000);
  expect(source.hasRanges).toBe(true);
  expect(requests.at(-1)?.range).toBe('bytes=0-'); // no browser then asks for a compressed body
});

test('an empty file has the size 0', async () => {
  answer = status(416, { 'Content-Range': 'bytes */0' });
  expect(await (await open()).size('empty')).toBe(0);
});

test('redirects are followed with the range', async () => {
  answer = (request, response) => {
    if (request.url?.startsWith('/models')) {
      response.writeHead(302, { Location: '/cdn/blob?signature=1' }).end();
    } else ranged(request, response);
  };
  expect(await read(await open(), 10, 20)).toEqual(BYTES.slice(10, 30));
  expect(requests[1]).toEqual({
    method: 'GET',
    url: '/cdn/blob?signature=1',
    range: 'bytes=10-29',
  });
});

test.each([
  ['404', status(404)],
  ['410', status(410)],
  ['a page for every path', status(200, { 'Content-Type': 'text/html; charset=utf-8' })],
])('a file that a server answers with %s is missing', async (_, missing) => {
  answer = missing;
  const source = await open();
  expect(await source.size('a/b.bin')).toBeUndefined();
  expect(await readAll(source, 'a/b.bin')).toBeUndefined();
  await expect(read(source, 0, 4)).rejects.toMatchObject({
    code: 'download-failed',
    message: expect.stringContaining('a/b.bin'),
  });
});

test('HTTP 403 means missing only if the server has served other files', async () => {
  const source = await open();
  answer = status(403);
  await expect(source.size('config.json')).rejects.toMatchObject({ code: 'download-failed' });
  answer = ranged;
  await source.size('config.json');
  answer = status(403);
  expect(await source.size('index.json')).toBeUndefined();
});

test.each([401, 403, 429, 500, 503])('the error for HTTP %i names the address', async (code) => {
  answer = status(code);
  const source = await openSource(`${origin}/models/x/?token=secret`, { retry });
  const error = await readAll(source, 'config.json').catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: 'OssicleError', code: 'download-failed' });
  expect((error as Error).message).toContain(
    `${origin}/models/x/config.json answered HTTP ${code}`,
  );
  expect((error as Error).message).not.toContain('secret');
});

test('a query is sent with each request and is not part of the id', async () => {
  const source = await openSource(new URL(`${origin}/models/x/?token=secret#top`));
  await source.size('a.json');
  expect(requests[0]?.url).toBe('/models/x/a.json?token=secret');
  expect(source.id).toBe(`${origin}/models/x/`);
});

test.each<[string, Answer]>([
  [
    'cut short',
    (_, r) => void r.writeHead(206, { 'Content-Range': 'bytes 10-29/5000' }).end('short'),
  ],
  [
    'of another range',
    (_, r) =>
      void r.writeHead(206, { 'Content-Range': 'bytes 0-19/5000' }).end(BYTES.subarray(0, 20)),
  ],
  ['too long', (_, r) => void r.writeHead(206, { 'Content-Range': 'bytes 10-29/5000' }).end(BYTES)],
  ['HTTP 416', status(416)],
  ['a whole file that ends earlier', (_, r) => void r.writeHead(200).end(BYTES.subarray(0, 25))],
])('an answer that is %s fails the integrity check', async (_, wrong) => {
  answer = wrong;
  await expect(read(await open(), 10, 20)).rejects.toMatchObject({ code: 'integrity' });
});

test('a connection that breaks or cannot be made fails the download', async () => {
  answer = (_, response) => {
    response.writeHead(200, { 'Content-Length': 5000 });
    response.flushHeaders();
    setTimeout(() => response.destroy(), 5);
  };
  await expect(read(await open(), 10, 20)).rejects.toMatchObject({ code: 'download-failed' });
  const nobody = await openSource('http://127.0.0.1:1/x/', { retry });
  await expect(nobody.size('config.json')).rejects.toMatchObject({
    code: 'download-failed',
    message: expect.stringContaining('http://127.0.0.1:1/x/config.json'),
  });
});

test('an abort rejects a read with its reason, before and during the answer', async () => {
  const reason = new Error('enough');
  const source = await open();
  await expect(source.size('a', AbortSignal.abort(reason))).rejects.toBe(reason);
  expect(requests).toEqual([]);
  const controller = new AbortController();
  answer = (_, response) => {
    response.writeHead(206, { 'Content-Range': 'bytes 0-19/5000', 'Content-Length': 20 });
    response.write('begun');
    setTimeout(() => controller.abort(reason), 20);
  };
  const into = new Uint8Array(20);
  await expect(source.read({ path: 'a', offsetBytes: 0 }, into, controller.signal)).rejects.toBe(
    reason,
  );
});

test('a file larger than allowed is rejected while it arrives', async () => {
  await expect(readAll(await open(), 'a/b.bin', { maxBytes: 4999 })).rejects.toMatchObject({
    code: 'format-invalid',
  });
});

test.each([
  ['openai/gpt-oss-20b', 'openai/gpt-oss-20b@main', 'openai/gpt-oss-20b/resolve/main/config.json'],
  [
    'openai/gpt-oss-20b@refs/pr/7',
    'openai/gpt-oss-20b@refs/pr/7',
    'openai/gpt-oss-20b/resolve/refs%2Fpr%2F7/config.json',
  ],
  [
    'https://huggingface.co/openai/gpt-oss-20b',
    'openai/gpt-oss-20b@main',
    'openai/gpt-oss-20b/resolve/main/config.json',
  ],
  [
    'https://huggingface.co/openai/gpt-oss-20b/tree/v2',
    'openai/gpt-oss-20b@v2',
    'openai/gpt-oss-20b/resolve/v2/config.json',
  ],
])('%s is a Hugging Face repo', async (given, id, path) => {
  const real = globalThis.fetch;
  const asked: string[] = [];
  globalThis.fetch = async (url) => {
    asked.push(String(url));
    return new Response('{}');
  };
  try {
    const source = await openSource(given);
    expect(source.id).toBe(id);
    await readAll(source, 'config.json');
  } finally {
    globalThis.fetch = real;
  }
  const [repo, file] = path.split('/resolve/');
  const revision = file?.replace('/config.json', '?blobs=true');
  expect(asked).toEqual([
    `https://huggingface.co/api/models/${repo}/revision/${revision}`,
    `https://huggingface.co/${path}`,
  ]);
});

test('a value that is not a source throws a TypeError', async () => {
  await expect(openSource(5 as never)).rejects.toThrow(TypeError);
  await expect(openSource(null as never)).rejects.toThrow(TypeError);
});
