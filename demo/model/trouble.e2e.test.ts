import { afterAll, beforeAll, expect, test } from 'vitest';
import { slowTest } from '../../packages/core/test/slow.ts';
import { type FolderServer, serveFolder } from '../../scripts/static-server.ts';
import { DemoBrowser } from '../test/demo-browser.ts';
import type { DemoPage } from '../test/demo-page.ts';

// One visitor's story, up to the model of another host: each test continues from the one before.
let browser: DemoBrowser;
let otherHost: FolderServer;
let demo: DemoPage;
beforeAll(async () => {
  browser = await DemoBrowser.start();
  otherHost = await serveFolder('demo/public/models');
});
afterAll(async () => {
  await browser.close();
  await otherHost.close();
});

test('a browser without an adapter for WebGPU gets an explanation and a next step', async () => {
  const poor = await DemoBrowser.start({ hasAdapter: false });
  const page = await poor.open();
  await page.page.waitForSelector('.failure');
  expect(await page.text('.failure h3')).toBe('WebGPU is not available here');
  expect((await page.text('.failure p')).length).toBeGreaterThan(40);
  expect(await page.count('.failure [data-step=reload]')).toBe(1);
  expect(await page.count('#send:disabled')).toBe(1);
  await poor.close();
});

test('a load shows its progress', async () => {
  // Headers pass, weights wait.
  browser.proxy.held = (url, range) => /safetensors$/.test(url) && /-\d{7}/.test(range ?? '');
  demo = await browser.open();
  await demo.textLike('.load-strip', /Downloading gpt-oss-nano[\s\S]* of 3\.\d+ MB/);
});

test('a cancelled load leaves the page empty', async () => {
  await demo.click('#cancel-load');
  await demo.page.waitForSelector('[data-status=empty]');
  expect(await demo.count('.load-strip, .failure')).toBe(0);
});

test('a cancelled load can be started again', async () => {
  browser.proxy.held = undefined;
  await demo.click('#model-button');
  await demo.click('.choice');
  await demo.ready();
});

test('text that is not a valid source is rejected in its input field', async () => {
  await demo.loadFrom('not a source');
  expect(await demo.count('#model-panel[open] #model-source[aria-invalid=true]')).toBe(1);
  expect(await demo.text('#model-source-hint')).toContain('neither');
  await demo.page.keyboard.press('Escape');
});

/** The suggestions that are not wholly in view. */
function hiddenChips(): Promise<readonly (string | null)[]> {
  return demo.page.evaluate(() => {
    const { top, bottom } = document.querySelector('main')!.getBoundingClientRect();
    return [...document.querySelectorAll('.suggestions button')]
      .filter((chip) => {
        const box = chip.getBoundingClientRect();
        return box.top < top || box.bottom > bottom;
      })
      .map((chip) => chip.textContent);
  });
}

const missing = (): number =>
  browser.proxy.requests.filter((url) => url.includes('/missing/')).length;

test('a URL without a model is reported', async () => {
  await demo.loadFrom('./missing/');
  await demo.page.waitForSelector('.failure');
  expect(await demo.text('.failure h3')).toBe('The model could not be loaded');
  expect(await demo.text('.failure p')).toMatch(/config\.json.*missing/);
  expect(await demo.text('#model-name')).toBe('gpt-oss-nano');
  expect(await demo.count('[data-status=ready]')).toBe(1);
});

test.each([
  [1000, 760],
  [1280, 640],
  [390, 844],
])('the report leaves the suggestions in view at %i x %i', async (width, height) => {
  const before = demo.page.viewport();
  await demo.page.setViewport({ width, height });
  expect(await hiddenChips()).toEqual([]);
  await demo.page.setViewport(before);
});

test('Try again requests the model once more', async () => {
  const before = missing();
  await demo.click('.failure [data-step=try-again]');
  await demo.page.waitForSelector('.failure');
  expect(missing()).toBeGreaterThan(before);
});

test('the model in use still answers after another failed to load', async () => {
  await demo.click('.failure [aria-label=Dismiss]');
  expect(await demo.ask('What is 17 + 25?')).toContain('42');
});

slowTest('a model of another host loads once the page has reopened for that host', async () => {
  const { length } = demo.complaints; // of the URL without a model
  await demo.loadFrom(`${otherHost.url}/gpt-oss-nano/`);
  await demo.page.waitForFunction(() => location.search.includes('model='));
  await demo.ready();
  expect(await demo.text('#model-name')).toBe('gpt-oss-nano');
  expect(await demo.ask('What is 17 + 25?')).toContain('42');
  expect(demo.complaints.slice(length)).toEqual([]);
});

/** The query of a link to the model of a host. */
const linkTo = ({ url }: FolderServer): string =>
  `?model=${encodeURIComponent(`${url}/gpt-oss-nano/`)}`;

test('a link to a model that is not stored asks before it downloads', async () => {
  const before = browser.proxy.requests.length;
  const linked = await browser.open(linkTo(otherHost));
  await linked.page.waitForSelector('#model-panel[open]');
  await linked.textLike('.load-strip', /Downloading|Moving|Preparing/);
  expect(await linked.text('#model-name')).toBe('gpt-oss-nano'); // the embedded one
  const asked = browser.proxy.requests.slice(before);
  expect(asked.filter((url) => url.startsWith(otherHost.url))).toEqual([]);
  await linked.close();
});

/** Whether the page, and a worker that it starts, may fetch a URL. */
function mayFetch(page: DemoPage, target: string): Promise<{ page: boolean; worker: boolean }> {
  return page.page.evaluate(async (url) => {
    const page = await fetch(url, { mode: 'no-cors' }).then(
      () => true,
      () => false,
    );
    const source = `fetch(${JSON.stringify(url)}, { mode: 'no-cors' }).then(() => postMessage(true), () => postMessage(false))`;
    const worker = new Worker(URL.createObjectURL(new Blob([source])));
    const answer = await new Promise<boolean>((resolve) => {
      worker.onmessage = ({ data }: MessageEvent<boolean>) => resolve(data);
    });
    worker.terminate();
    return { page, worker: answer };
  }, target);
}

const elsewhere = (): string => `${otherHost.url}/gpt-oss-nano/config.json`;

test('the policy keeps page and workers from hosts that the page was not opened for', async () => {
  const page = await browser.open();
  await page.page.waitForSelector('.load-strip');
  expect(await mayFetch(page, elsewhere())).toEqual({ page: false, worker: false });
  expect(await mayFetch(page, `${browser.url}icon.svg`)).toEqual({ page: true, worker: true });
  await page.close();
});

test('the policy of a page opened for another host allows that host, but not Hugging Face', async () => {
  const page = await browser.open(linkTo(otherHost));
  await page.page.waitForSelector('.load-strip');
  const before = browser.proxy.requests.length;
  expect(await mayFetch(page, elsewhere())).toEqual({ page: true, worker: true });
  expect(await mayFetch(page, 'https://huggingface.co/robots.txt')).toEqual({
    page: false,
    worker: false,
  });
  expect(browser.proxy.requests.slice(before).join()).not.toContain('huggingface');
});
