// The browser process is killed during a download; the next one continues it.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect } from 'vitest';
import { LANES } from '../src/store/download.ts';
import { DownloadBrowser } from './download-browser.ts';
import { type FaultServer, startFaultServer } from './fault-server.ts';
import { FaultSession } from './fault-session.ts';
import { slowTest } from './slow.ts';

const CHUNK_BYTES = 2 ** 20;
const FILES = [40, 33, 7].map((mebibytes, i) => ({
  path: `model-${i}.safetensors`,
  sizeBytes: mebibytes * CHUNK_BYTES + 1000 * i,
}));
const TOTAL_BYTES = FILES.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

let faults: FaultServer;
let browser: DownloadBrowser;
beforeAll(async () => {
  faults = await startFaultServer('.');
  browser = await DownloadBrowser.create();
});
afterAll(async () => {
  await Promise.all([browser.close(), faults.close()]);
});

slowTest(
  'after its browser is killed at any point, a download fetches at most the chunks in flight again',
  async () => {
    const sizes = Object.fromEntries(FILES.map(({ path, sizeBytes }) => [path, sizeBytes]));
    const session = await FaultSession.start(faults.url, { sizes });
    const integrity: Record<string, string> = {};
    for (const { path } of FILES) {
      const bytes = await (await fetch(session.url + path)).arrayBuffer();
      integrity[path] = createHash('sha256').update(new Uint8Array(bytes)).digest('hex');
    }
    const task = { url: session.url, files: FILES, chunkBytes: CHUNK_BYTES, integrity };
    const slow = { fault: { kind: 'slow', bytesPerSecond: 4_000_000 } } as const;
    let sentBytes = 0;
    let kills = 0;
    for (const part of [0.01, 0.3, 0.7, 0.99]) {
      await session.script(slow);
      await browser.start();
      await browser.download(task, part * TOTAL_BYTES);
      await browser.kill();
      kills++;
      sentBytes += await session.sentBytes();
    }
    await session.script();
    await browser.start();
    await browser.download(task);
    sentBytes += await session.sentBytes();
    // Bytes that the server counts may not have reached the browser before it was killed.
    const inFlight = LANES * CHUNK_BYTES;
    expect(sentBytes).toBeGreaterThanOrEqual(TOTAL_BYTES);
    expect(sentBytes).toBeLessThanOrEqual(TOTAL_BYTES + kills * (inFlight + FILES.length));

    expect(await browser.verify(session.url)).toEqual({
      isIntact: true,
      damaged: [],
      checkedBytes: TOTAL_BYTES,
    });
    const whole = { id: session.url, complete: true, sizeBytes: TOTAL_BYTES };
    expect(await browser.list()).toMatchObject([whole]);
    await session.script();
    await browser.download(task);
    expect(await session.log()).toEqual([]);
  },
);
