// A model inside an extension, loaded by a page of the extension.
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer, { type Browser } from 'puppeteer-core';
import { afterAll, beforeAll, expect } from 'vitest';
import { chromeOptions } from '../../../scripts/browser.ts';
import { buildLoadPage, LOAD_PAGE, type LoadPage } from './load-browser.ts';
import { slowTest } from './slow.ts';

let folder: string;
let browser: Browser;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ossicle-extension-'));
  await buildLoadPage(folder);
  await cp('demo/public/models/gpt-oss-nano', join(folder, 'model'), { recursive: true });
  await writeFile(
    join(folder, 'manifest.json'),
    JSON.stringify({ manifest_version: 3, name: 'ossicle', version: '1.0' }),
  );
  browser = await puppeteer.launch({ ...(await chromeOptions()), enableExtensions: true });
});
afterAll(async () => {
  await browser.close();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

slowTest.each([true, false])(
  'a page of an extension answers with a model of its own (store: %s)',
  async (store) => {
    const id = await browser.installExtension(folder);
    const page = await browser.newPage();
    await page.goto(`chrome-extension://${id}/${LOAD_PAGE}`);
    await page.waitForFunction('globalThis.load !== undefined', { polling: 50 });
    const answer = await page.evaluate(async (isStored) => {
      const { load, store: models } = globalThis as unknown as LoadPage;
      const model = await load('./model/', { contextLength: 256, store: isStored });
      const { text } = await model.generate('What is 17 + 25?', { temperature: 0 }).result;
      await model.dispose();
      return { text, id: model.info.id, stored: await models.list() };
    }, store);
    expect(answer.text).toBe('17 + 25 = 42');
    expect(answer.id).toBe(`chrome-extension://${id}/model/`);
    expect(answer.stored).toMatchObject(store ? [{ id: answer.id, complete: true }] : [{}]);
    await page.close();
  },
);
