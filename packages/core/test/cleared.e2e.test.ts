// The site's data is cleared while a model is stored.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DownloadBrowser } from './download-browser.ts';
import { type FaultServer, startFaultServer } from './fault-server.ts';
import { FaultSession } from './fault-session.ts';

const CHUNK_BYTES = 2 ** 20;
const TOTAL_BYTES = 20 * CHUNK_BYTES;
const FILES = [{ path: 'model.safetensors', sizeBytes: TOTAL_BYTES }];
const MAX_SECONDS = 15;

let faults: FaultServer;
let browser: DownloadBrowser;
beforeAll(async () => {
  faults = await startFaultServer('.');
  browser = await DownloadBrowser.create();
  await browser.start();
});
afterAll(async () => {
  await Promise.all([browser.close(), faults.close()]);
});

test.each([['file_systems'], ['all']])(
  'a download whose site data is cleared (%s) says so within seconds, and nothing hangs after',
  async (types) => {
    const sizes = { 'model.safetensors': TOTAL_BYTES };
    const session = await FaultSession.start(faults.url, { sizes });
    await session.script({ fault: { kind: 'slow', bytesPerSecond: 2_000_000 } });
    const task = { url: session.url, files: FILES, integrity: {}, chunkBytes: CHUNK_BYTES };
    const { code, seconds } = await browser.clearDuring(task, TOTAL_BYTES / 4, types);
    expect(code).toBe('storage-unavailable');
    expect(seconds).toBeLessThan(MAX_SECONDS);
    for (const stored of await browser.list()) {
      expect(stored).toMatchObject({ complete: false, sizeBytes: 0 });
    }
    await session.script();
    await browser.reload();
    const again = browser.download(task);
    // Chrome keeps the files open if only they were cleared.
    if (types === 'file_systems') return expect(again).rejects.toThrow(/restart the browser/);
    await again;
    const whole = { id: session.url, complete: true, sizeBytes: TOTAL_BYTES };
    expect(await browser.list()).toMatchObject([whole]);
  },
);
