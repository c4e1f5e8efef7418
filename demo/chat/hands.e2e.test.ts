import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { visitDemo } from '../test/demo-browser.ts';

const visit = visitDemo();
beforeEach(() => visit.demo.startOver());

/** Presses keys together. */
async function press(...keys: readonly Parameters<typeof visit.demo.page.keyboard.press>[0][]) {
  const { keyboard } = visit.demo.page;
  for (const key of keys) await keyboard.down(key);
  for (const key of keys.toReversed()) await keyboard.up(key);
}

/** Waits until so many answers are finished. */
const answers = async (count: number): Promise<void> => {
  await visit.demo.page.waitForFunction(
    (wanted) => document.querySelectorAll('.reply[aria-busy=false]').length === wanted,
    {},
    count,
  );
};

test('a question that is asked during an answer waits for it, then is asked', async () => {
  const { demo } = visit;
  await demo.send('Show the times table of 7.');
  await demo.send('What is 17 + 25?');
  expect(await demo.text('#queue')).toContain('What is 17 + 25?');
  expect(await demo.count('.turn')).toBe(1);
  await answers(2);
  expect(await demo.text('.turn:last-child .markdown')).toContain('42');
  expect(await demo.count('#queue li')).toBe(0);
});

test('stopping the answer gives the waiting questions back to the message field', async () => {
  const { demo } = visit;
  await demo.send('Show the times table of 7.');
  await demo.send('Add 10 more.');
  await demo.page.keyboard.press('Escape');
  await answers(1);
  expect(await demo.page.$eval('#prompt', (field) => Reflect.get(field, 'value'))).toBe(
    'Add 10 more.',
  );
  await demo.page.locator('#prompt').fill(' ');
});

test('a stopped answer can be continued', async () => {
  const { demo } = visit;
  await demo.send('Show the times table of 7.');
  await demo.page.waitForFunction(() =>
    document.querySelector('.markdown')?.textContent?.includes('7 x 2'),
  );
  await demo.page.keyboard.press('Escape');
  await answers(1);
  await demo.click('.reply [aria-label="Continue"]');
  await answers(2);
  expect(await demo.text('.turn:last-child .bubble')).toBe('Continue exactly where you stopped.');
});

test('a tool runs once the user allows it', async () => {
  const { demo } = visit;
  await demo.page.evaluate(() => document.querySelector<HTMLElement>('#ask-tools')?.click());
  await demo.click('.suggestions li:last-child button');
  await demo.page.waitForSelector('.tool-question');
  expect(await demo.text('.tool-card')).toMatch(/{"city":"Paris"}\s+Run get_time\?/);
  await demo.click('.tool-question .primary');
  expect(await demo.answer()).toBe('It is 06:30 in Paris.');
});

test('a tool that the user refuses does not run, and the model is told', async () => {
  const { demo } = visit;
  await demo.page.evaluate(() => document.querySelector<HTMLElement>('#ask-tools')?.click());
  await demo.click('.suggestions li:last-child button');
  await demo.click('.tool-question .button:not(.primary)');
  await demo.page.waitForSelector('.tool-card[data-state=failed]');
  expect(await demo.text('.tool-card')).toContain('The user refused this call.');
  await demo.page.keyboard.press('Escape');
  await answers(1);
});

test('an attached file shows its tokens and is sent with the question', async () => {
  const { demo } = visit;
  const folder = await mkdtemp(join(tmpdir(), 'ossicle-files-'));
  const [text, binary] = [join(folder, 'notes.txt'), join(folder, 'image.bin')];
  await writeFile(text, 'hello world\n');
  await writeFile(binary, Buffer.from([0xff, 0xfe, 0x00]));
  const [chooser] = await Promise.all([demo.page.waitForFileChooser(), demo.click('#attach')]);
  await chooser.accept([text, binary]);
  expect(await demo.textLike('#attachments', /\d+ tokens/)).toContain('notes.txt');
  expect(await demo.text('#attachments')).toContain('image.bin is not a text file.');
  await demo.send('What is in it?');
  await demo.page.keyboard.press('Escape');
  await answers(1);
  expect(await demo.text('.prompt .file-chip')).toBe('notes.txt');
  expect(await demo.count('#attachments li')).toBe(0);
  await rm(folder, { recursive: true });
});

test('tools for one question are off for the next', async () => {
  const { demo } = visit;
  await demo.click('#question-tools');
  expect(await demo.ask('What time is it in Paris?')).toBe('It is 06:30 in Paris.');
  expect(await demo.count('#question-tools[aria-pressed=true]')).toBe(0);
});

test('the keyboard edits the last question, searches, starts a chat and lists its shortcuts', async () => {
  const { demo } = visit;
  await demo.ask('What is 17 + 25?');
  await press('ArrowUp');
  await demo.page.waitForSelector('.prompt-editor textarea:focus');
  await press('Escape');
  await press('Control', 'k');
  await demo.page.waitForSelector('#chat-search:focus');
  await press('Control', 'Shift', 'O');
  await demo.page.waitForSelector('#prompt:focus');
  expect(await demo.count('.turn')).toBe(0);
  await press('Control', '/');
  expect(await demo.text('#shortcuts')).toContain('Ctrl');
  await press('Escape');
  expect(await demo.count('dialog[open]')).toBe(0);
});

test('the page changes its language, and keeps the chat', async () => {
  const { demo } = visit;
  await demo.ask('What is 17 + 25?');
  await demo.page.select('#language', 'ja');
  await demo.page.waitForSelector('html[lang=ja]');
  await demo.textLike('.markdown', /42/);
  expect(await demo.text('#new-chat')).toBe('新しいチャット');
  await demo.page.select('#language', 'en');
  await demo.page.waitForSelector('html[lang=en]');
  await demo.ready();
});

test('the page logs no errors or warnings', () => {
  expect(visit.demo.complaints).toEqual([]);
});
