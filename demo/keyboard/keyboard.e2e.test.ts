import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { visitDemo } from '../test/demo-browser.ts';

// With a screen reader and the keyboard alone: each test continues from the one before.
const visit = visitDemo();

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
  expect(await visit.demo.page.evaluate(() => document.activeElement?.textContent)).toBe('Cancel');
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

test('Enter goes on with an answer that was stopped in its reasoning', async () => {
  const { demo } = visit;
  await enter('.turn:last-child [aria-label="Continue"]');
  expect(await demo.answer()).toContain('42');
  expect(await demo.count('.turn')).toBe(1);
});

test('a chat is branched, named, exported and deleted', async () => {
  const { demo } = visit;
  const { keyboard } = demo.page;
  await enter('.reply [aria-label="Continue in a new chat from here"]');
  await demo.page.waitForFunction(() => document.querySelectorAll('.chat-open').length === 2);
  await enter('.chat-list [data-action="more"]');
  await enter('.chat-menu [data-action="rename"]');
  await keyboard.type('Sums');
  await keyboard.press('Enter');
  expect(await demo.text('.chat-list li:first-child .chat-open')).toBe('Sums');
  await demo.page.evaluate(() => {
    const { createObjectURL } = URL;
    const { click } = HTMLAnchorElement.prototype;
    URL.createObjectURL = (saved) => {
      Object.assign(globalThis, { saved });
      URL.createObjectURL = createObjectURL;
      return 'blob:none';
    };
    HTMLAnchorElement.prototype.click = () => {
      HTMLAnchorElement.prototype.click = click;
    };
  });
  await enter('.chat-list [data-action="more"]');
  await enter('.chat-menu [data-action="Export as Markdown"]');
  expect(await demo.page.evaluate(() => (Reflect.get(globalThis, 'saved') as Blob).text())).toMatch(
    /^# Sums\n/,
  );
  await enter('.chat-menu [data-action="delete"]');
  await enter('#confirm .danger');
  await demo.page.waitForFunction(() => document.querySelectorAll('.chat-open').length === 1);
});

test('the settings are changed, and closed by their button', async () => {
  const { demo } = visit;
  const { keyboard } = demo.page;
  await enter('#settings-button');
  await tabTo('#temperature');
  await keyboard.press('ArrowRight');
  expect(await demo.text('#temperature-value')).toBe('0.1');
  await keyboard.press('ArrowLeft');
  await tabTo('#ask-tools');
  await keyboard.press('Space');
  expect(await demo.count('#ask-tools:checked')).toBe(1);
  await enter('#settings .panel-head button');
  expect(await demo.count('#settings:popover-open')).toBe(0);
  expect(await focused()).toBe('settings-button');
});

test('a question gets tools, one that waits is taken back, and the call is allowed', async () => {
  const { demo } = visit;
  const { keyboard } = demo.page;
  await enter('#new-chat');
  await tabTo('#question-tools');
  await keyboard.press('Space');
  await tabTo('#prompt');
  await keyboard.type('What time is it in Paris?');
  await keyboard.press('Enter');
  await demo.page.waitForSelector('.tool-question');
  await keyboard.type('Add 10 more.');
  await keyboard.press('Enter');
  await enter('#queue button');
  expect(await demo.count('#queue li')).toBe(0);
  await enter('.tool-question .primary');
  expect(await demo.answer()).toBe('It is 06:30 in Paris.');
});

test('a file is attached and removed', async () => {
  const { demo } = visit;
  const folder = await mkdtemp(join(tmpdir(), 'ossicle-attached-'));
  await writeFile(join(folder, 'notes.txt'), 'hello world\n');
  const [chooser] = await Promise.all([demo.page.waitForFileChooser(), enter('#attach')]);
  await chooser.accept([join(folder, 'notes.txt')]);
  await demo.textLike('#attachments', /notes\.txt\s+\d+ tokens/);
  await enter('#attachments button');
  expect(await demo.count('#attachments li')).toBe(0);
  await demo.page.waitForSelector('#prompt:focus');
  await rm(folder, { recursive: true });
});

test('the requests and, on a phone, the chats open and close, and give the focus back', async () => {
  const { demo } = visit;
  await enter('#requests-button');
  expect(await demo.count('#requests[open]')).toBe(1);
  await enter('#requests .panel-head button');
  expect(await focused()).toBe('requests-button');
  const before = demo.page.viewport();
  await demo.page.setViewport({ width: 390, height: 760 });
  await enter('#chats-button');
  expect(await demo.count('#chats:popover-open')).toBe(1);
  await enter('#chats .panel-head button');
  expect(await demo.count('#chats:popover-open')).toBe(0);
  expect(await focused()).toBe('chats-button');
  await demo.page.setViewport(before);
});

test('a model is chosen', async () => {
  const { demo } = visit;
  await enter('#model-button');
  await enter('.choices button');
  await demo.page.waitForSelector('[data-status=loading]');
  await demo.ready();
});

test('a policy is written, a language is chosen, and the policy stays', async () => {
  const { demo } = visit;
  const { keyboard } = demo.page;
  await enter('#model-button');
  await enter('#check-policy');
  await tabTo('#policy-text');
  await keyboard.type('- fun: No fun.');
  await keyboard.press('Escape');
  await enter('#settings-button');
  await tabTo('#language');
  await keyboard.press('ArrowDown');
  await demo.page.waitForSelector('html[lang=de]');
  expect(await demo.page.$eval('#policy-text', (field) => Reflect.get(field, 'value'))).toContain(
    'No fun.',
  );
});

test('the page logs no errors or warnings', () => {
  expect(visit.demo.complaints).toEqual([]);
});
