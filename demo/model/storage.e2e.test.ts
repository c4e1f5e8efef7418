import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { visitDemo } from '../test/demo-browser.ts';

// One visitor's story: each test continues from the one before.
const visit = visitDemo();

const weightRequests = (): readonly string[] =>
  visit.browser.proxy.requests.filter((url) => url.endsWith('.safetensors'));

test('page, worker and service worker request only the files of the page and its model', async () => {
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

test('the model panel lists a stored model with its size and last use', async () => {
  const { demo } = visit;
  await demo.openStored();
  expect(await demo.text('.stored li')).toMatch(/gpt-oss-nano\s+3\.\d+ MB[\s\S]*used just now/);
});

test('the model panel shows how much the site stores and how much the browser allows', async () => {
  expect(await visit.demo.text('.storage')).toMatch(
    /uses [\d.]+ MB\. The browser reports a limit of/,
  );
});

test('Cancel keeps a stored model', async () => {
  const { demo } = visit;
  await demo.click('[aria-label="Delete gpt-oss-nano"]');
  await demo.click('#confirm button[value=cancel]');
  expect(await demo.count('.stored li')).toBe(1);
});

test('a stored model is deleted once that is confirmed', async () => {
  const { demo } = visit;
  await demo.click('[aria-label="Delete gpt-oss-nano"]');
  await demo.click('#confirm button[value=yes]');
  await demo.page.waitForFunction(() => document.querySelector('.stored li') === null);
  expect(await demo.text('.storage')).toContain('Nothing yet');
});

test('a deleted model is downloaded again on the next visit', async () => {
  const { demo } = visit;
  const before = weightRequests().length;
  await demo.page.reload();
  await demo.ready();
  expect(weightRequests().length).toBeGreaterThan(before);
});

test('the page opens again and answers without a network', async () => {
  const { browser, demo } = visit;
  await demo.keptForOffline();
  await browser.cutNetwork(demo);
  await demo.page.reload();
  await demo.ready();
  expect(await demo.ask('What is 17 + 25?')).toContain('42');
  expect(demo.complaints).toEqual([]);
});
