import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { fuzz, outcome } from '../../test/fuzz.ts';
import { isOssicleError } from '../errors.ts';
import { HttpSource } from './http-source.ts';
import type { RetryPolicy } from './retry.ts';

const retry: RetryPolicy = {
  attempts: 4,
  firstAttempts: 3,
  firstDelayMs: 1,
  maxDelayMs: 1,
  maxRetryAfterMs: 10,
  stallMs: 60_000,
  minBytesPerSecond: 1000,
  slowMs: 60_000,
};

/** Each operation reads at most twice this. */
const MAX_BYTES = 4096;

const number = fc.oneof(
  fc.nat(MAX_BYTES).map(String),
  fc.constantFrom(
    '',
    '-1',
    '0',
    '1e3',
    '0x10',
    '4, 4',
    'NaN',
    'Infinity',
    '9'.repeat(30),
    ' 5 ',
    '*',
    '٣',
  ),
);
const headers = fc.record(
  {
    'Content-Length': number,
    'Content-Range': fc.oneof(
      fc.tuple(number, number, number).map(([start, end, all]) => `bytes ${start}-${end}/${all}`),
      number.map((all) => `bytes */${all}`),
      fc.constantFrom('', 'bytes', 'items 0-1/2', '/', 'bytes 0-0/1', 'bytes 0-99/100'),
    ),
    'Content-Type': fc.constantFrom('text/html', 'application/json', ''),
    'Content-Encoding': fc.constantFrom('gzip', ''),
    ETag: fc.constantFrom('"a"', '"b"', 'W/"a"', ''),
    'Last-Modified': fc.constantFrom('Thu, 01 Jan 1970 00:00:00 GMT', 'never'),
    'X-Linked-ETag': fc.constantFrom(`"${'a'.repeat(64)}"`, 'a'),
    'X-Repo-Commit': fc.constantFrom('a', 'b', ''),
    'Retry-After': fc.oneof(number, fc.constantFrom('Thu, 01 Jan 1970 00:00:00 GMT', '-Infinity')),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Record<string, string>>;
const answer = fc.record({
  status: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(200, 206, 206, 416, 404, 403, 503, 204, 304) },
    fc.integer({ min: 200, max: 599 }),
  ),
  headers: fc.oneof(
    headers,
    fc.nat(200).map((all) => ({ 'Content-Range': `bytes 0-0/${all}`, 'Content-Length': `${all}` })),
  ),
  pieces: fc.array(fc.nat(200), { maxLength: 3 }),
  ending: fc.constantFrom('whole', 'whole', 'whole', 'break', 'refuse'),
});
type Answer = typeof answer extends fc.Arbitrary<infer T> ? T : never;

const operation = fc.record({
  kind: fc.constantFrom('size', 'version', 'read', 'stream', 'whole'),
  path: fc.constantFrom('a', 'b/c.json', ''),
  start: fc.oneof(fc.constantFrom(0, 1), fc.nat(300)),
  length: fc.nat(300),
});
const session = fc.record({
  isPackaged: fc.boolean(),
  answers: fc.array(answer, { minLength: 1, maxLength: 5 }),
  operations: fc.array(operation, { minLength: 1, maxLength: 4 }),
});

afterEach(() => {
  vi.unstubAllGlobals();
});

test('any answers of a server end each operation, with what was asked for or with an OssicleError', async () => {
  vi.stubGlobal('setTimeout', (run: () => void, ms: number) => {
    if (ms < retry.stallMs) queueMicrotask(run); // waits take no time, and no connection stalls
  });
  await fuzz('http', session, async ({ isPackaged, answers, operations }) => {
    let requests = 0;
    vi.stubGlobal('fetch', async () => respond(answers[requests++ % answers.length] as Answer));
    const source = new HttpSource(
      new URL(isPackaged ? 'chrome-extension://a/' : 'https://a.test/'),
      { retry },
    );
    for (const { kind, path, start, length } of operations) {
      const before = requests;
      await outcome(async () => {
        if (kind === 'size') expectSize(await source.size(path));
        else if (kind === 'version') expectSize((await source.version(path))?.sizeBytes);
        else if (kind === 'read')
          await source.read({ path, offsetBytes: start }, new Uint8Array(length));
        else {
          const sizeBytes = kind === 'whole' ? Infinity : length;
          let received = 0;
          for await (const bytes of source.stream({ path, offsetBytes: start, sizeBytes })) {
            received += bytes.length;
          }
          if (kind === 'stream') expect(received).toBe(length);
        }
      }, isOssicleError);
      expect(requests - before).toBeLessThan(40);
    }
  });
});

test.each(['9'.repeat(30), '1e3', '0x10', '-1'])(
  'a Content-Length of %s is no size',
  async (length) => {
    vi.stubGlobal(
      'fetch',
      async () => new Response('abc', { headers: { 'Content-Length': length } }),
    );
    await expect(new HttpSource(new URL('https://a.test/'), { retry }).size('a')).resolves.toBe(3);
  },
);

function expectSize(size: number | undefined): void {
  if (size !== undefined)
    expect(Number.isSafeInteger(size) && size >= 0, `${size} bytes`).toBe(true);
}

function respond({ status, headers, pieces, ending }: Answer): Response {
  if (ending === 'refuse') throw new TypeError('Failed to fetch');
  const sizes = [...pieces];
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const size = sizes.shift();
        if (size !== undefined) controller.enqueue(new Uint8Array(size));
        else if (ending === 'break') controller.error(new TypeError('network error'));
        else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  return new Response([204, 205, 304].includes(status) ? null : body, { status, headers });
}
