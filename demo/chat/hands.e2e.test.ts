import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { slowTest } from '../../packages/core/test/slow.ts';
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

/** The text in the message field. */
const draft = (): Promise<string> =>
  visit.demo.page.$eval('#prompt', (field) => String(Reflect.get(field, 'value')));

/** Attaches a text file as if it were pasted. */
async function attach(name: string, text: string): Promise<void> {
  await visit.demo.page.evaluate(
    (fileName, content) => {
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File([content], fileName));
      const event = new ClipboardEvent('paste', { clipboardData, bubbles: true });
      document.querySelector('#prompt')?.dispatchEvent(event);
    },
    name,
    text,
  );
}

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
  expect(await draft()).toBe('Add 10 more.');
  await demo.page.locator('#prompt').fill(' ');
});

/** Asks for the times table, and stops once its second line is there. */
async function stopMidway(): Promise<void> {
  const { demo } = visit;
  await demo.send('Show the times table of 7.');
  await demo.page.waitForFunction(() =>
    document.querySelector('.markdown')?.textContent?.includes('7 x 2'),
  );
  await demo.page.keyboard.press('Escape');
  await answers(1);
}

/** Clicks Continue, and waits for the whole times table in the same answer. */
async function expectWholeTable(): Promise<void> {
  const { demo } = visit;
  const shown = await demo.page.$eval('.reply', (reply) => {
    const button = reply.querySelector<HTMLElement>('[aria-label="Continue"]');
    button?.click();
    button?.click();
    const [pending, foot] = ['.pending', '.message-foot'].map((part) => reply.querySelector(part));
    return [pending?.textContent, foot?.textContent];
  });
  expect(shown).toEqual(['Reading', '']);
  await demo.textLike('.markdown', /7 x 10 = 70/);
  await demo.answer();
  expect(await demo.text('.markdown')).toMatch(/^7 x 1 = 7\n7 x 2 = 14\n[\s\S]*7 x 10 = 70$/);
  expect(await demo.count('.turn')).toBe(1);
}

test('a stopped answer goes on where it stopped', async () => {
  await stopMidway();
  await expectWholeTable();
});

slowTest(
  'a stopped answer goes on after a reload, from the session that is kept on the disk',
  async () => {
    const { demo } = visit;
    await stopMidway();
    await demo.page.select('#language', 'de'); // the page saves before it reloads itself
    await demo.page.waitForSelector('html[lang=de]');
    await demo.page.evaluate(() => {
      localStorage.removeItem('ossicle.language /');
    });
    await demo.page.reload();
    await demo.ready();
    await expectWholeTable();
    await demo.click('#settings-button');
    await demo.textLike('#kept', /: [1-9][\d.]* [kM]B on this disk/);
    await demo.page.keyboard.press('Escape');
  },
);

slowTest(
  'an answer in progress, what waits for it and the files of a draft stay over a reload',
  async () => {
    const { demo } = visit;
    await demo.send('Show the times table of 7.');
    await demo.page.waitForSelector('.reasoning-text');
    await demo.send('Add 10 more.');
    await attach('notes.txt', 'hello world\n');
    await demo.textLike('#attachments', /notes\.txt/);
    const reasoning = await demo.text('.reasoning-text');
    await demo.page.reload();
    await demo.textLike('.facts', /Unfinished/);
    expect(
      (await demo.page.$eval('.reasoning-text', ({ textContent }) => textContent)).trim(),
    ).toContain(reasoning.trim());
    expect(await draft()).toBe('Add 10 more.');
    await demo.textLike('#attachments', /notes\.txt/);
    await demo.ready();
  },
);

test('what waits for an answer stays in its chat when another is opened', async () => {
  const { demo } = visit;
  await demo.send('Show the times table of 7.');
  await demo.send('Add 10 more.');
  await demo.click('#new-chat');
  expect([await draft(), await demo.count('#queue li')]).toEqual(['', 0]);
  await demo.click('.chat-open');
  expect(await draft()).toBe('Add 10 more.');
  await demo.page.locator('#prompt').fill(' ');
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

test('the question whether a tool may run stays in view when the message field grows', async () => {
  const { demo } = visit;
  const before = demo.page.viewport();
  await demo.page.setViewport({ width: 320, height: 560 });
  await demo.page.evaluate(() => document.querySelector<HTMLElement>('#ask-tools')?.click());
  await demo.click('.suggestions li:last-child button');
  await demo.page.waitForSelector('.tool-question');
  await demo.send('Add 10 more.');
  for (const name of ['a.txt', 'b.txt', 'c.txt']) await attach(name, 'hello');
  await demo.textLike('#attachments', /c\.txt/);
  await demo.page.waitForFunction(() => {
    const [question, main] = ['.tool-question', 'main'].map((selector) =>
      document.querySelector(selector)?.getBoundingClientRect(),
    );
    return question && main && question.bottom <= main.bottom;
  });
  expect(await demo.count('#jump:not([hidden])')).toBe(0);
  await demo.page.keyboard.press('Escape');
  await answers(1);
  await demo.page.setViewport(before);
  for (const name of ['a.txt', 'b.txt', 'c.txt']) await demo.click(`[aria-label="Remove ${name}"]`);
  await demo.page.waitForSelector('#prompt:focus');
  await demo.page.locator('#prompt').fill(' ');
});

test('a tool that the user refuses does not run, and the model is told', async () => {
  const { demo } = visit;
  await demo.page.evaluate(() => document.querySelector<HTMLElement>('#ask-tools')?.click());
  await demo.click('.suggestions li:last-child button');
  await demo.click('.tool-question .button:not(.primary)');
  await demo.page.waitForSelector('.tool-card[data-state=failed]');
  expect(await demo.text('.tool-card')).toContain('You refused this call.');
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

test('a long text that is pasted becomes a file, and one that is too long for any model is refused', async () => {
  const { demo } = visit;
  const paste = (length: number): Promise<void> =>
    demo.page.evaluate((count) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData('text/plain', 'word '.repeat(count / 5));
      const event = new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true });
      document.querySelector('#prompt')?.dispatchEvent(event);
    }, length);
  await paste(30_000);
  expect(await demo.textLike('#attachments', /[\d,]+ tokens/)).toContain('Pasted text.txt');
  await paste(5_000_000);
  await demo.textLike('#attachments', /Pasted text.txt is larger than 2.00 MB/);
  expect(await draft()).toBe('');
  await demo.click('[aria-label="Remove Pasted text.txt"]');
});

test('a text that is pasted with a picture of it is left to the browser', async () => {
  const isTaken = await visit.demo.page.evaluate(() => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', 'Apples\t3');
    clipboardData.items.add(new File(['cells'], 'image.png', { type: 'image/png' }));
    const event = new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true });
    return document.querySelector('#prompt')?.dispatchEvent(event) === false;
  });
  expect(isTaken).toBe(false);
  expect(await visit.demo.text('#attachments')).not.toContain('image.png');
});

test('what is typed while nothing has the focus goes to the message field', async () => {
  const { demo } = visit;
  await demo.page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await demo.page.keyboard.type('Hi');
  expect(await draft()).toBe('Hi');
  await demo.page.locator('#prompt').fill(' ');
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

slowTest('the page changes its language, and keeps the chat', async () => {
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
