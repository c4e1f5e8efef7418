import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FolderServer, serveFolder } from '../scripts/static-server.ts';
import { DemoBrowser, type DemoPage } from './test/demo-browser.ts';

// One visitor's story, up to the model of another host.
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

test('a browser without an adapter for WebGPU is told so, and what to do', async () => {
  const poor = await DemoBrowser.start({ hasAdapter: false });
  const page = await poor.open();
  await page.page.waitForSelector('.failure');
  expect(await page.text('.failure h3')).toBe('WebGPU is not available here');
  expect((await page.text('.failure p')).length).toBeGreaterThan(40);
  expect(await page.count('.failure [data-step=reload]')).toBe(1);
  expect(await page.count('#send:disabled')).toBe(1);
  await poor.close();
});

test('a load shows its progress, can be cancelled, and started again', async () => {
  // Headers pass, weights wait.
  browser.proxy.held = (url, range) => /safetensors$/.test(url) && /-\d{7}/.test(range ?? '');
  demo = await browser.open();
  await demo.textLike('.load-strip', /Downloading gpt-oss-nano[\s\S]* of 3\.\d+ MB/);
  await demo.click('#cancel-load');
  await demo.page.waitForSelector('[data-status=empty]');
  expect(await demo.count('.load-strip, .failure')).toBe(0);
  browser.proxy.held = undefined;
  await demo.click('#model-button');
  await demo.click('.choice');
  await demo.ready();
});

test('text that names no source is refused where it is typed', async () => {
  await demo.loadFrom('not a source');
  expect(await demo.count('#model-panel[open] #model-source[aria-invalid=true]')).toBe(1);
  expect(await demo.text('#model-source-hint')).toContain('neither');
  await demo.page.keyboard.press('Escape');
});

test('an address without a model is reported, can be tried again, and leaves the loaded model working', async () => {
  const missing = () => browser.proxy.requests.filter((url) => url.includes('/missing/')).length;
  await demo.loadFrom('./missing/');
  await demo.page.waitForSelector('.failure');
  expect(await demo.text('.failure h3')).toBe('The model could not be loaded');
  expect(await demo.text('.failure p')).toMatch(/missing.*config\.json/);
  const before = missing();
  await demo.click('.failure [data-step=try-again]');
  await demo.page.waitForSelector('.failure');
  expect(missing()).toBeGreaterThan(before);
  await demo.click('.failure [aria-label=Dismiss]');
  expect(await demo.ask('What is 17 + 25?')).toContain('42');
});

test('a model of another host loads in a page that is opened again for that host', async () => {
  const { length } = demo.complaints; // of the address without a model
  await demo.loadFrom(`${otherHost.url}/gpt-oss-nano/`);
  await demo.page.waitForFunction(() => location.search.includes('model='));
  await demo.ready();
  expect(await demo.text('#model-name')).toBe('gpt-oss-nano');
  expect(await demo.ask('What is 17 + 25?')).toContain('42');
  expect(demo.complaints.slice(length)).toEqual([]);
});

test('a link to a model that is not stored asks before it downloads', async () => {
  const query = `?model=${encodeURIComponent(`${otherHost.url}/gpt-oss-nano/`)}`;
  const before = browser.proxy.requests.length;
  const linked = await browser.open(query);
  await linked.page.waitForSelector('#model-panel[open]');
  await linked.textLike('.load-strip', /Downloading|Moving|Preparing/);
  expect(await linked.text('#model-name')).toBe('gpt-oss-nano'); // the embedded one
  const asked = browser.proxy.requests.slice(before);
  expect(asked.filter((url) => url.startsWith(otherHost.url))).toEqual([]);
  await linked.close();
});

/** Whether the page, and a worker that it starts, may fetch an address. */
function mayFetch(page: DemoPage, address: string): Promise<{ page: boolean; worker: boolean }> {
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
  }, address);
}

test('the policy keeps page and workers from hosts other than the model’s', async () => {
  const elsewhere = `${otherHost.url}/gpt-oss-nano/config.json`;
  let page = await browser.open();
  await page.page.waitForSelector('.load-strip');
  expect(await mayFetch(page, elsewhere)).toEqual({ page: false, worker: false });
  expect(await mayFetch(page, `${browser.url}icon.svg`)).toEqual({ page: true, worker: true });
  await page.close();

  page = await browser.open(`?model=${encodeURIComponent(`${otherHost.url}/gpt-oss-nano/`)}`);
  await page.page.waitForSelector('.load-strip');
  const before = browser.proxy.requests.length;
  expect(await mayFetch(page, elsewhere)).toEqual({ page: true, worker: true });
  expect(await mayFetch(page, 'https://huggingface.co/robots.txt')).toEqual({
    page: false,
    worker: false,
  });
  expect(browser.proxy.requests.slice(before).join()).not.toContain('huggingface');
});
