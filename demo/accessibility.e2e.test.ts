import axe from 'axe-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { slowTest } from '../packages/core/test/slow.ts';
import { visitDemo } from './test/demo-browser.ts';

const visit = visitDemo();

/** What axe-core finds wrong with the page as it is now, in a color scheme. */
async function violations(scheme: 'light' | 'dark'): Promise<readonly string[]> {
  const { page } = visit.demo;
  await page.emulateMediaFeatures([
    { name: 'prefers-color-scheme', value: scheme },
    { name: 'prefers-reduced-motion', value: 'reduce' }, // no colors in transition
  ]);
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const result = await (globalThis as unknown as { axe: typeof axe }).axe.run(document, {
      resultTypes: ['violations'],
    });
    return result.violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, any }) => `${id}: ${html} ${any[0]?.message ?? ''}`),
    );
  });
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

/** Tabs to an element and presses Enter. */
async function enter(selector: string): Promise<void> {
  await tabTo(selector);
  await visit.demo.page.keyboard.press('Enter');
}

const focused = (): Promise<string> =>
  visit.demo.page.evaluate(() => document.activeElement?.id ?? '');

/** What a visitor opens in turn. */
const VIEWS: readonly (readonly [name: string, open: () => Promise<unknown>])[] = [
  ['the welcome', () => visit.demo.startOver()],
  ['an answer', () => visit.demo.ask('What is a mixture of experts?')],
  ['the settings', () => visit.demo.click('#settings-button')],
  ['a failed load and the model panel', openPanelAfterFailure],
  ['a tool call that waits for approval, and a queued question', askForApproval],
  ['the actions of a chat', openChatActions],
  ['the requests', () => visit.demo.click('#requests-button')],
  ['the shortcuts', () => openDialog('#shortcuts-button')],
  ['the policy checker and a diagnosis', openPolicy],
];

async function askForApproval(): Promise<void> {
  const { demo } = visit;
  await demo.startOver();
  await demo.page.evaluate(() => document.querySelector<HTMLElement>('#ask-tools')?.click());
  await demo.click('.suggestions li:last-child button');
  await demo.page.waitForSelector('.tool-question');
  await demo.send('Add 10 more.');
}

async function openChatActions(): Promise<void> {
  const { demo } = visit;
  await demo.startOver();
  await demo.page.setViewport({ width: 1000, height: 760 });
  await demo.click('.chat-list li .icon-button');
  await demo.page.waitForSelector('.chat-menu');
}

/** Closes what is open, then opens a dialog. */
async function openDialog(button: string): Promise<void> {
  await visit.demo.page.keyboard.press('Escape');
  await visit.demo.click(button);
}

async function openPolicy(): Promise<void> {
  const { demo } = visit;
  await openDialog('#model-button');
  await demo.click('#diagnose');
  await demo.page.waitForSelector('.report-view pre');
  await demo.click('#check-policy');
  await demo.page.type('#policy-content', 'Write to lima@soro.com.');
  await demo.page.keyboard.press('Tab');
  await demo.page.keyboard.press('Enter');
  expect(await demo.textLike('.verdict', /:/)).toMatch(/^Violation: email/);
}

async function openPanelAfterFailure(): Promise<void> {
  const { demo } = visit;
  await demo.page.keyboard.press('Escape');
  await demo.loadFrom('./missing/');
  await demo.page.waitForSelector('.failure');
  await demo.openStored();
  await demo.click('.hub-access summary');
  await demo.click('[aria-label="Verify gpt-oss-nano"]');
  await demo.page.waitForSelector('.task.is-good');
}

describe.each(VIEWS)('%s', (_name, open) => {
  beforeAll(async () => {
    await open();
  });

  test.each(['light', 'dark'] as const)('passes axe in %s', async (scheme) => {
    expect(await violations(scheme)).toEqual([]);
  });

  test('fits a width of 320 pixels', async () => {
    expect(await overflow()).toBe(0);
  });
});

/** What a visitor opens in the other languages: the texts differ, the model's work does not. */
const TRANSLATED: readonly (readonly [name: string, open: () => Promise<unknown>])[] = [
  ['the welcome', () => visit.demo.startOver()],
  ['the actions of a chat', openChatActions],
  ['an answer', () => visit.demo.click('.chat-list li:last-child .chat-open')],
  ['the settings', () => visit.demo.click('#settings-button')],
  ['the model panel', () => openDialog('#model-button')],
  ['the policy checker', () => visit.demo.click('#check-policy')],
  ['the requests', () => openDialog('#requests-button')],
  ['the shortcuts', () => openDialog('#shortcuts-button')],
];

async function speak(language: string): Promise<void> {
  const { demo } = visit;
  await demo.startOver();
  await demo.page.select('#language', language);
  await demo.page.waitForSelector(`html[lang=${language}]`);
  await demo.ready();
}

