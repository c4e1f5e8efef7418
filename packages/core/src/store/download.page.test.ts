// Downloads from a failing server, in Chrome. Each ends with a whole model, or with an error that says what is kept.
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import { type FaultRule, FaultSession } from '../../test/fault-session.ts';
import { StoreWorker } from '../../test/store-client.ts';
import type { DownloadFaults } from '../../test/store-worker.ts';
import { store } from '../page/model-store.ts';
import { toHex } from '../sha256.ts';
import { LANES } from './download.ts';
import { readManifest } from './manifest.ts';
import { lockModel } from './opfs.ts';

const CHUNK_BYTES = 64 * 1024;
const SIZES = { 'a.bin': 10 * CHUNK_BYTES + 1000, 'b.bin': 7 * CHUNK_BYTES, 'c.json': 700 };
const FILES = Object.entries(SIZES).map(([path, sizeBytes]) => ({ path, sizeBytes }));
const TOTAL_BYTES = FILES.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

test('the test server fails as scripted, and logs the bytes it sent', async () => {
  const session = await FaultSession.start(inject('faultServer'), { sizes: SIZES });
  await session.script({ fault: { kind: 'cut', afterBytes: 1000 }, times: 1 });
  const get = async (): Promise<ArrayBuffer> => {
    const headers = { Range: 'bytes=4096-8191' };
    return (await fetch(`${session.url}a.bin`, { headers, cache: 'no-store' })).arrayBuffer();
  };
  await expect(get()).rejects.toThrow(TypeError);
  expect(new DataView(await get()).getUint32(2)).toBe(4096);
  expect((await session.log()).map(({ sentBytes }) => sentBytes)).toEqual([1000, 4096]);
});

let session: FaultSession;
let worker: StoreWorker;
const hashes: Record<string, string> = {};

afterEach(() => vi.restoreAllMocks());

beforeEach(async () => {
  for (const model of await store.list()) await store.remove(model.id);
  session = await FaultSession.start(inject('faultServer'), { sizes: SIZES });
  for (const { path } of FILES) {
    const bytes = await (await fetch(session.url + path)).arrayBuffer();
    hashes[path] = toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
  }
  await session.script();
  worker = new StoreWorker();
  return () => worker.end();
});

const download = (options: DownloadFaults = {}) =>
  worker.call('download', session.url, { chunkBytes: CHUNK_BYTES, files: FILES, ...options });

const expectWhole = async (): Promise<void> => {
  for (const { path } of FILES) {
    expect(await worker.call('hash', session.url, path)).toBe(hashes[path]);
  }
  expect(await store.verify(session.url)).toEqual({
    isIntact: true,
    damaged: [],
    checkedBytes: TOTAL_BYTES,
  });
};

const storedBytes = async (): Promise<number> => (await store.list())[0]?.sizeBytes ?? 0;

const chunksOf = (path: string): Promise<readonly number[]> =>
  readManifest(session.url).then((manifest) => [
    ...(manifest?.files.find((file) => file.path === path)?.isStored ?? []),
  ]);

test('a download requests each chunk once, and its progress ends at the total', async () => {
  const { progress } = await download();
  const log = (await session.log()).filter(({ range }) => range?.[1] !== 1);
  expect(log).toHaveLength(11 + 7 + 1);
  expect(log.reduce((sum, { sentBytes }) => sum + sentBytes, 0)).toBe(TOTAL_BYTES);
  expect(progress[0]).toEqual([0, TOTAL_BYTES]);
  expect(progress.at(-1)).toEqual([TOTAL_BYTES, TOTAL_BYTES]);
  await expectWhole();
});

test('an aborted download keeps its whole chunks, and the next one requests only the rest', async () => {
  await session.script({ fault: { kind: 'slow', bytesPerSecond: 400_000 } });
  await expect(download({ abortAtBytes: TOTAL_BYTES / 2 })).rejects.toMatchObject({
    message: 'enough',
  });
  const kept = await storedBytes();
  expect(kept).toBeGreaterThan(0);
  await session.script();
  const { progress } = await download();
  expect(progress[0]).toEqual([kept, TOTAL_BYTES]);
  const again = await session.sentBytes();
  expect(again).toBeLessThanOrEqual(TOTAL_BYTES - kept + FILES.length); // one byte of each to learn its version
  await expectWhole();
});

