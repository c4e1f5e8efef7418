import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { slowTest } from '../packages/core/test/slow.ts';
import { axeViolations, SCHEMES } from './test/axe-violations.ts';
import { visitDemo } from './test/demo-browser.ts';

const visit = visitDemo();

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
  ['formulas, code, a table, calls and a citation', openRichAnswer],
  ['an edited question, a text file and one that is none', editQuestion],
  ['the new name of a chat', renameChat],
  ['the question before a chat is deleted', openDeletion],
];

const FENCE = '```';
/** An answer with all that a model may write. */
const RICH = `An **attention sink** joins the *softmax*:
\\[ p_i = \\frac{e^{s_i}}{e^{\\sigma} + \\sum_j e^{s_j}} \\]
It is one number per head, \\( \\sigma \\).【3†L4-L9】

| part | shape |
|---|--:|
| scores | heads × tokens |

${FENCE}python
def attend(scores, sink):  # the sink has no value
    return [exp(s - max(scores)) for s in scores]
${FENCE}

| one | more |
|---|---|
| table | here |

> النص العربي يُكتب من اليمين إلى اليسار.
`;
const PAGES = JSON.stringify(
  '[3] Sinks (https://example.com/sinks)\n**viewing lines [0 - 9] of 9**\n\nL0: …',
);

async function openRichAnswer(): Promise<void> {
  const { demo } = visit;
  await demo.startOver();
  const call = { kind: 'tool', id: '1', name: 'browser.open', input: '{"id":3}' };
  const parts = [
    { kind: 'reasoning', text: 'The user asks about sinks.', ms: 4200 },
    { ...call, state: 'done', output: PAGES },
    { kind: 'reasoning', text: 'Another page, then.', ms: 900 },
    { ...call, id: '2', state: 'failed', output: 'No such page.' },
    { kind: 'text', text: RICH },
  ];
  const outcome = { reason: 'length', tokens: 412, tokensPerSecond: 61, firstTokenMs: 310 };
  const turn = { id: 'a', parent: null, askedAt: 1, prompt: 'Sinks?', files: [], usesTools: false };
  const turns = [{ ...turn, reply: [], parts, outcome }];
  const chat = { title: 'Rich', instructions: '', createdAt: 1, changedAt: 1, turns, leaf: 'a' };
  await demo.dropChats(chat);
  for (const part of [
    '.math math',
    '.hljs-keyword',
    '.markdown a',
    '.tool-card[data-state=failed]',
  ])
    await demo.page.waitForSelector(part);
  await demo.page.$$eval('.reasoning summary', (panes) => {
    for (const pane of panes) pane.click();
  });
}

async function editQuestion(): Promise<void> {
  const { demo } = visit;
  await demo.page.evaluate(() => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File(['hello'], 'notes.txt'));
    clipboardData.items.add(new File([new Uint8Array([255, 254, 0])], 'image.bin'));
    const event = new ClipboardEvent('paste', { clipboardData, bubbles: true });
    document.querySelector('#prompt')?.dispatchEvent(event);
  });
  await demo.textLike('#attachments', /image\.bin/);
  await demo.click('[aria-label="Edit message"]');
}

async function renameChat(): Promise<void> {
  await openChatActions();
  await visit.demo.click('.chat-menu [data-action="rename"]');
}

async function openDeletion(): Promise<void> {
  await visit.demo.page.keyboard.press('Escape');
  await openChatActions();
  await visit.demo.click('.chat-menu [data-action="delete"]');
}

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
  if ((await demo.count('.chat-menu')) === 0) await demo.click('.chat-list li .icon-button');
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

  test.each(SCHEMES)('passes axe in %s', async (scheme) => {
    expect(await axeViolations(visit.demo.page, scheme)).toEqual([]);
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
        const violations = await axeViolations(visit.demo.page);
        found.push(...violations.map((violation) => `${name}: ${violation}`));
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
