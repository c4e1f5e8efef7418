// load() in tabs that want the same model, and with stored bytes that have changed. Requests are counted.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { LoadProgress } from '../src/types/load.ts';
import type { FaultSession } from './fault-session.ts';
import { LoadBrowser, type LoadPage } from './load-browser.ts';
import { slowTest } from './slow.ts';

/** The beginning of the model's reasoning about "What is 17 + 25?". */
const ANSWER = '17+25';
const LAST_SHARD = 'model-00002-of-00002.safetensors';

/** A byte of it that only its download requests. */
const INNER_BYTE = 1_000_000;

let browser: LoadBrowser;
let session: FaultSession;

beforeAll(async () => {
  browser = await LoadBrowser.start();
});
afterAll(() => browser.close());
beforeEach(async () => {
  session = await browser.serveNano();
  return async () => {
    for (const page of await browser.browser.pages()) {
      if (page.url() !== 'about:blank') await page.close();
    }
  };
});

/** The globals of the page, with the last progress of a load. */
interface PageGlobals extends LoadPage {
  progress?: LoadProgress;
}

/** Removes models stored by earlier tests. */
function clear(page: Page): Promise<void> {
  return page.evaluate(async () => {
    const { store } = globalThis as unknown as PageGlobals;
    for (const { id } of await store.list()) await store.remove(id);
  });
}

/** Loads the model and asks it a question. */
function ask(page: Page): Promise<string> {
  return page.evaluate(async (url) => {
    const globals = globalThis as unknown as PageGlobals;
    const onProgress = (progress: LoadProgress): void => {
      globals.progress = progress;
    };
    const model = await globals.load(url, { contextLength: 256, onProgress });
    const options = { temperature: 0, maxTokens: 8 };
    const { reasoning, text } = await model.generate('What is 17 + 25?', options).result;
    await model.dispose();
    return reasoning + text;
  }, session.url);
}

/** How often each file was requested as a whole, as downloads request files of one chunk. */
async function downloads(page: Page): Promise<Record<string, number>> {
  const log = await session.log();
  const files = await page.evaluate(async (id) => {
    const database = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open('ossicle');
      request.onsuccess = () => resolve(request.result);
    });
    const record = await new Promise<{ files: { path: string; sizeBytes: number }[] }>(
      (resolve) => {
        const request = database.transaction('models').objectStore('models').get(id);
        request.onsuccess = () => resolve(request.result);
      },
    );
    database.close();
    return record.files.map(({ path, sizeBytes }) => ({ path, sizeBytes }));
  }, session.url);
  return Object.fromEntries(
    files.map(({ path, sizeBytes }) => [
      path,
      log.filter((record) => record.path === path && record.range?.[1] === sizeBytes).length,
    ]),
  );
}

const each = (counts: Record<string, number>, count: number): Record<string, number> =>
  Object.fromEntries(Object.keys(counts).map((path) => [path, count]));

test('two tabs that load the same model at once download it once and both answer', async () => {
  const [first, second] = [await browser.openPage(), await browser.openPage()];
  const fault = { kind: 'slow', bytesPerSecond: 1_000_000 } as const;
  await session.script({ path: LAST_SHARD, covers: INNER_BYTE, fault });
  expect(await Promise.all([ask(first), ask(second)])).toEqual([ANSWER, ANSWER]);
  const counts = await downloads(first);
  expect(Object.keys(counts)).toContain(LAST_SHARD);
  expect(counts).toEqual(each(counts, 1));
});

slowTest(
  'a tab that waits takes over the download of a killed tab, and fetches again what was in flight',
  async () => {
    const [killed, waiting] = [await browser.openPage(), await browser.openPage()];
    const fault = { kind: 'stall', afterBytes: 500_000 } as const;
    await session.script({ path: LAST_SHARD, covers: INNER_BYTE, times: 1, fault });
    const lost = ask(killed).catch(() => 'lost');
    while ((await session.sentBytes(LAST_SHARD)) < fault.afterBytes) await sleep(50);
    const answer = ask(waiting);
    // It reports what the other tab has stored: everything but that file.
    const isWaiting = 'globalThis.progress?.phase === "download" && progress.loadedBytes > 1.6e6';
    await waiting.waitForFunction(isWaiting, { polling: 50 });
    const crash = (await killed.createCDPSession()).send('Page.crash').catch(() => undefined);
    await Promise.race([crash, new Promise((resolve) => killed.once('error', resolve))]);
    expect(await answer).toBe(ANSWER);
    const counts = await downloads(waiting);
    expect(counts).toEqual({ ...each(counts, 1), [LAST_SHARD]: 2 });
    await killed.close();
    expect(await lost).toBe('lost');
  },
);

slowTest(
  'a changed byte in a stored file is found by verify(), and repaired by fetching only its chunk',
  async () => {
    const page = await browser.openPage();
    await clear(page);
    expect(await ask(page)).toBe(ANSWER);
    const flipped = await page.evaluate(async (name) => {
      const root = await navigator.storage.getDirectory();
      const models = await root.getDirectoryHandle('ossicle');
      for await (const model of models.values()) {
        const handle = await (model as FileSystemDirectoryHandle).getFileHandle(name);
        const file = await handle.getFile();
        const at = Math.floor(file.size * 0.7);
        const [byte = 0] = new Uint8Array(await file.slice(at, at + 1).arrayBuffer());
        const writable = await handle.createWritable({ keepExistingData: true });
        await writable.write({ type: 'write', position: at, data: Uint8Array.of(byte ^ 0x10) });
        await writable.close();
        return file.size;
      }
      return 0;
    }, LAST_SHARD);
    const verify = () =>
      page.evaluate((id) => (globalThis as unknown as PageGlobals).store.verify(id), session.url);
    expect(await verify()).toMatchObject({
      isIntact: false,
      damaged: [{ path: LAST_SHARD, chunk: 0, offsetBytes: 0, sizeBytes: flipped }],
    });
    await session.script();
    expect(await ask(page)).toBe(ANSWER);
    const counts = await downloads(page);
    expect(counts).toEqual({ ...each(counts, 0), [LAST_SHARD]: 1 });
    // Besides the chunk: headers, the JSON files, and a byte of each file to tell its version.
    expect(await session.sentBytes()).toBeLessThan(flipped + 200_000);
    expect(await verify()).toMatchObject({ isIntact: true, damaged: [] });
  },
);
