import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { expect } from 'vitest';
import { slowTest } from '../../packages/core/test/slow.ts';
import { chromeOptions } from '../../scripts/browser.ts';
import { serveFolder } from '../../scripts/static-server.ts';
import { buildPage } from '../chrome-runtime.ts';

slowTest('a visitor measures the GPU, sees a plot, and copies the result', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ossicle-bench-page-'));
  await buildPage(process.cwd(), folder, 'index.html');
  const server = await serveFolder(folder);
  const browser = await puppeteer.launch(await chromeOptions());
  try {
    await browser.defaultBrowserContext().overridePermissions(server.url, ['clipboard-write']);
    const page = await browser.newPage();
    await page.goto(`${server.url}/index.html`);
    await page.evaluate(() => {
      navigator.clipboard.writeText = async (text) => {
        document.title = text;
      };
    });
    await page.select('#config', 'nano');
    await page.click('#start');
    await page.waitForSelector('#copy:enabled', { timeout: 240_000 });
    expect(await page.$eval('#plot', ({ innerHTML }) => innerHTML)).toContain('<svg');
    expect(await page.$eval('#tables', ({ textContent }) => textContent)).toContain('decode @128');
    await page.click('#copy');
    await page.waitForFunction(() => document.title.startsWith('{'));
    const report = JSON.parse(await page.title());
    expect(report).toMatchObject({ config: 'nano', isSoftware: true, layers: 4, skipped: [] });
    expect(report.adapter.features).toContain('timestamp-query');
    expect(report.commit).toMatch(/^[0-9a-f]{12}\+?$/);
  } finally {
    await browser.close();
    await server.close();
    await rm(folder, { recursive: true });
  }
});
