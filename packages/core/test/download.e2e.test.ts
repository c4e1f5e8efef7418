// The browser's process is killed while it downloads; the next one goes on where it was.
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { createServer, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chromeOptions } from '../../../scripts/browser.ts';
import { type FaultServer, startFaultServer } from './fault-server.ts';
import { FaultSession } from './fault-session.ts';
import type { StoreWorker } from './store-client.ts';

const CHUNK_BYTES = 2 ** 20;
const LANES = 6;
const FILES = [40, 33, 7].map((mebibytes, i) => ({
  path: `model-${i}.safetensors`,
  sizeBytes: mebibytes * CHUNK_BYTES + 1000 * i,
}));
const TOTAL_BYTES = FILES.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

let faults: FaultServer;
let pages: ViteDevServer;
let profile: string;
let browser: Browser | undefined;
beforeAll(async () => {
  faults = await startFaultServer('.');
  pages = await createServer({
    configFile: false,
    root: '.',
    logLevel: 'error',
    server: { port: 0 },
  });
  await pages.listen();
  profile = await mkdtemp(join(tmpdir(), 'ossicle-profile-'));
});
afterAll(async () => {
  await browser?.close();
  await Promise.all([faults.close(), pages.close()]);
  await rm(profile, { recursive: true, force: true, maxRetries: 5 });
});

/** What the page offers. */
interface PageGlobals {
  readonly worker: StoreWorker;
  readonly store: typeof import('../src/model-store.ts').store;
}

async function openPage(): Promise<Page> {
  browser = await puppeteer.launch({ ...(await chromeOptions()), userDataDir: profile });
  const page = await browser.newPage();
  await page.goto(`${pages.resolvedUrls?.local[0]}packages/core/test/download-page.html`);
  await page.waitForFunction('globalThis.worker !== undefined');
  return page;
}

/** Downloads; with a limit, only until so much has come. */
function download(
  page: Page,
  url: string,
  integrity: Readonly<Record<string, string>>,
  untilBytes = 1e15,
): Promise<void> {
  return page.evaluate(
    async (address, options, until) => {
      const { worker } = globalThis as unknown as PageGlobals;
      const isFar = new Promise<void>((resolve) => {
        worker.onProgress = (bytes) => {
          if (bytes >= until) resolve();
        };
      });
      await Promise.race([worker.call('download', address, options), isFar]);
    },
    url,
    { files: FILES, chunkBytes: CHUNK_BYTES, integrity },
    untilBytes,
  );
}

async function kill(): Promise<void> {
  const gone = new Promise((done) => browser?.process()?.once('exit', done));
  browser?.process()?.kill('SIGKILL');
  await gone;
}

test('a browser that is killed at any point fetches at most the chunks in flight again', async () => {
  const sizes = Object.fromEntries(FILES.map(({ path, sizeBytes }) => [path, sizeBytes]));
  const session = await FaultSession.start(faults.url, { sizes });
  const integrity: Record<string, string> = {};
  for (const { path } of FILES) {
    const bytes = await (await fetch(session.url + path)).arrayBuffer();
    integrity[path] = createHash('sha256').update(new Uint8Array(bytes)).digest('hex');
  }
  const slow = { fault: { kind: 'slow', bytesPerSecond: 4_000_000 } } as const;
  let sentBytes = 0;
  let kills = 0;
  for (const part of [0.01, 0.3, 0.7, 0.99]) {
    await session.script(slow);
    await download(await openPage(), session.url, integrity, part * TOTAL_BYTES);
    await kill();
    kills++;
    sentBytes += await session.sentBytes();
  }
  await session.script();
  const page = await openPage();
  await download(page, session.url, integrity);
  sentBytes += await session.sentBytes();
  // What the server counts may still have been on its way to the browser that was killed.
  const inFlight = LANES * CHUNK_BYTES;
  expect(sentBytes).toBeGreaterThanOrEqual(TOTAL_BYTES);
  expect(sentBytes).toBeLessThanOrEqual(TOTAL_BYTES + kills * (inFlight + FILES.length));

  const { found, models } = await page.evaluate(async (id) => {
    const { store } = globalThis as unknown as PageGlobals;
    return { found: await store.verify(id), models: await store.list() };
  }, session.url);
  expect(found).toEqual({ isIntact: true, damaged: [], checkedBytes: TOTAL_BYTES });
  expect(models).toMatchObject([{ id: session.url, complete: true, sizeBytes: TOTAL_BYTES }]);
  await session.script();
  await download(page, session.url, integrity);
  expect(await session.log()).toEqual([]);
});
