import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseConfig } from '../../packages/core/test/config.ts';
import { createGguf } from '../../packages/core/test/gguf-checkpoint.ts';
import { readSafetensors } from '../../packages/core/test/safetensors-file.ts';
import { DemoBrowser } from '../test/demo-browser.ts';
import type { DemoPage } from '../test/demo-page.ts';

const NANO = 'demo/public/models/gpt-oss-nano';

// One visitor's story: each test continues from the one before.
let folder: string;
let ggufPaths: readonly string[];
let browser: DemoBrowser;
let demo: DemoPage;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ossicle-gguf-'));
  ggufPaths = await writeGguf(folder);
  browser = await DemoBrowser.start();
  // The page waits for its service worker; what is dropped meanwhile must stay.
  browser.proxy.held = (url) => url.endsWith('/service-worker.js');
  demo = await browser.open();
});
afterAll(async () => {
  await browser.close();
  await rm(folder, { recursive: true });
});

/** Writes the embedded model as a GGUF file in two parts. */
async function writeGguf(target: string): Promise<readonly string[]> {
  const json = async (name: string) => JSON.parse(await readFile(`${NANO}/${name}`, 'utf8'));
  const shards = await Promise.all(
    [1, 2].map((part) => readFile(`${NANO}/model-0000${part}-of-00002.safetensors`)),
  );
  const files = createGguf(
    parseConfig(await json('config.json')),
    new Map(shards.flatMap((shard) => [...readSafetensors(new Uint8Array(shard))])),
    { tokenizer: await json('tokenizer.json'), parts: 2 },
  );
  return Promise.all(
    files.map(async (file) => {
      const path = join(target, file.name);
      await writeFile(path, Buffer.from(await file.arrayBuffer()));
      return path;
    }),
  );
}

/** Drags files or folders of this machine over the middle of the page and, if asked, drops them. */
async function drag(files: readonly string[], isDropped: boolean): Promise<void> {
  const session = await demo.page.createCDPSession();
  const data = { items: [], files: [...files], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', isDropped ? 'drop' : 'dragCancel'] as const)
    await session.send('Input.dispatchDragEvent', { type, x: 400, y: 300, data });
  await session.detach();
}

test('files that are dragged over the page show where to drop them', async () => {
  await drag(ggufPaths, false);
  await demo.page.waitForSelector('#drop-target:popover-open');
  await demo.page.waitForSelector('#drop-target:not(:popover-open)');
});

test('the dropped parts of a GGUF file are read in place and answer', async () => {
  const before = browser.proxy.requests.length;
  await drag(ggufPaths, true);
  await demo.page.waitForFunction(
    () => document.querySelector('#model-name')?.textContent === 'model',
  );
  await demo.ready();
  browser.proxy.held = undefined;
  expect(await demo.text('#model-name')).toBe('model');
  expect(await demo.ask('What is 17 + 25?')).toContain('42');
  expect(browser.proxy.requests.slice(before).filter((url) => url.includes('gguf'))).toEqual([]);
});

test('local files leave the URL of the page as it is', async () => {
  expect(await demo.page.evaluate(() => location.search)).toBe('');
});

test('a dropped folder is loaded', async () => {
  await drag([resolve(NANO)], true);
  await demo.page.waitForSelector('[data-status=loading]');
  expect(await demo.text('#model-name')).toBe('gpt-oss-nano');
  await demo.ready();
});

test('the model panel describes the model in use', async () => {
  await demo.click('#model-button');
  expect(await demo.text('.in-use')).toMatch(/In use: gpt-oss-nano[\s\S]*3\.0 million/);
  await demo.page.keyboard.press('Escape');
});

test('the GGUF button loads the files that the user picks', async () => {
  await demo.click('#model-button');
  const [chooser] = await Promise.all([demo.page.waitForFileChooser(), demo.click('#open-gguf')]);
  expect(chooser.isMultiple()).toBe(true);
  await chooser.accept([...ggufPaths]);
  await demo.page.waitForSelector('[data-status=loading]');
  expect(await demo.text('#model-name')).toBe('model');
  await demo.click('#cancel-load');
  await demo.ready();
});

test('a picked folder without a model is refused with a next step', async () => {
  await demo.pickFolderNext('holiday');
  await demo.click('#model-button');
  await demo.click('#open-folder');
  await demo.page.waitForSelector('.failure');
  expect(await demo.text('.failure')).toMatch(/config\.json/);
  expect(await demo.count('.failure [data-step=choose-model]')).toBe(1);
});

test('the model in use stays when a failed load is dismissed', async () => {
  await demo.click('.failure [aria-label=Dismiss]');
  await demo.ready();
});
