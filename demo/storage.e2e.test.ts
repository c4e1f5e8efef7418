import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { visitDemo } from './test/demo-browser.ts';

// One visitor's story: each test finds the page with the model loaded, and leaves it so.
const visit = visitDemo();

const weightRequests = (): readonly string[] =>
  visit.browser.proxy.requests.filter((url) => url.endsWith('.safetensors'));

test('page, worker and service worker ask for the files of the page and of the model, and for nothing else', async () => {
  const { browser, demo } = visit;
  await demo.keptForOffline();
  expect(await demo.ask('Hi')).not.toBe('');
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
  const { demo } = visit;
  await demo.click('#model-button');
  await demo.page.waitForSelector('.stored li');
  expect(await demo.text('.stored li')).toMatch(/gpt-oss-nano\s+3\.\d+ MB[\s\S]*used just now/);
  expect(await demo.text('.storage')).toMatch(/uses [\d.]+ MB\. The browser reports a limit of/);

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
});

test('with the network cut, the page opens again, takes the weights from the store, and answers', async () => {
  const { browser, demo } = visit;
  await demo.keptForOffline();
  await browser.cutNetwork(demo);
  await demo.page.reload();
  await demo.ready();
  expect(await demo.ask('What is 17 + 25?')).toContain('42');
  expect(demo.complaints).toEqual([]);
});
