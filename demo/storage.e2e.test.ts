import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DemoBrowser, type DemoPage } from './test/demo-browser.ts';

// One visitor's story: each test finds the page with the model loaded, and leaves it so.
let browser: DemoBrowser;
let demo: DemoPage;
beforeAll(async () => {
  browser = await DemoBrowser.start();
  demo = await browser.open();
  await demo.ready();
});
afterAll(() => browser.close());

const weightRequests = (): readonly string[] =>
  browser.proxy.requests.filter((url) => url.endsWith('.safetensors'));

test('a second visit takes the weights from the store', async () => {
  const before = weightRequests().length;
  expect(before).toBeGreaterThan(0);
  await demo.page.reload();
  await demo.ready();
  expect(weightRequests()).toHaveLength(before);
});

test('page, worker and service worker ask for the files of the page and of the model, and for nothing else', async () => {
  await demo.keptForOffline();
  expect(await demo.ask('What is 17 + 25?')).toContain('42');
  const known = new Set(
    readdirSync('demo/dist', { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => `${parentPath}/${name}`.replace(/^demo\/dist\//, browser.url)),
  );
  known.add(browser.url);
  expect(weightRequests()).not.toEqual([]);
  expect(browser.proxy.requests.filter((url) => !known.has(url))).toEqual([]);
});

test('a stored model is listed with its size, is deleted on confirmation, and is fetched again after that', async () => {
  await demo.click('#model-button');
  await demo.page.waitForSelector('.stored li');
  expect(await demo.text('.stored li')).toMatch(/gpt-oss-nano[\s\S]*3\.\d+ MB/);

  await demo.click('[aria-label="Delete gpt-oss-nano"]');
  await demo.click('#confirm button[value=cancel]');
  expect(await demo.count('.stored li')).toBe(1);

  await demo.click('[aria-label="Delete gpt-oss-nano"]');
  await demo.click('#confirm button[value=yes]');
  await demo.page.waitForFunction(() => document.querySelector('.stored li') === null);
  expect(await demo.text('.storage')).toContain('Nothing yet');

  const before = weightRequests().length;
  await demo.page.reload();
  await demo.ready();
  expect(weightRequests().length).toBeGreaterThan(before);
  expect(await demo.ask('What is 17 + 25?')).toContain('42');
});

test('with the network cut, the page opens again and the stored model answers', async () => {
  await demo.keptForOffline();
  await browser.cutNetwork(demo);
  await demo.page.reload();
  await demo.ready();
  expect(await demo.ask('What is 17 + 25?')).toContain('42');
  expect(demo.complaints).toEqual([]);
});
