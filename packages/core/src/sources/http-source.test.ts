import { beforeEach, describe, expect, inject, test } from 'vitest';
import { FaultSession } from '../../test/fault-session.ts';
import { HttpSource } from './http-source.ts';
import { HuggingFaceSource } from './hugging-face.ts';
import { openSource } from './open-source.ts';
import type { RetryPolicy } from './retry.ts';

const SIZE = 300_000;
const FILE = 'model.safetensors';

const retry: RetryPolicy = {
  attempts: 4,
  firstAttempts: 2,
  firstDelayMs: 1,
  maxDelayMs: 4,
  maxRetryAfterMs: 2000,
  stallMs: 2000,
  minBytesPerSecond: 1000,
  slowMs: 60_000,
};

let session: FaultSession;
let expected: Uint8Array;
beforeEach(async () => {
  session = await FaultSession.start(inject('faultServer'), { sizes: { [FILE]: SIZE } });
  expected = new Uint8Array(await (await fetch(session.url + FILE)).arrayBuffer());
  await session.script();
});

const open = (): HttpSource => new HttpSource(new URL(session.url), { retry });

async function readStream(source: HttpSource, start: number, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  await source.read({ path: FILE, offsetBytes: start }, bytes);
  return bytes;
}

test('a download resumes where it broke', async () => {
  await session.script({ fault: { kind: 'cut', afterBytes: 70_000 }, times: 3 });
  expect(await readStream(open(), 1000, 250_000)).toEqual(expected.slice(1000, 251_000));
  const log = await session.log();
  expect(log).toHaveLength(4);
  expect(log[0]?.range).toEqual([1000, 251_000]);
  for (const [i, { range }] of log.entries()) {
    expect(range?.[1]).toBe(251_000);
    expect(range?.[0]).toBeLessThanOrEqual(1000 + i * 70_000); // bytes sent may be lost in the break
  }
  expect(log[3]?.range?.[0]).toBeGreaterThan(1000);
});

test('a stalled connection is dropped, and the download resumes on a new one', async () => {
  await session.script({ fault: { kind: 'stall', afterBytes: 100_000 }, times: 1 });
  expect(await readStream(open(), 0, SIZE)).toEqual(expected);
  expect((await session.log()).map(({ range }) => range)).toEqual([
    [0, SIZE],
    [100_000, SIZE],
  ]);
});

test.each([429, 500, 502, 503, 504])('HTTP %i is retried after a wait', async (status) => {
  await session.script({ fault: { kind: 'status', status }, times: 1 });
  expect(await readStream(open(), 5, 10)).toEqual(expected.slice(5, 15));
  expect((await session.log()).map((record) => record.status)).toEqual([status, 206]);
});

test('a read fails with the last of `attempts` failures in a row; received bytes reset the count', async () => {
  const source = open();
  await source.size(FILE);
  await session.script({ fault: { kind: 'status', status: 503 } });
  await expect(readStream(source, 0, 10)).rejects.toMatchObject({
    code: 'download-failed',
    message: expect.stringContaining('HTTP 503'),
  });
  expect(await session.log()).toHaveLength(retry.attempts);
  await session.script({ fault: { kind: 'cut', afterBytes: 40_000 }, times: 7 });
  expect(await readStream(source, 0, SIZE)).toEqual(expected);
});

test('an address that has never answered gets fewer attempts', async () => {
  await session.script({ fault: { kind: 'status', status: 500 } });
  await expect(open().size(FILE)).rejects.toMatchObject({ code: 'download-failed' });
  expect(await session.log()).toHaveLength(retry.firstAttempts);
});

test('a Retry-After beyond the limit fails the read at once', async () => {
  const refuse = (seconds: string): Promise<void> =>
    session.script({
      fault: { kind: 'status', status: 429, headers: { 'Retry-After': seconds } },
      times: 1,
    });
  await refuse('1');
  await readStream(open(), 0, 10);
  expect(await session.log()).toHaveLength(2);
  await refuse('3');
  await expect(readStream(open(), 0, 10)).rejects.toMatchObject({ code: 'download-failed' });
  expect(await session.log()).toHaveLength(1);
});

test('an expired signed URL is renewed through the original URL', async () => {
  const signed = `${session.url}${FILE}?signature=`;
  await session.script(
    { query: 'signature=old', fault: { kind: 'status', status: 403 } },
    { fault: { kind: 'redirect', to: `${signed}first` }, times: 1 },
  );
  const source = open();
  expect(await source.size(FILE)).toBe(SIZE);
  await session.script(
    { query: 'signature=old', fault: { kind: 'status', status: 403 } },
    { fault: { kind: 'redirect', to: `${signed}old` }, times: 1 },
  );
  expect(await readStream(source, 0, 10)).toEqual(expected.slice(0, 10));
  expect((await session.log()).map(({ query, status }) => [query, status])).toEqual([
    ['', 302],
    ['?signature=old', 403],
    ['', 206],
  ]);
});

