import puppeteer, { type Browser } from 'puppeteer-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { chromeOptions } from '../scripts/browser.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await puppeteer.launch(await chromeOptions());
});
afterAll(() => browser.close());

/** Opens headless.html and waits until it is done or has failed. */
async function answerOf(query: string): Promise<Record<string, string>> {
  const page = await browser.newPage();
  await page.goto(`${inject('demoUrl')}/headless.html${query}`);
  await page.waitForSelector('body[data-state="done"], body[data-state="failed"]', {
    timeout: 240_000,
  });
  const shown = await page.evaluate(() =>
    Object.fromEntries([
      ['state', document.body.dataset.state ?? ''],
      ...['status', 'reasoning', 'answer'].map((id) => [
        id,
        document.getElementById(id)?.textContent ?? '',
      ]),
    ]),
  );
  await page.close();
  return shown;
}

test('the page of npm start answers a question with reasoning', async () => {
  const shown = await answerOf(`?${new URLSearchParams({ question: 'What is 17 + 25?' })}`);
  expect(shown).toMatchObject({ state: 'done', status: 'finished: stop' });
  expect(shown.answer).toContain('42');
  expect(shown.reasoning).not.toBe('');
});

test('the page of npm start asks for a question if its URL has none', async () => {
  const shown = await answerOf('');
  expect(shown.state).toBe('failed');
  expect(shown.status).toContain('question=');
});
