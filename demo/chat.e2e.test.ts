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

/** Records the lengths of reasoning and answer whenever either changes. */
function recordGrowth(page: DemoPage): Promise<void> {
  return page.page.evaluate(() => {
    const lengths: [number, number][] = [];
    Object.assign(globalThis, { lengths });
    const length = (selector: string): number =>
      document.querySelector(`.turn:last-child ${selector}`)?.textContent?.length ?? 0;
    new MutationObserver(() => {
      const now: [number, number] = [length('.reasoning-text'), length('.markdown')];
      if (String(now) !== String(lengths.at(-1))) lengths.push(now);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
}

test('the embedded model loads at once and answers: the reasoning streams, then the answer', async () => {
  await recordGrowth(demo);
  expect(await demo.ask('What is 17 + 25?')).toContain('42');
  const lengths = await demo.page.evaluate(
    () => (globalThis as unknown as { lengths: [number, number][] }).lengths,
  );
  const thinking = lengths.filter(([, answer]) => answer === 0);
  const answering = lengths.filter(([, answer]) => answer > 0);
  expect(thinking.length).toBeGreaterThan(2);
  expect(answering.length).toBeGreaterThan(1);
  expect(new Set(answering.map(([reasoning]) => reasoning)).size).toBe(1);
  expect(await demo.text('.reasoning summary')).toMatch(/^Thought for [\d.]+ s$/);
  expect(await demo.count('.reasoning[open]')).toBe(0);
  expect(await demo.text('.reply .facts')).toMatch(
    /tokens · [\d.]+ tokens\/s · first token in [\d.]+ s/,
  );
  expect(demo.complaints).toEqual([]);
});

test('the status line tells the adapter, the GPU memory and the context used', async () => {
  expect(await demo.text('#status-line')).toMatch(/\w+.*\d MB on the GPU.*\b0 of 8,192 tokens/s);
  await demo.ask('Hi');
  expect(await demo.text('#status-line')).toMatch(/\b[1-9]\d* of 8,192 tokens/);
  await demo.click('#new-chat');
  expect(await demo.text('#status-line')).toContain('0 of 8,192 tokens');
});

test('an answer stops midway, keeps what it has, and the next question is answered', async () => {
  await demo.send('Show the times table of 7.');
  await demo.page.waitForFunction(() =>
    document.querySelector('.markdown')?.textContent?.includes('7 x 2'),
  );
  await demo.page.keyboard.press('Escape');
  const stopped = await demo.answer();
  expect(stopped).toContain('7 x 1 = 7');
  expect(stopped).not.toContain('7 x 10');
  expect(await demo.text('.reply .facts')).toContain('Stopped');
  expect(await demo.ask('What is 17 + 25?')).toContain('42');
  expect(await demo.count('.turn')).toBe(2);
});

test('an edited message is asked again in place of what followed it', async () => {
  await demo.ask('What is 17 + 25?');
  await demo.ask('Hi');
  await demo.click('.turn:first-child [aria-label="Edit message"]');
  await demo.page.locator('.prompt-editor textarea').fill('What is 30 + 11?');
  await demo.page.keyboard.press('Enter');
  expect(await demo.answer()).toContain('41');
  expect(await demo.count('.turn')).toBe(1);
  expect(await demo.text('.bubble')).toBe('What is 30 + 11?');
});

test('an answer is given again on request, the same at temperature 0', async () => {
  const first = await demo.ask('What is 17 + 25?');
  await demo.click('.reply [aria-label="Answer again"]');
  await demo.page.waitForSelector('.reply[aria-busy=true]');
  expect(await demo.answer()).toBe(first);
  expect(await demo.count('.turn')).toBe(1);
});

test('a follow-up question refers to the answer before it', async () => {
  await demo.ask('What is 17 + 25?');
  expect(await demo.ask('Add 10 more.')).toContain('52');
});

test('the model calls a tool of the page, sees its result and reports it', async () => {
  await demo.click('.suggestions li:last-child button');
  const answer = await demo.answer();
  expect(await demo.text('.tool-call')).toMatch(
    /get_time\s+Arguments\s+{"city":"Tokyo"}\s+Result\s+{"time":"14:30"}/,
  );
  expect(answer).toContain('14:30');
});

test('the reasoning effort reaches the model', async () => {
  const reasoningAt = async (effort: string): Promise<string> => {
    await demo.page.evaluate((value) => {
      document.querySelector<HTMLInputElement>(`input[value=${value}]`)?.click();
    }, effort);
    await demo.click('#new-chat');
    await demo.ask('What is 17 + 25?');
    return demo.page.evaluate(() => document.querySelector('.reasoning-text')?.textContent ?? '');
  };
  const low = await reasoningAt('low');
  expect((await reasoningAt('high')).length).toBeGreaterThan(low.length);
});

test('settings outlive a reload', async () => {
  await demo.click('#settings-button');
  await demo.page.locator('#instructions').fill('Answer in one sentence.');
  await demo.page.reload();
  await demo.ready();
  expect(
    await demo.page.evaluate(
      () => document.querySelector<HTMLTextAreaElement>('#instructions')?.value,
    ),
  ).toBe('Answer in one sentence.');
});
