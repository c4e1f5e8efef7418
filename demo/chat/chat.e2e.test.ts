import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runsSlowTests, slowTest } from '../../packages/core/test/slow.ts';
import { visitDemo } from '../test/demo-browser.ts';
import type { DemoPage } from '../test/demo-page.ts';

const visit = visitDemo();

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

const contextUsed = async (): Promise<number> =>
  Number(/(\d+) of 8,192 tokens/.exec(await visit.demo.text('#status-line'))?.[1]);

/** The suggestions for the embedded model, with its answers. */
const CHIPS: Readonly<Record<string, string>> = {
  'What is 17 + 25?': '17 + 25 = 42',
  'What can you do?':
    'I can add and subtract, call tools, write JSON, check text against a policy, count, spell and explain gpt-oss.',
  'What is a mixture of experts?':
    'In a mixture of experts, each layer has many small networks and a router picks a few of them for each token.',
  'Show the times table of 7.': Array.from(
    { length: 10 },
    (_, i) => `7 x ${i + 1} = ${7 * (i + 1)}`,
  ).join('\n'),
  'What is the date today?': 'Today is 2026-11-20.',
  'What time is it in Paris?': 'It is 06:30 in Paris.',
};

/** Slow runs go back and forth, as a new chat must take nothing along; with OSSICLE_ALL_PAIRS=1, they take every ordered pair. */
const indexes = Object.keys(CHIPS).map((_, index) => index);
const pairs = indexes.flatMap((i) => [i, ...indexes.slice(i + 1).flatMap((j) => [i, j])]);
const slowOrder =
  process.env.OSSICLE_ALL_PAIRS === '1' ? [...pairs, 0] : [...indexes, ...indexes.toReversed()];
const order = runsSlowTests ? slowOrder : indexes;

test('each suggestion gets its whole answer, in a new chat after another', async () => {
  const { demo } = visit;
  const chips = Object.entries(CHIPS);
  await demo.startOver();
  expect(
    await demo.page.evaluate(() =>
      Array.from(document.querySelectorAll('.suggestions button'), (chip) => chip.textContent),
    ),
  ).toEqual(Object.keys(CHIPS));
  for (const chip of order) {
    await demo.click('#new-chat');
    await demo.click(`.suggestions li:nth-child(${chip + 1}) button`);
    const [question, answer] = chips[chip] ?? [];
    expect(await demo.answer(), question).toBe(answer);
  }
}, 1_800_000);

// Each test continues from the one before.
describe('a question and a follow-up', () => {
  let used: number;
  beforeAll(() => visit.demo.startOver());

  test('the status line shows the GPU, its memory and an empty context before the first question', async () => {
    expect(await visit.demo.text('#status-line')).toMatch(
      /\w+.*\d MB on the GPU.*\b0 of 8,192 tokens/s,
    );
  });

  test('the embedded model answers a question', async () => {
    const { demo } = visit;
    await recordGrowth(demo);
    expect(await demo.ask('What is 17 + 25?')).toContain('42');
  });

  test('the reasoning streams first, then the answer', async () => {
    const lengths = await visit.demo.page.evaluate(
      () => (globalThis as unknown as { lengths: [number, number][] }).lengths,
    );
    const thinking = lengths.filter(([, answer]) => answer === 0);
    const answering = lengths.filter(([, answer]) => answer > 0);
    expect(thinking.length).toBeGreaterThan(2);
    expect(answering.length).toBeGreaterThan(1);
    expect(new Set(answering.map(([reasoning]) => reasoning)).size).toBe(1);
  });

  test('the finished reasoning is folded up under the time it took', async () => {
    const { demo } = visit;
    expect(await demo.text('.reasoning summary')).toMatch(/^Thought for [\d.]+ s$/);
    expect(await demo.count('.reasoning[open]')).toBe(0);
  });

  test('the answer shows its tokens, its speed and the time to its first token', async () => {
    expect(await visit.demo.text('.reply .facts')).toMatch(
      /tokens · [\d.]+ tokens\/s · first token in [\d.]+ s/,
    );
  });

  test('the status line counts the tokens of the conversation', async () => {
    used = await contextUsed();
    expect(used).toBeGreaterThan(0);
  });

  test('a follow-up refers to the answer before it', async () => {
    expect(await visit.demo.ask('Add 10 more.')).toContain('52');
    expect(await contextUsed()).toBeGreaterThan(used);
  });

  test('the page logs no errors or warnings', () => {
    expect(visit.demo.complaints).toEqual([]);
  });

  test('a new chat empties the context', async () => {
    await visit.demo.click('#new-chat');
    expect(await contextUsed()).toBe(0);
  });
});

