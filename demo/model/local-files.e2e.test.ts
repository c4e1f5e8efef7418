import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ElementHandle } from 'puppeteer-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseConfig } from '../../packages/core/test/config.ts';
import { createGguf } from '../../packages/core/test/gguf-checkpoint.ts';
import { readSafetensors } from '../../packages/core/test/safetensors-file.ts';
import { slowTest } from '../../packages/core/test/slow.ts';
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

slowTest('GGUF files that the system opens with the installed page are loaded', async () => {
  await demo.page.evaluateOnNewDocument(() => {
    const setConsumer = (consume: unknown): unknown => Object.assign(globalThis, { consume });
    Object.defineProperty(globalThis, 'launchQueue', { value: { setConsumer } });
  });
  await demo.page.reload();
  await demo.ready();
  await demo.page.evaluate(() => {
    const input = Object.assign(document.createElement('input'), { type: 'file', multiple: true });
    document.body.append(input);
    input.addEventListener('change', () => {
      const files = [...(input.files ?? [])].map((file) => ({ getFile: async () => file }));
      (globalThis as unknown as { consume(launch: unknown): void }).consume({ files });
    });
  });
  const input = await demo.page.waitForSelector('body > input[type=file]');
  await (input as ElementHandle<HTMLInputElement>).uploadFile(...ggufPaths);
  await demo.textLike('#model-name', /^model$/);
  await demo.ready();
});

slowTest(
  'the panel tells what other choices cost, and loads the model with them once asked',
  async () => {
    await demo.click('#model-button');
    const [, other] = await demo.page.$$eval('#dense option', (options) =>
      options.map(({ textContent }) => textContent),
    );
    const [, told] = /16\sbits: ([\d.]+\sMB), \d+% slower/.exec(other ?? '') ?? [];
    await demo.page.select('#dense', 'bf16');
    expect(await demo.count('[data-status=ready]')).toBe(1);
    await demo.click('#apply-load-settings:enabled');
    await demo.page.waitForSelector('[data-status=loading]');
    await demo.ready();
    await demo.click('#model-button');
    expect(await demo.text('.in-use')).toContain('model');
    expect(await demo.count('#apply-load-settings:disabled')).toBe(1);
    expect(Number.parseFloat(await memory()) / Number.parseFloat(told ?? '')).toBeCloseTo(1, 1);
    await demo.click('#measure');
    expect(await demo.textLike('.report-view pre', /Writes/)).toMatch(
      /Reads [\d,]+ tokens at [\d.,]+ tokens\/s\nWrites \d+ tokens at/,
    );
  },
);

const memory = (): Promise<string> =>
  demo.page.$eval('.in-use dl div:nth-child(3) dd', ({ textContent }) => textContent ?? '');
