import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer, { type Browser, type WebWorker } from 'puppeteer-core';
import { build } from 'vite';
import { chromeOptions } from '../scripts/browser.ts';
import { type FolderServer, serveFolder } from '../scripts/static-server.ts';
import { commitOf } from './commit.ts';
import type { Side, SideRuntime } from './side.ts';

const ARGUMENTS = [
  '--enable-webgpu-developer-features', // else timestamps are rounded to tens of microseconds
  '--disable-renderer-backgrounding', // each side has a tab, and only one is in front
  '--disable-background-timer-throttling',
];

/** A Chrome that runs sides, and pages of others. */
export interface ChromeRuntime extends SideRuntime {
  readonly browser: Browser;
}

/**
 * Starts a headless Chrome on this machine's GPU, or on SwiftShader if it can use none.
 *
 * @param software - Use SwiftShader even if there is a GPU.
 * @throws Error if there is no browser, or the browser has no WebGPU.
 */
export async function startChrome(software: boolean): Promise<ChromeRuntime> {
  const folder = await mkdtemp(join(tmpdir(), 'ossicle-bench-'));
  const servers: FolderServer[] = [];
  const serve = async (path: string): Promise<string> => {
    const server = await serveFolder(path);
    servers.push(server);
    return server.url;
  };
  await writeFile(join(folder, 'index.html'), '<!doctype html>');
  const blank = await serve(folder);
  const browser =
    (software ? undefined : await launch(true, blank)) ?? (await launch(false, blank));
  const dispose = async (): Promise<void> => {
    await browser?.close();
    for (const server of servers) await server.close();
    await rm(folder, { recursive: true });
  };
  if (!browser) {
    await dispose();
    throw new Error('This Chrome has no WebGPU adapter, not even SwiftShader.');
  }
  return {
    name: 'chrome',
    version: await browser.version(),
    hasStore: true,
    browser,
    start: async (checkout) => {
      const page = await mkdtemp(join(folder, 'page-'));
      // Before there was a page for visitors, this one had its name.
      const name = existsSync(`${checkout}/bench/side.html`) ? 'side.html' : 'index.html';
      await buildPage(checkout, page, name);
      const worker = await openWorker(browser, `${await serve(page)}/${name}`);
      return chromeSide(browser, worker, async (checkpoint) => {
        const bare = await mkdtemp(join(folder, 'checkpoint-'));
        await linkWithoutTokenizer(checkpoint, bare);
        return `${await serve(bare)}/`;
      });
    },
    dispose,
  };
}

/** Launches a browser; `undefined` if it has no adapter. */
async function launch(gpu: boolean, url: string): Promise<Browser | undefined> {
  const options = await chromeOptions(gpu);
  const browser = await puppeteer.launch({
    ...options,
    args: [...(options.args ?? []), ...ARGUMENTS],
    protocolTimeout: 0, // a stage of a large model takes long
  });
  const page = await browser.newPage();
  await page.goto(`${url}/`); // WebGPU needs a secure context, which about:blank is not
  if (await page.evaluate(async () => (await navigator.gpu?.requestAdapter()) != null)) {
    await page.close();
    return browser;
  }
  await browser.close();
  return undefined;
}

/**
 * Builds a page of the bench with all that it needs.
 *
 * @param name - `side.html`, which the bench drives, or `index.html`, for visitors.
 */
export async function buildPage(checkout: string, outDir: string, name: string): Promise<void> {
  await build({
    root: `${checkout}/bench`,
    base: './',
    configFile: false,
    logLevel: 'warn',
    resolve: { alias: { '@ossicle/harmony': `${checkout}/packages/harmony/src/index.ts` } },
    worker: { format: 'es' },
    define: { OSSICLE_COMMIT: JSON.stringify(commitOf(checkout)) },
    build: {
      outDir,
      target: 'es2023',
      emptyOutDir: false,
      rolldownOptions: { input: `${checkout}/bench/${name}` },
    },
  });
}

async function openWorker(browser: Browser, url: string): Promise<WebWorker> {
  const page = await browser.newPage();
  const started = new Promise<WebWorker>((resolve, reject) => {
    page.once('workercreated', resolve);
    page.once('pageerror', reject);
  });
  await page.goto(url);
  const worker = await started;
  // The worker exists before its module has run.
  for (let left = 300; left > 0; left--) {
    if (await worker.evaluate(() => 'stageHost' in globalThis)) return worker;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('The bench did not start in the page within 30 s.');
}

function chromeSide(
  browser: Browser,
  worker: WebWorker,
  serveCheckpoint: (folder: string) => Promise<string>,
): Promise<Side> {
  return worker
    .evaluate(async () => (await globalThis.stageHost).adapter)
    .then((adapter) => ({
      adapter,
      open: async (name, checkpoint, options) => {
        const source = checkpoint === undefined ? undefined : await serveCheckpoint(checkpoint);
        return worker.evaluate(
          async (...args) => (await globalThis.stageHost).open(...args),
          name,
          source,
          options,
        );
      },
      measure: (measurement) =>
        worker.evaluate(async (name) => (await globalThis.stageHost).measure(name), measurement),
      close: () => worker.evaluate(async () => (await globalThis.stageHost).close()),
      heapBytes: async () => {
        const usage = await worker.client.send('Runtime.getHeapUsage');
        return usage.usedSize + usage.backingStorageSize;
      },
      cpuSeconds: async () => {
        const session = await browser.target().createCDPSession();
        const { processInfo } = await session.send('SystemInfo.getProcessInfo');
        await session.detach();
        const of = (type: string): number =>
          processInfo.reduce((sum, each) => sum + (each.type === type ? each.cpuTime : 0), 0);
        return { renderers: of('renderer'), 'GPU process': of('GPU') };
      },
    }));
}

/** A checkpoint without a tokenizer takes and returns token ids only, and always generates `maxTokens`. */
async function linkWithoutTokenizer(checkpoint: string, into: string): Promise<void> {
  for (const name of await readdir(checkpoint)) {
    if (!/^tokenizer.*\.json$/.test(name)) await symlink(join(checkpoint, name), join(into, name));
  }
}
