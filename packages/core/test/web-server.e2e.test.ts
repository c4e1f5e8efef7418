// Loads from another origin, which shows few of its headers, in Chrome.
import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { FaultRule, FaultSession } from './fault-session.ts';
import { LoadBrowser, type LoadPage } from './load-browser.ts';
import { slowTest } from './slow.ts';

let browser: LoadBrowser;
let session: FaultSession;

beforeAll(async () => {
  browser = await LoadBrowser.start();
});
afterAll(() => browser.close());
beforeEach(async () => {
  session = await browser.serveNano();
});

/** Loads the model twice, without the store and with it; returns the errors. */
function loadTwice(page: Page): Promise<string[]> {
  return page.evaluate(async (url) => {
    const { load } = globalThis as unknown as LoadPage;
    const failures: string[] = [];
    for (const store of [false, true]) {
      try {
        const model = await load(url, { contextLength: 64, store });
        await model.dispose();
      } catch (error) {
        failures.push(String(error));
      }
    }
    return failures;
  }, session.url);
}

const gzip = (path: string, isForced: boolean): FaultRule => ({
  path,
  fault: { kind: 'gzip', isForced },
});

slowTest.each<[string, readonly FaultRule[]]>([
  ['compresses what may be compressed', [gzip('', false)]],
  [
    'compresses what may be compressed, and ignores ranges',
    [gzip('', false), { fault: { kind: 'no-range' } }],
  ],
  ['sends its JSON files as they are stored, compressed', [gzip('.json', true)]],
])('a model loads from a server that %s', async (_, rules) => {
  await session.script(...rules);
  const page = await browser.openPage();
  expect(await loadTwice(page)).toEqual([]);
  await page.close();
});

test.each<[string, readonly FaultRule[]]>([
  ['ranges of weights', []],
  ['weights', [{ fault: { kind: 'no-range' } }]],
])('%s that are sent compressed cannot be read, and the error says why', async (_, rules) => {
  await session.script(gzip('.safetensors', true), ...rules);
  const page = await browser.openPage();
  const failures = await loadTwice(page);
  expect(failures).toHaveLength(2);
  for (const failure of failures) {
    expect(failure).toMatch(/model-0000.*is there, but.*compressed \(Content-Encoding\)/);
  }
  await page.close();
});

slowTest('a load from a server with ranges completes each of its requests', async () => {
  const failed: string[] = [];
  const page = await browser.openPage((fresh) =>
    fresh.on('requestfailed', (request) =>
      failed.push(`${request.method()} ${request.url()} ${request.headers().range}`),
    ),
  );
  expect(await loadTwice(page)).toEqual([]);
  expect(failed).toEqual([]);
  expect((await session.log()).length).toBeGreaterThan(10);
  await page.close();
});