// Each test continues from the one before.
describe('a conversation that is changed', () => {
  let answer: string;
  beforeAll(() => visit.demo.startOver());

  test('an answer that is stopped midway keeps what it has', async () => {
    const { demo } = visit;
    await demo.send('Show the times table of 7.');
    await demo.page.waitForFunction(() =>
      document.querySelector('.markdown')?.textContent?.includes('7 x 2'),
    );
    await demo.page.keyboard.press('Escape');
    const stopped = await demo.answer();
    expect(stopped).toContain('7 x 1 = 7');
    expect(stopped).not.toContain('7 x 10');
    expect(await demo.text('.reply .facts')).toContain('Stopped');
  });

  test('a question after a stopped answer is answered', async () => {
    const { demo } = visit;
    expect(await demo.ask('What is 17 + 25?')).toContain('42');
    expect(await demo.count('.turn')).toBe(2);
  });

  test('an edited message replaces its own turn and all later ones', async () => {
    const { demo } = visit;
    await demo.click('.turn:first-child [aria-label="Edit message"]');
    await demo.page.locator('.prompt-editor textarea').fill('What is 30 + 11?');
    await demo.page.keyboard.press('Enter');
    answer = await demo.answer();
    expect(answer).toContain('41');
    expect(await demo.count('.turn')).toBe(1);
    expect(await demo.text('.bubble')).toBe('What is 30 + 11?');
  });

  test('Answer again gives the same answer at temperature 0, in place of the first', async () => {
    const { demo } = visit;
    await demo.click('.reply [aria-label="Answer again"]');
    await demo.page.waitForSelector('.reply[aria-busy=true]');
    expect(await demo.answer()).toBe(answer);
    expect(await demo.count('.turn')).toBe(1);
  });
});