test('a killed worker loses at most the chunks in flight', async () => {
  await session.script({ fault: { kind: 'slow', bytesPerSecond: 400_000 } });
  const isHalf = new Promise<void>((resolve) => {
    worker.onProgress = (bytes) => {
      if (bytes > TOTAL_BYTES / 2) resolve();
    };
  });
  void download();
  await isHalf;
  worker.end();
  worker = new StoreWorker();
  await session.script();
  await download();
  expect(await session.sentBytes()).toBeLessThanOrEqual(TOTAL_BYTES / 2 + LANES * CHUNK_BYTES);
  await expectWhole();
});

const passing: [string, FaultRule[]][] = [
  ['connections that break', [{ fault: { kind: 'cut', afterBytes: 20_000 }, times: 20 }]],
  [
    'connections that stall',
    [{ fromBytes: 1, fault: { kind: 'stall', afterBytes: 30_000 }, times: 2 }],
  ],
  ...[429, 500, 503, 403].map((status): [string, FaultRule[]] => [
    `occasional HTTP ${status}`,
    [{ fromBytes: CHUNK_BYTES, fault: { kind: 'status', status }, times: 2 }],
  ]),
  ['a server without ranges', [{ fault: { kind: 'no-range' } }]],
  [
    'a server without ranges, on connections that break',
    [
      { fault: { kind: 'no-range' } },
      { path: 'a.bin', fault: { kind: 'cut', afterBytes: 200_000 }, times: 2 },
    ],
  ],
  ['a slow server', [{ fault: { kind: 'slow', bytesPerSecond: 1_000_000 } }]],
];

test.each(passing)('a download completes despite %s', async (_, rules) => {
  await session.script(...rules);
  await download();
  await expectWhole();
});

const failing: [string, FaultRule[], string][] = [
  [
    'HTTP 404',
    [{ path: 'b.bin', fromBytes: CHUNK_BYTES, fault: { kind: 'status', status: 404 } }],
    'download-failed',
  ],
  [
    'permanent HTTP 403',
    [{ path: 'b.bin', fromBytes: CHUNK_BYTES, fault: { kind: 'status', status: 403 } }],
    'download-failed',
  ],
  [
    'HTTP 416',
    [{ path: 'b.bin', fromBytes: CHUNK_BYTES, fault: { kind: 'status', status: 416 } }],
    'integrity',
  ],
  [
    'a server that is gone',
    [{ fromBytes: CHUNK_BYTES, fault: { kind: 'status', status: 503 } }],
    'download-failed',
  ],
  [
    'a file that is cut short',
    [{ path: 'a.bin', fromBytes: 1, fault: { kind: 'truncate', sizeBytes: 3 * CHUNK_BYTES } }],
    'integrity',
  ],
];

test.each(failing)('%s fails a download, and the next one resumes it', async (_, rules, code) => {
  await session.script(...rules);
  await expect(download()).rejects.toMatchObject({
    code,
    message: expect.stringMatching(/is kept.*0\.00 GB of the 0\.00 GB/),
  });
  expect((await store.list())[0]?.complete).toBe(false);
  await session.script();
  await download();
  await expectWhole();
});

test('a file changed after an abort is downloaded whole again, and the other files are kept', async () => {
  await session.script({ fault: { kind: 'slow', bytesPerSecond: 400_000 } });
  await expect(download({ abortAtBytes: TOTAL_BYTES * 0.8 })).rejects.toThrow('enough');
  const change: FaultRule = {
    path: 'a.bin',
    fault: { kind: 'version', etag: '"2"', flip: 0x33 },
  };
  const before = await chunksOf('b.bin');
  await session.script(change);
  await download();
  const ranges = (await session.log()).filter(({ path }) => path === 'a.bin');
  expect(ranges.reduce((sum, { sentBytes }) => sum + sentBytes, 0)).toBeGreaterThanOrEqual(
    SIZES['a.bin'],
  );
  const lacking = before.filter((isStored) => isStored === 0).length;
  expect(await session.sentBytes('b.bin')).toBeLessThanOrEqual(lacking * CHUNK_BYTES + 1);
  const bytes = new Uint8Array(await (await fetch(`${session.url}a.bin`)).arrayBuffer());
  const now = toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
  expect(now).not.toBe(hashes['a.bin']);
  expect(await worker.call('hash', session.url, 'a.bin')).toBe(now);
});

