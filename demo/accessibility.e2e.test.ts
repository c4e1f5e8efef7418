import axe from 'axe-core';
import { beforeEach, expect, test } from 'vitest';
import { visitDemo } from './test/demo-browser.ts';

const visit = visitDemo();
beforeEach(() => visit.demo.startOver());

/** What axe-core finds wrong with what is on the page now, in both colour schemes. */
async function violations(): Promise<readonly string[]> {
  const { page } = visit.demo;
  const found: string[] = [];
  await page.evaluate(axe.source);
  for (const scheme of ['light', 'dark']) {
    await page.emulateMediaFeatures([
      { name: 'prefers-color-scheme', value: scheme },
      { name: 'prefers-reduced-motion', value: 'reduce' }, // no colours on the way to others
    ]);
    found.push(
      ...(await page.evaluate(async (where) => {
        const result = await (globalThis as unknown as { axe: typeof axe }).axe.run(document, {
          resultTypes: ['violations'],
        });
        return result.violations.flatMap(({ id, nodes }) =>
          nodes.map(({ html, any }) => `${where}, ${id}: ${html} ${any[0]?.message ?? ''}`),
        );
      }, scheme)),
    );
  }
  return found;
}

/** By how many pixels anything is wider than a page of 320 pixels. */
async function overflow(): Promise<number> {
  const { page } = visit.demo;
  const before = page.viewport();
  await page.setViewport({ width: 320, height: 640 });
  const pixels = await page.evaluate(() =>
    Math.max(
      ...[document.documentElement, ...document.querySelectorAll('main, dialog[open]')].map(
        (box) => box.scrollWidth - box.clientWidth,
      ),
    ),
  );
  await page.setViewport(before);
  return pixels;
}

/** Presses Tab until the element has the focus. */
async function tabTo(selector: string): Promise<void> {
  const { page } = visit.demo;
  for (let presses = 0; presses < 60; presses++) {
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`60 presses of Tab do not reach ${selector}`);
}

const focused = (): Promise<string> =>
  visit.demo.page.evaluate(() => document.activeElement?.id ?? '');

test('axe finds nothing wrong, in light and in dark, and nothing is cut off at a width of 320 pixels', async () => {
  const { demo } = visit;
  const check = async (): Promise<void> => {
    expect(await violations()).toEqual([]);
    expect(await overflow()).toBe(0);
  };
  await check();
  await demo.ask('What is a mixture of experts?');
  await check();
  await demo.click('#settings-button');
  await check();
  await demo.page.keyboard.press('Escape');
  await demo.loadFrom('./missing/');
  await demo.page.waitForSelector('.failure');
  await demo.click('#model-button');
  await demo.page.waitForSelector('.stored li');
  await demo.click('.hub-access summary');
  await demo.click('[aria-label="Verify gpt-oss-nano"]');
  await demo.page.waitForSelector('.task.is-good');
  await check();
});

test('everything can be done with the keyboard, and screen readers hear states and the finished answer', async () => {
  const { demo } = visit;
  const { keyboard } = demo.page;
  await demo.page.evaluate(() => {
    const heard: string[] = [];
    Object.assign(globalThis, { heard });
    const region = document.querySelector('#announcer');
    if (region)
      new MutationObserver(() => heard.push(region.textContent ?? '')).observe(region, {
        childList: true,
      });
  });

  await tabTo('.skip-link');
  await keyboard.press('Enter');
  expect(await focused()).toBe('prompt');
  await keyboard.type('What is 17 + 25?');
  await keyboard.press('Enter');
  const answer = await demo.answer();
  expect(answer).toContain('42');
  expect(await focused()).toBe('prompt');
  const heard = await demo.page.evaluate(
    () => (globalThis as unknown as { heard: string[] }).heard,
  );
  expect(heard).toEqual(['Thinking', answer]); // and not every token
  expect(
    await demo.page.evaluate(() =>
      document.querySelector('#conversation')?.getAttribute('aria-live'),
    ),
  ).toBe('off');

  await tabTo('[name=effort]:checked');
  await keyboard.press('ArrowRight');
  expect(await demo.count('[value=high]:checked')).toBe(1);

  await tabTo('#settings-button');
  await keyboard.press('Enter');
  expect(await demo.count('#settings:popover-open')).toBe(1);
  await keyboard.press('Escape');
  expect(await demo.count('#settings:popover-open')).toBe(0);

  await tabTo('#model-button');
  await keyboard.press('Enter');
  expect(await demo.count('#model-panel[open]')).toBe(1);
  await demo.page.waitForSelector('.stored li');
  await tabTo('[aria-label="Verify gpt-oss-nano"]');
  await keyboard.press('Enter');
  await demo.page.waitForSelector('.task.is-good');
  await tabTo('[aria-label="Delete gpt-oss-nano"]');
  await keyboard.press('Enter');
  expect(await demo.page.evaluate(() => document.activeElement?.textContent)).toBe('Cancel');
  await keyboard.press('Escape');
  await keyboard.press('Escape');
  expect(await demo.count('dialog[open]')).toBe(0);
  expect(await focused()).toBe('model-button');

  await tabTo('.reasoning summary');
  await keyboard.press('Enter');
  expect(await demo.count('.reasoning[open]')).toBe(1);

  await tabTo('[aria-label="Edit message"]');
  await keyboard.press('Enter');
  await keyboard.press('End');
  await keyboard.press('Backspace');
  await keyboard.type(' please?');
  await keyboard.press('Enter');
  expect(await demo.text('.bubble')).toBe('What is 17 + 25 please?');
  await demo.page.waitForSelector('.reasoning-text');
  await keyboard.press('Escape');
  await demo.answer();
  expect(await demo.text('.reply .facts')).toContain('Stopped');
});
