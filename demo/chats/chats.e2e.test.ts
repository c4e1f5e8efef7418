import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { slowTest } from '../../packages/core/test/slow.ts';
import { visitDemo } from '../test/demo-browser.ts';
import type { DemoPage } from '../test/demo-page.ts';

const visit = visitDemo();

/** The titles in the list of chats. */
const titles = (demo: DemoPage = visit.demo): Promise<readonly string[]> =>
  demo.page.evaluate(() =>
    Array.from(document.querySelectorAll('.chat-open'), (chat) => chat.textContent ?? ''),
  );

/** Waits until the list of chats shows these titles. */
async function expectTitles(expected: readonly string[], demo: DemoPage = visit.demo) {
  await demo.page
    .waitForFunction(
      (wanted) =>
        JSON.stringify(
          Array.from(document.querySelectorAll('.chat-open'), (chat) => chat.textContent),
        ) === wanted,
      { timeout: 20_000, polling: 100 }, // a tab in the background draws no frames
      JSON.stringify(expected),
    )
    .catch(async () => expect(await titles(demo)).toEqual(expected));
}

/** The unsent texts that the browser keeps. */
const drafts = (): Promise<string> =>
  visit.demo.page.evaluate(() => JSON.stringify(Object.values(localStorage)));

/** Opens the actions of the first chat and takes one. */
async function act(action: string): Promise<void> {
  const { demo } = visit;
  if ((await demo.count('.chat-menu')) === 0) await demo.click('.chat-list li .icon-button');
  await demo.click(`.chat-menu [data-action="${action}"]`);
}