test('a file that changes during a download is downloaded again within it', async () => {
  await session.script({
    path: 'a.bin',
    fromBytes: 5 * CHUNK_BYTES,
    times: 1,
    fault: { kind: 'version', etag: '"2"', flip: 0x33 },
  });
  await download();
  await expectWhole();
  expect(await session.sentBytes('a.bin')).toBeGreaterThan(SIZES['a.bin']);
});

test('a file that does not match its SHA-256 is downloaded again', async () => {
  await session.script({
    path: 'a.bin',
    covers: 200_000,
    times: 1,
    fault: { kind: 'wrong', at: 200_000 },
  });
  await download({ integrity: hashes });
  await expectWhole();
  expect(await session.sentBytes('b.bin')).toBeLessThanOrEqual(SIZES['b.bin'] + 1);
});

test('a file that never matches its SHA-256 is named in the error, and not kept', async () => {
  const integrity = { ...hashes, 'b.bin': 'ab'.repeat(32) };
  await expect(download({ integrity })).rejects.toMatchObject({
    code: 'integrity',
    message: expect.stringMatching(/b\.bin.*abab.*is kept/),
  });
  expect(await chunksOf('b.bin')).toEqual([0, 0, 0, 0, 0, 0, 0]);
  expect((await store.list())[0]?.complete).toBe(false);
  await session.script();
  await download({ integrity: hashes });
  expect(await session.sentBytes('a.bin')).toBeLessThanOrEqual(1);
  await expectWhole();
});

test('a killed download also resumes the hash of the whole file', async () => {
  await session.script({ fault: { kind: 'slow', bytesPerSecond: 400_000 } });
  const isFar = new Promise<void>((resolve) => {
    worker.onProgress = (bytes) => {
      if (bytes > TOTAL_BYTES * 0.7) resolve();
    };
  });
  void download({ integrity: hashes });
  await isFar;
  worker.end();
  worker = new StoreWorker();
  expect((await readManifest(session.url))?.files[0]?.hashed?.chunks).toBeGreaterThan(0);
  await session.script();
  await download({ integrity: hashes });
  await expectWhole();
});

const startUnnamed = async (): Promise<void> => {
  session = await FaultSession.start(inject('faultServer'), { sizes: SIZES, isWithoutEtag: true });
};

const isFlipped = async (path: 'a.bin' | 'b.bin'): Promise<boolean> => {
  const published = await (await fetch(session.url + path)).arrayBuffer();
  const flipped = new Uint8Array(published).map((byte) => byte ^ 0x33);
  const expected = toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', flipped)));
  return (await worker.call('hash', session.url, path)) === expected;
};

const FLIP = { kind: 'version', etag: '"2"', flip: 0x33 } as const;

test('a file whose version the server does not name is not continued, but fetched anew', async () => {
  await startUnnamed();
  await session.script({ fault: { kind: 'slow', bytesPerSecond: 400_000 } });
  await expect(download({ abortAtBytes: TOTAL_BYTES / 2 })).rejects.toThrow('enough');
  expect(await storedBytes()).toBeGreaterThan(0);
  await session.script({ path: 'bin', fault: FLIP });
  await download();
  await session.script();
  expect(await isFlipped('a.bin')).toBe(true);
});

