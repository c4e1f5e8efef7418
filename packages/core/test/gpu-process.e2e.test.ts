// The browser's GPU process, killed again and again while a prompt is evaluated.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LoadBrowser, type LoadPage } from './load-browser.ts';

/** Chrome blocks WebGPU for a page after two losses, or a few more. */
const MOST_KILLS = 6;

let browser: LoadBrowser;
beforeAll(async () => {
  browser = await LoadBrowser.start();
});
afterAll(() => browser.close());

async function killGpuProcess(): Promise<void> {
  const session = await browser.browser.target().createCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  const gpu = processInfo.find(({ type }) => type === 'GPU');
  if (gpu) process.kill(gpu.id, 'SIGKILL');
  await session.detach();
}

/** The globals of the page, and whether a prompt is being evaluated. */
interface PageGlobals extends LoadPage {
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
  const session = await browser.serveNano();
  const errors: unknown[] = []; // of the page and its workers, unhandled rejections included
  const page = await browser.openPage((fresh) =>
    fresh.on('pageerror', (error) => errors.push(error)),
  );
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