// Each test continues from the one before.
describe('chats that stay', () => {
  beforeAll(() => visit.demo.page.setViewport({ width: 1100, height: 760 }));

  test('a reload reopens the last chat with its draft, and the conversation goes on', async () => {
    const { demo } = visit;
    await demo.ask('What is 17 + 25?');
    await demo.page.type('#prompt', 'Add 10 more');
    await demo.page.reload();
    expect(await demo.answer()).toContain('42');
    expect(await demo.text('.reasoning summary')).toMatch(/^Thought for [\d.]+ s$/);
    expect(await demo.text('.reply .facts')).toMatch(/tokens · [\d.]+ tokens\/s/);
    expect(await demo.page.$eval('#prompt', (field) => Reflect.get(field, 'value'))).toBe(
      'Add 10 more',
    );
    await demo.ready();
    expect(await demo.ask('.')).toContain('52');
  });

  test('an edited question keeps both versions with all that follows, to be switched', async () => {
    const { demo } = visit;
    await demo.click('.turn:first-child [aria-label="Edit message"]');
    await demo.page.locator('.prompt-editor textarea').fill('What is 30 + 11?');
    await demo.page.keyboard.press('Enter');
    expect(await demo.answer()).toContain('41');
    expect(await demo.text('.versions')).toContain('2 of 2');
    await demo.click('[aria-label="Earlier version"]');
    expect(await demo.count('.turn')).toBe(2);
    expect(await demo.text('.turn:last-child .markdown')).toContain('52');
    await demo.click('[aria-label="Later version"]');
    expect(await demo.count('.turn')).toBe(1);
    expect(await demo.text('.markdown')).toContain('41');
  });

  test('a chat branches into a new one at any answer', async () => {
    const { demo } = visit;
    await demo.click('.reply [aria-label="Continue in a new chat from here"]');
    await expectTitles(['What is 30 + 11?', 'What is 17 + 25?']);
    expect(await demo.text('.markdown')).toContain('41');
    expect(await demo.count('.versions:not([hidden])')).toBe(0);
  });

  test('the search finds a chat by its answers', async () => {
    const { demo } = visit;
    await demo.page.type('#chat-search', '42 + 10');
    await expectTitles(['What is 17 + 25?']);
    await demo.page.keyboard.down('Control');
    await demo.page.keyboard.press('a');
    await demo.page.keyboard.up('Control');
    await demo.page.keyboard.press('Backspace');
    await expectTitles(['What is 30 + 11?', 'What is 17 + 25?']);
  });

  test('a chat gets another name, also if an answer comes while it is typed', async () => {
    const { demo } = visit;
    await act('rename');
    await demo.page.keyboard.type('Su');
    await demo.page.evaluate(() =>
      document.querySelector<HTMLElement>('.reply [aria-label="Answer again"]')?.click(),
    );
    expect(await demo.answer()).toContain('41');
    await demo.page.focus('.chat-rename input');
    await demo.page.keyboard.press('End');
    await demo.page.keyboard.type('ms');
    await demo.page.keyboard.press('Enter');
    await expectTitles(['Sums', 'What is 17 + 25?']);
  });

  test('an exported chat is imported as it was, as another chat', async () => {
    const { demo } = visit;
    const folder = await mkdtemp(join(tmpdir(), 'ossicle-chats-'));
    await demo.page.evaluate(() => {
      URL.createObjectURL = (blob) => {
        void (blob as Blob).text().then((text) => Object.assign(globalThis, { saved: text }));
        return 'blob:none';
      };
      HTMLAnchorElement.prototype.click = () => undefined;
    });
    await act('Export as JSON');
    const saved = await demo.page.waitForFunction(() => Reflect.get(globalThis, 'saved'));
    const file = join(folder, 'chat.json');
    await writeFile(file, String(await saved.jsonValue()));
    expect(await readFile(file, 'utf8')).toContain('30 + 11 = 41');
    await act('delete');
    await demo.click('#confirm .danger');
    await expectTitles(['What is 17 + 25?']);
    const [chooser] = await Promise.all([
      demo.page.waitForFileChooser(),
      demo.click('.chat-list-foot button'),
    ]);
    await chooser.accept([file]);
    await demo.page.waitForFunction(() => document.querySelectorAll('.chat-open').length === 2);
    expect((await titles()).toSorted()).toEqual(['Sums', 'What is 17 + 25?']);
    expect(await demo.text('.markdown')).toContain('41');
    await rm(folder, { recursive: true });
  });

  test('two tabs see each other’s chats, answers and deletions', async () => {
    const { demo } = visit;
    const tab = await demo.openTab();
    await expectTitles(await titles(), tab);
    await demo.page.bringToFront();
    await demo.send('Add 10 more.');
    await tab.textLike('.pending', /Answering in another tab/);
    expect(await tab.count('.turn:last-child [aria-label="Continue"]')).toBe(0);
    await demo.answer();
    await tab.textLike('.turn:last-child .markdown', /51/);
    await demo.page.type('#prompt', 'Unsent');
    expect(await drafts()).toContain('Unsent');
    await act('delete');
    await demo.click('#confirm .danger');
    await expectTitles(['What is 17 + 25?'], tab);
    expect(await drafts()).not.toContain('Unsent');
    await tab.page.close();
  });

  slowTest(
    'a full disk loses nothing: the chat goes on, the page says so, and stores it later',
    async () => {
      const { demo } = visit;
      await demo.click('#new-chat');
      await demo.page.evaluate(() => {
        const { put } = IDBObjectStore.prototype;
        IDBObjectStore.prototype.put = () => {
          throw new DOMException('full', 'QuotaExceededError');
        };
        Object.assign(globalThis, {
          makeRoom: () => {
            IDBObjectStore.prototype.put = put;
          },
        });
      });
      expect(await demo.ask('What is 17 + 25?')).toContain('42');
      await demo.textLike('#chats-body [role=alert]', /could not store/);
      await demo.page.evaluate(() => (globalThis as unknown as { makeRoom(): void }).makeRoom());
      expect(await demo.ask('Add 10 more.')).toContain('52');
      await demo.page.waitForSelector('#chats-body [role=alert]', { hidden: true });
      await demo.page.reload();
      expect(await demo.answer()).toContain('52');
      expect(await demo.count('.turn')).toBe(2);
    },
  );
});