test('such a file is fetched in one request, and anew if that breaks', async () => {
  await startUnnamed();
  await session.script(
    { path: 'a.bin', fromBytes: 5 * CHUNK_BYTES, fault: FLIP },
    { path: 'b.bin', fault: { kind: 'cut', afterBytes: 200_000 }, covers: 100_000, times: 1 },
    { path: 'b.bin', fault: FLIP, fromBytes: 1 },
  );
  await download();
  const ranges = (await session.log()).filter(
    ({ path, range }) => path === 'b.bin' && range?.[1] !== 1,
  );
  expect(ranges.map(({ range }) => range)).toEqual([
    [0, SIZES['b.bin']],
    [0, SIZES['b.bin']],
  ]);
  await session.script();
  await expectWhole();
});

test('with a known SHA-256, such a file is continued by chunks', async () => {
  await startUnnamed();
  await session.script({ fault: { kind: 'slow', bytesPerSecond: 400_000 } });
  const half = download({ integrity: hashes, abortAtBytes: TOTAL_BYTES / 2 });
  await expect(half).rejects.toThrow('enough');
  const kept = await storedBytes();
  await session.script();
  await download({ integrity: hashes });
  expect(await session.sentBytes()).toBeLessThanOrEqual(TOTAL_BYTES - kept + FILES.length);
  await expectWhole();
});

test('a tab that waits for the download of another reports its progress', async () => {
  await session.script({ fault: { kind: 'slow', bytesPerSecond: 100_000 } });
  const other = new StoreWorker();
  try {
    const isUnderWay = new Promise<void>((resolve) => {
      other.onProgress = (bytes) => {
        if (bytes > 3 * CHUNK_BYTES) resolve();
      };
    });
    const first = other.call('download', session.url, { chunkBytes: CHUNK_BYTES, files: FILES });
    await isUnderWay;
    const { progress, requests } = await download();
    await first;
    expect(requests).toEqual([]);
    expect(progress.filter(([bytes]) => bytes > 0 && bytes < TOTAL_BYTES)).not.toEqual([]);
    expect(progress.at(-1)).toEqual([TOTAL_BYTES, TOTAL_BYTES]);
    await expectWhole();
  } finally {
    other.end();
  }
});

test('a waiting tab takes over the download of a killed tab', async () => {
  await session.script({ fault: { kind: 'slow', bytesPerSecond: 200_000 } });
  const other = new StoreWorker();
  const isUnderWay = new Promise<void>((resolve) => {
    other.onProgress = (bytes) => {
      if (bytes > TOTAL_BYTES / 2) resolve();
    };
  });
  void other.call('download', session.url, { chunkBytes: CHUNK_BYTES, files: FILES });
  await isUnderWay;
  const waiting = download();
  await session.script();
  other.end();
  await waiting;
  expect(await session.sentBytes()).toBeLessThanOrEqual(
    TOTAL_BYTES / 2 + LANES * CHUNK_BYTES + FILES.length,
  );
  await expectWhole();
});

test('a lock is taken from a holder that has stopped responding, and from no other', async () => {
  const silent = navigator.locks.request(`ossicle/${session.url}`, () => new Promise(() => {}));
  const stolen = expect(silent).rejects.toMatchObject({ name: 'AbortError' });
  const release = await lockModel('busy', 'exclusive');
  vi.spyOn(Math, 'random').mockReturnValue(0); // this page's patience is the shortest: over before the worker's is
  const waiting = lockModel('busy', 'exclusive');
  await download();
  await stolen;
  await expectWhole();
  const aWhile = new Promise((resolve) => setTimeout(resolve, 2000, 'still waiting'));
  expect(await Promise.race([waiting, aWhile])).toBe('still waiting');
  release();
  (await waiting)();
});

test('a download whose lock another tab has taken ends, and says why', async () => {
  await session.script({ fault: { kind: 'slow', bytesPerSecond: 100_000 } });
  const isUnderWay = new Promise<void>((resolve) => {
    worker.onProgress = (bytes) => {
      if (bytes > CHUNK_BYTES) resolve();
    };
  });
  const robbed = expect(download()).rejects.toMatchObject({
    code: 'storage-unavailable',
    message: expect.stringContaining('Another tab has taken over'),
  });
  await isUnderWay;
  await navigator.locks.request(`ossicle/${session.url}`, { steal: true }, () => robbed);
  await session.script();
  await download();
  await expectWhole();
});