test('a file that was readable and is now forbidden fails after three requests', async () => {
  const source = open();
  await source.size(FILE);
  await session.script({ fault: { kind: 'status', status: 403 } });
  await expect(readStream(source, 0, 10)).rejects.toMatchObject({
    code: 'download-failed',
    message: expect.stringContaining('HTTP 403'),
  });
  expect(await session.log()).toHaveLength(3);
});

test.each([404, 416])('HTTP %i is not retried', async (status) => {
  const source = open();
  await source.size(FILE);
  await session.script({ fault: { kind: 'status', status } });
  await expect(readStream(source, 0, 10)).rejects.toMatchObject({
    code: status === 404 ? 'download-failed' : 'integrity',
  });
  expect(await session.log()).toHaveLength(1);
});

test('bytes of two versions of a file are never mixed', async () => {
  const source = open();
  await readStream(source, 0, 10);
  await session.script({ fault: { kind: 'version', etag: '"2"', flip: 0x0f } });
  await expect(readStream(source, 10, 10)).rejects.toMatchObject({
    name: 'OssicleError',
    code: 'integrity',
    path: FILE,
    message: expect.stringContaining('has changed'),
  });
  const now = await readStream(source, 10, 10); // the next read accepts the new version
  expect(now).toEqual(expected.slice(10, 20).map((byte) => byte ^ 0x0f));
});

test('the version of a file without an ETag is its date and its size', async () => {
  const served = (date: string): Promise<FaultSession> =>
    FaultSession.start(inject('faultServer'), {
      sizes: { [FILE]: SIZE },
      isWithoutEtag: true,
      headers: { 'Last-Modified': date },
    });
  session = await served('Fri, 01 Aug 2025 12:00:00 GMT');
  const source = open();
  expect(await source.version(FILE)).toEqual({
    sizeBytes: SIZE,
    lastModified: 'Fri, 01 Aug 2025 12:00:00 GMT',
  });
  await session.script({ fault: { kind: 'truncate', sizeBytes: 200_000 } });
  await expect(readStream(source, 10, 10)).rejects.toMatchObject({ path: FILE });
});

test('without range support, a stream restarts from the beginning after a break', async () => {
  await session.script(
    { fault: { kind: 'no-range' } },
    { fault: { kind: 'cut', afterBytes: 100_000 }, times: 1 },
  );
  const source = open();
  expect(await readStream(source, 0, SIZE)).toEqual(expected);
  expect(source.hasRanges).toBe(false);
  expect(await session.log()).toHaveLength(2);
});

const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const SHA256 = 'ab'.repeat(32);

/** A mirror of Hugging Face with one repo. */
function startMirror(): Promise<FaultSession> {
  return FaultSession.start(inject('faultServer'), {
    sizes: { [`o/n/resolve/${COMMIT}/${FILE}`]: SIZE, [`o/n/resolve/main/${FILE}`]: SIZE },
    json: {
      'api/models/o/n/revision/main': {
        sha: COMMIT,
        siblings: [{ rfilename: FILE, lfs: { sha256: SHA256, size: SIZE } }, { rfilename: 'x' }],
      },
    },
  });
}

const openRepo = (token?: string): HuggingFaceSource =>
  new HuggingFaceSource(
    { name: 'o/n', revision: 'main' },
    { baseUrl: session.url, ...(token !== undefined && { token }) },
    retry,
  );

test('a repo is read at the current commit of its revision, with the SHA-256 of its files', async () => {
  session = await startMirror();
  const source = openRepo();
  expect(source.id).toBe(`o/n@main via ${session.url.replace(/\/$/, '')}`);
  expect(await source.version(FILE)).toEqual({ sizeBytes: SIZE, etag: '"1"', sha256: SHA256 });
  expect(source.revision).toBe(COMMIT);
  expect((await session.log()).map(({ path, query }) => path + query)).toEqual([
    'api/models/o/n/revision/main?blobs=true',
    `o/n/resolve/${COMMIT}/${FILE}`,
  ]);
});

test('without repo metadata, a mirror is read at the revision, pinned to the commit of its headers', async () => {
  session = await startMirror();
  await session.script({ path: 'revision/main', fault: { kind: 'status', status: 404 } });
  const source = openRepo();
  expect(await source.size(FILE)).toBe(SIZE);
  expect((await session.log()).at(-1)?.path).toBe(`o/n/resolve/main/${FILE}`);
  session = await FaultSession.start(inject('faultServer'), {
    sizes: { 'o/n/resolve/main/a.json': 9, 'o/n/resolve/main/b.json': 9 },
    headers: { 'X-Repo-Commit': COMMIT },
  });
  const pinned = openRepo();
  await pinned.size('a.json');
  expect(pinned.revision).toBe(COMMIT);
});