describe('in a new chat', () => {
  beforeEach(() => visit.demo.startOver());

  test('an answer that is stopped before it began says so and offers to answer again', async () => {
    const { demo } = visit;
    await demo.send('Show the times table of 7.');
    await demo.page.waitForSelector('.reasoning-text');
    await demo.click('[aria-label="Edit message"]');
    await demo.page.evaluate(() => {
      // At once: the first answer has no time to end.
      document.querySelector<HTMLFormElement>('.prompt-editor')?.requestSubmit();
      document.querySelector<HTMLElement>('#stop')?.click();
    });
    await demo.answer();
    expect(await demo.count('.pending')).toBe(0);
    expect(await demo.text('.reply .facts')).toBe('Stopped');
    expect(await demo.count('.reply [aria-label="Answer again"]')).toBe(1);
  });

  test('a turn that cannot be shown does not keep the next one from being answered', async () => {
    const { demo } = visit;
    await demo.page.evaluate(() => {
      const { replaceChildren } = Element.prototype;
      Element.prototype.replaceChildren = function (...nodes) {
        if (this.className === 'message-foot') throw new Error('out of order');
        replaceChildren.apply(this, nodes);
      };
      Object.assign(globalThis, {
        repair: () => {
          Element.prototype.replaceChildren = replaceChildren;
        },
      });
    });
    await demo.send('What is 17 + 25?');
    await demo.page.waitForSelector('.failure');
    await demo.page.waitForSelector('#send:not([hidden])');
    await demo.page.evaluate(() => (globalThis as unknown as { repair(): void }).repair());
    expect(await demo.ask('What is 30 + 11?')).toContain('41');
  });

  test('the model calls a tool of the page and answers with its result', async () => {
    const { demo } = visit;
    await demo.click('.suggestions li:last-child button');
    const answer = await demo.answer();
    expect(await demo.text('.tool-call')).toMatch(
      /get_time\s+Arguments\s+{"city":"Paris"}\s+Result\s+{"city":"Paris","time":"06:30"}/,
    );
    expect(answer).toBe('It is 06:30 in Paris.');
  });

  test('a suggestion that needs tools leaves them off for the next question', async () => {
    const { demo } = visit;
    await demo.click('.suggestions li:last-child button');
    await demo.answer();
    expect(await demo.ask('Show the times table of 7.')).toBe(CHIPS['Show the times table of 7.']);
    expect(await demo.count('.tool-call')).toBe(1);
    expect(await demo.count('#tools:checked')).toBe(0);
    await demo.click('.turn:first-child [aria-label="Answer again"]');
    expect(await demo.answer()).toBe('It is 06:30 in Paris.');
  });

  slowTest('the built-in model stops at the token limit if tools lead it astray', async () => {
    const { demo } = visit;
    await demo.page.evaluate(() => document.querySelector<HTMLElement>('#tools')?.click());
    await demo.send('What time is it?');
    await demo.page.waitForSelector('.reply[aria-busy=false]');
    expect(await demo.text('.reply .facts')).toContain('Token limit reached · 512 tokens');
  });

  test('the context counter grows while the model answers', async () => {
    const { demo } = visit;
    await demo.page.evaluate(() => {
      const shown: number[] = [];
      Object.assign(globalThis, { shown });
      const note = (): void => {
        const line = document.querySelector('#status-line')?.textContent ?? '';
        const isBusy = document.querySelector('.reply[aria-busy=true]') !== null;
        const used = Number(/([\d,]+) of 8,192/.exec(line)?.[1]);
        if (isBusy && used !== shown.at(-1)) shown.push(used);
      };
      new MutationObserver(note).observe(document.body, {
        ...{ subtree: true, childList: true, characterData: true },
      });
    });
    await demo.ask('What is 17 + 25?');
    const shown = await demo.page.evaluate(
      () => (globalThis as unknown as { shown: number[] }).shown,
    );
    expect(new Set(shown).size).toBeGreaterThan(10);
    expect(shown.toSorted((a, b) => a - b)).toEqual(shown);
    expect(Math.abs((await contextUsed()) - (shown.at(-1) ?? 0))).toBeLessThan(16);
  });

  test('the model reasons longer with high effort than with low', async () => {
    const { demo } = visit;
    const choose = (effort: string): Promise<void> =>
      demo.page.evaluate((value) => {
        document.querySelector<HTMLInputElement>(`input[value=${value}]`)?.click();
      }, effort);
    await choose('low');
    await demo.ask('What is 17 + 25?');
    const low = await demo.page.evaluate(
      () => document.querySelector('.reasoning-text')?.textContent?.length ?? 0,
    );
    await choose('high');
    await demo.click('#new-chat');
    await demo.send('What is 17 + 25?');
    await demo.page.waitForFunction(
      (least) => (document.querySelector('.reasoning-text')?.textContent?.length ?? 0) > least,
      {},
      low,
    );
    await demo.page.keyboard.press('Escape');
  });

  test('settings survive a reload', async () => {
    const { demo } = visit;
    await demo.click('#settings-button');
    await demo.page.locator('#instructions').fill('Answer in one sentence.');
    await demo.page.reload();
    expect(
      await demo.page.evaluate(
        () => document.querySelector<HTMLTextAreaElement>('#instructions')?.value,
      ),
    ).toBe('Answer in one sentence.');
  });
});