describe('in other languages', () => {
  afterAll(() => speak('en'));

  slowTest.each(['de', 'ja'])(
    'everything passes axe, light and dark, and fits a width of 320 pixels: %s',
    async (language) => {
      await speak(language);
      const found: string[] = [];
      for (const [name, open] of TRANSLATED) {
        await open();
        for (const scheme of ['light', 'dark'] as const)
          found.push(...(await violations(scheme)).map((violation) => `${name}: ${violation}`));
        const pixels = await overflow();
        if (pixels > 0) found.push(`${name}: ${pixels} pixels too wide`);
      }
      expect(found).toEqual([]);
    },
  );
});

test('with the colors of the user, what is chosen is outlined', async () => {
  const { demo } = visit;
  await demo.startOver();
  await demo.click('#question-tools');
  await demo.click('.chat-list li:last-child .chat-open');
  const session = await demo.page.createCDPSession();
  const features = [{ name: 'forced-colors', value: 'active' }];
  await session.send('Emulation.setEmulatedMedia', { features });
  const outlines = await demo.page.evaluate(() =>
    [
      '.effort input:checked + span',
      '#question-tools[aria-pressed=true]',
      '.chat-list li:has([aria-current])',
    ].map((selector) => {
      const found = document.querySelector(selector);
      return found && getComputedStyle(found).outlineStyle;
    }),
  );
  expect(outlines).toEqual(['solid', 'solid', 'solid']);
  expect(
    await demo.page.evaluate(
      () => getComputedStyle(document.querySelector('.bubble') ?? document.body).borderTopStyle,
    ),
  ).toBe('solid');
  await session.send('Emulation.setEmulatedMedia', { features: [] });
  await session.detach();
  await demo.click('#question-tools');
});

describe('with a screen reader and the keyboard alone', () => {
  let answer: string;
  beforeAll(async () => {
    const { demo } = visit;
    await demo.startOver();
    await demo.page.evaluate(() => {
      const heard: string[] = [];
      Object.assign(globalThis, { heard });
      const region = document.querySelector('#announcer');
      if (region)
        new MutationObserver(() => heard.push(region.textContent ?? '')).observe(region, {
          childList: true,
        });
    });
  });

  test('the skip link leads to the message field', async () => {
    await enter('.skip-link');
    expect(await focused()).toBe('prompt');
  });

  test('Enter sends a question and leaves the focus in the message field', async () => {
    const { demo } = visit;
    await demo.page.keyboard.type('What is 17 + 25?');
    await demo.page.keyboard.press('Enter');
    answer = await demo.answer();
    expect(answer).toContain('42');
    expect(await focused()).toBe('prompt');
  });

  test('the page announces that the model thinks, then the whole answer, but not every token', async () => {
    const { page } = visit.demo;
    const heard = await page.evaluate(() => (globalThis as unknown as { heard: string[] }).heard);
    expect(heard).toEqual(['Thinking', answer]);
    expect(
      await page.evaluate(() => document.querySelector('#conversation')?.getAttribute('aria-live')),
    ).toBe('off');
  });

  test('the arrow keys choose the reasoning effort', async () => {
    const { demo } = visit;
    await tabTo('[name=effort]:checked');
    await demo.page.keyboard.press('ArrowRight');
    expect(await demo.count('[value=high]:checked')).toBe(1);
  });

  test('Enter opens the settings and Escape closes them', async () => {
    const { demo } = visit;
    await enter('#settings-button');
    expect(await demo.count('#settings:popover-open')).toBe(1);
    await demo.page.keyboard.press('Escape');
    expect(await demo.count('#settings:popover-open')).toBe(0);
  });

  test('Enter opens the model panel and verifies a stored model', async () => {
    const { demo } = visit;
    await enter('#model-button');
    expect(await demo.count('#model-panel[open]')).toBe(1);
    await demo.page.waitForSelector('.stored li');
    await enter('[aria-label="Verify gpt-oss-nano"]');
    await demo.page.waitForSelector('.task.is-good');
  });

  test('the question before a model is deleted has the focus on Cancel', async () => {
    await enter('[aria-label="Delete gpt-oss-nano"]');
    expect(await visit.demo.page.evaluate(() => document.activeElement?.textContent)).toBe(
      'Cancel',
    );
  });

  test('Escape closes one dialog after the other and returns the focus to the model button', async () => {
    const { demo } = visit;
    await demo.page.keyboard.press('Escape');
    await demo.page.keyboard.press('Escape');
    expect(await demo.count('dialog[open]')).toBe(0);
    expect(await focused()).toBe('model-button');
  });

  test('Enter unfolds the reasoning', async () => {
    await enter('.reasoning summary');
    expect(await visit.demo.count('.reasoning[open]')).toBe(1);
  });

  test('Enter asks an edited message', async () => {
    const { demo } = visit;
    const { keyboard } = demo.page;
    await enter('[aria-label="Edit message"]');
    await keyboard.press('End');
    await keyboard.press('Backspace');
    await keyboard.type(' please?');
    await keyboard.press('Enter');
    expect(await demo.text('.bubble')).toBe('What is 17 + 25 please?');
  });

  test('Escape stops the answer', async () => {
    const { demo } = visit;
    await demo.page.waitForSelector('.reasoning-text');
    await demo.page.keyboard.press('Escape');
    await demo.answer();
    expect(await demo.text('.reply .facts')).toContain('Stopped');
  });
});