test('a token is sent only to its own host, never to a redirect target, and appears in no error', async () => {
  session = await startMirror();
  const elsewhere = session.url.replace('localhost', '127.0.0.1');
  await session.script({
    path: `resolve/${COMMIT}/${FILE}`,
    times: 1,
    fault: { kind: 'redirect', to: `${elsewhere}o/n/resolve/main/${FILE}` },
  });
  const source = openRepo('hf_secret');
  expect(await source.size(FILE)).toBe(SIZE);
  const log = await session.log();
  expect(log.map(({ host }) => host.replace(/:.*/, ''))).toEqual([
    'localhost',
    'localhost',
    '127.0.0.1',
  ]);
  expect(log.map(({ authorization }) => authorization)).toEqual([
    'Bearer hf_secret',
    'Bearer hf_secret',
    undefined,
  ]);
  await session.script({ fault: { kind: 'status', status: 401 } });
  const error = await source.size('other').catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'download-failed' });
  expect(`${error} ${JSON.stringify(error)}`).not.toContain('hf_secret');
});

test('a mirror needs an absolute http(s) address', () => {
  const repo = { name: 'o/n', revision: 'main' };
  for (const baseUrl of ['', 'mirror.example', 'file:///models']) {
    expect(() => new HuggingFaceSource(repo, { baseUrl })).toThrow(TypeError);
  }
});

test.each(['hf_s3cret\n', 'hf_s3cret\nX-Other: 1', ' hf_s3cret', 'hf_s3crét', 'hf_s3cret✓', '', 5])(
  'a token that no header can hold is refused without being shown: %j',
  (token) => {
    const repo = { name: 'o/n', revision: 'main' };
    const create = () => new HuggingFaceSource(repo, { token: token as string });
    expect(create).toThrow(TypeError);
    expect(create).toThrow(/huggingFace\.token (has|is)/);
    expect(create).not.toThrow(/s3cr/);
  },
);

test.each(['https://ann:s3cret@mirror.example', 'ftp://ann:s3cret@mirror.example', 'x?s3cret'])(
  'the address of a mirror is refused without its secrets: %s',
  (baseUrl) => {
    const create = () => new HuggingFaceSource({ name: 'o/n', revision: 'main' }, { baseUrl });
    expect(create).toThrow(TypeError);
    expect(create).not.toThrow(/s3cret/);
  },
);

test('a message of the browser is shown without the secrets of its addresses', async () => {
  const real = globalThis.fetch;
  globalThis.fetch = () =>
    Promise.reject(new TypeError('Cannot load http://ann:s3cret@host/m?key=s3cret: blocked'));
  try {
    const failure = open().size(FILE);
    await expect(failure).rejects.toThrow('Cannot load http://host/m');
    await expect(failure).rejects.not.toThrow(/s3cret/);
  } finally {
    globalThis.fetch = real;
  }
});

describe('a source that drips', () => {
  const impatient = { ...retry, slowMs: 100 };
  let requests = 0;

  /** Answers with a byte every few milliseconds. */
  beforeEach(() => {
    const real = globalThis.fetch;
    requests = 0;
    globalThis.fetch = async (_, init) => {
      requests++;
      const range = new Headers(init?.headers).get('Range') ?? '';
      const [first = 0, last = 0] = (range.match(/\d+/g) ?? []).map(Number);
      let left = last + 1 - first;
      const body = new ReadableStream({
        type: 'bytes',
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 10));
          if (init?.signal?.aborted) controller.error(init.signal.reason);
          else if (left-- > 0) controller.enqueue(new Uint8Array(1));
          else {
            controller.close();
            controller.byobRequest?.respond(0);
          }
        },
      });
      return new Response(body, { status: 206 });
    };
    return () => {
      globalThis.fetch = real;
    };
  });

  test('counts as stalled, and is given up', async () => {
    const source = new HttpSource(new URL('https://example.com/m/'), { retry: impatient });
    await expect(readStream(source, 0, 100_000)).rejects.toMatchObject({
      code: 'download-failed',
      message: expect.stringMatching(/only \d+ bytes arrived in/),
    });
    expect(requests).toBe(retry.attempts);
  });

  test.each([0, 1])('is read to its end if %i bytes a second are enough', async (least) => {
    const options = { retry: impatient, minBytesPerSecond: least };
    const source = (await openSource('https://example.com/m/', options)) as HttpSource;
    expect(await readStream(source, 0, 40)).toEqual(new Uint8Array(40));
    expect(requests).toBe(1);
  });
});
