// The browser's GPU process, killed again and again while a prompt is evaluated.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chromeOptions } from '../../../scripts/browser.ts';
import { type FolderServer, serveFolder } from '../../../scripts/static-server.ts';
import { sourceAliases } from '../../../vite.config.ts';
import { type FaultServer, startFaultServer } from './fault-server.ts';
import { FaultSession } from './fault-session.ts';

const PAGE = 'load-page.html';

/** Chrome blocks WebGPU for a page after two losses, or a few more. */
const MOST_KILLS = 6;

let folder: string;
let pages: FolderServer;
let faults: FaultServer;
let browser: Browser;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ossicle-gpu-process-'));
  await build({
    configFile: false,
    root: 'packages/core/test',
    logLevel: 'error',
    resolve: { alias: sourceAliases },
    worker: { format: 'es' },
    build: { outDir: folder, target: 'es2023', rolldownOptions: { input: PAGE } },
  });
  pages = await serveFolder(folder);
  faults = await startFaultServer('.');
  browser = await puppeteer.launch(await chromeOptions());
});
afterAll(async () => {
  await browser.close();
  await Promise.all([faults.close(), pages.close()]);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

async function killGpuProcess(): Promise<void> {
  const session = await browser.target().createCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  const gpu = processInfo.find(({ type }) => type === 'GPU');
  if (gpu) process.kill(gpu.id, 'SIGKILL');
  await session.detach();
}

/** The globals of the page, and whether a prompt is being evaluated. */
interface PageGlobals {
  readonly load: typeof import('../src/index.ts').load;
  isInPrefill?: boolean;
}

/** Loads the model and kills the GPU process in the prefill; returns the error. */
async function killInPrefill(page: Page, url: string): Promise<{ code: string; message: string }> {
  let isOver = false;
  const outcome = page
    .evaluate(async (source) => {
      const globals = globalThis as unknown as PageGlobals;
      globals.isInPrefill = false;
      try {
        const model = await globals.load(source, { contextLength: 1024, prefillChunkLength: 8 });
        for await (const event of model.generate('word '.repeat(600), { maxTokens: 1 })) {
          if (event.type === 'prefill') globals.isInPrefill = event.processedTokens > 0;
        }
        return { code: 'none', message: '' };
      } catch (error) {
        const { code, message } = error as { code: string; message: string };
        return { code, message };
      }
    }, url)
    .finally(() => {
      isOver = true;
    });
  while (!isOver && !(await page.evaluate('globalThis.isInPrefill'))) await sleep(20);
  if (!isOver) await killGpuProcess();
  return outcome;
}

test('a GPU process that is killed is reported, and what to do once the browser blocks WebGPU', async () => {
  const session = await FaultSession.start(faults.url, {
    folder: 'demo/public/models/gpt-oss-nano',
  });
  const page = await browser.newPage();
  const errors: unknown[] = []; // of the page and its workers, unhandled rejections included
  page.on('pageerror', (error) => errors.push(error));
  await page.goto(`${pages.url}/${PAGE}`);
  await page.waitForFunction('globalThis.load !== undefined', { polling: 50 });
  let last = await killInPrefill(page, session.url);
  expect(last.code).toBe('device-lost');
  for (let kill = 1; kill < MOST_KILLS && last.code === 'device-lost'; kill++) {
    last = await killInPrefill(page, session.url);
  }
  expect(last).toEqual({
    code: 'webgpu-unavailable',
    message: expect.stringMatching(/crashes of the GPU process: reload.*restart the browser/),
  });
  expect(errors).toEqual([]);
});
