import axe from 'axe-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { DemoBrowser, type DemoPage } from './test/demo-browser.ts';

let browser: DemoBrowser;
let demo: DemoPage;
beforeAll(async () => {
  browser = await DemoBrowser.start();
  demo = await browser.open();
  await demo.ready();
});
beforeEach(() => demo.startOver());
afterAll(() => browser.close());

/** What axe-core finds wrong with what is on the page now. */
async function violations(): Promise<readonly string[]> {
  await demo.page.evaluate(axe.source);
  return demo.page.evaluate(async () => {
    const found = await (globalThis as unknown as { axe: typeof axe }).axe.run(document, {
      resultTypes: ['violations'],
    });
    return found.violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, any }) => `${id}: ${html} ${any[0]?.message ?? ''}`),
    );
  });
}

/** Presses Tab until the element has the focus. */
async function tabTo(selector: string): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    if (await demo.page.evaluate((wanted) => document.activeElement?.matches(wanted), selector))
      return;
    await demo.page.keyboard.press('Tab');
  }
  throw new Error(`60 presses of Tab do not reach ${selector}`);
}

const focused = (): Promise<string> => demo.page.evaluate(() => document.activeElement?.id ?? '');

test.each(['light', 'dark'] as const)(
  'axe finds nothing wrong with the page in %s',
  async (scheme) => {
    await demo.page.emulateMediaFeatures([
      { name: 'prefers-color-scheme', value: scheme },
      { name: 'prefers-reduced-motion', value: 'reduce' }, // no colours on the way to others
    ]);
    expect(await violations()).toEqual([]);
    await demo.ask('What is 17 + 25?');
    expect(await violations()).toEqual([]);
    await demo.click('#settings-button');
    expect(await violations()).toEqual([]);
    await demo.page.keyboard.press('Escape');
    await demo.loadFrom('./missing/');
    await demo.page.waitForSelector('.failure');
    await demo.click('#model-button');
    await demo.page.waitForSelector('.stored');
    expect(await violations()).toEqual([]);
  },
);

test('everything can be done with the keyboard', async () => {
  const { keyboard } = demo.page;

  await tabTo('.skip-link');
  await keyboard.press('Enter');
  expect(await focused()).toBe('prompt');
  await keyboard.type('What is 17 + 25?');
  await keyboard.press('Enter');
  expect(await demo.answer()).toContain('42');
  expect(await focused()).toBe('prompt');

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
  await demo.page.waitForSelector('.stored');
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
  expect(await demo.answer()).toContain('42');
  expect(await demo.text('.bubble')).toBe('What is 17 + 25 please?');
});

test('screen readers hear states and the finished answer, not every token', async () => {
  await demo.page.evaluate(() => {
    const heard: string[] = [];
    Object.assign(globalThis, { heard });
    const region = document.querySelector('#announcer');
    if (region)
      new MutationObserver(() => heard.push(region.textContent ?? '')).observe(region, {
        childList: true,
      });
  });
  const answer = await demo.ask('What is 17 + 25?');
  const heard = await demo.page.evaluate(
    () => (globalThis as unknown as { heard: string[] }).heard,
  );
  expect(heard).toEqual(['Thinking', answer]);
  expect(
    await demo.page.evaluate(() =>
      document.querySelector('#conversation')?.getAttribute('aria-live'),
    ),
  ).toBe('off');
});

test('nothing is cut off at a width of 320 pixels', async () => {
  await demo.page.setViewport({ width: 320, height: 640 });
  const overflow = (): Promise<number> =>
    demo.page.evaluate(() =>
      Math.max(
        ...[document.documentElement, ...document.querySelectorAll('main, dialog[open]')].map(
          (box) => box.scrollWidth - box.clientWidth,
        ),
      ),
    );
  expect(await overflow()).toBe(0);
  await demo.ask('What is a mixture of experts?');
  expect(await overflow()).toBe(0);
  await demo.click('#model-button');
  await demo.page.waitForSelector('.stored');
  expect(await overflow()).toBe(0);
});
