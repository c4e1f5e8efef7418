import { expect, test } from 'vitest';
import { visitDemo } from '../test/demo-browser.ts';

const visit = visitDemo();

const TURNS = 80;
const WORDS_PER_ANSWER = 190; // about 250 tokens

/** An exported chat of about 20,000 tokens. The model is sent its questions only: its context is shorter. */
function longChat(): string {
  const words =
    'the **stapes** is the smallest `bone` of the body, and rests on the oval window; '.split(' ');
  const answer = Array.from({ length: WORDS_PER_ANSWER }, (_, index) =>
    index % 40 === 39 ? 'so.\n\n' : words[index % words.length],
  ).join(' ');
  const turns = Array.from({ length: TURNS }, (_, index) => ({
    ...{ id: `${index}`, parent: index === 0 ? null : `${index - 1}`, askedAt: index },
    ...{ prompt: `Question ${index}`, files: [], usesTools: false, reply: [] },
    parts: [{ kind: 'text', text: answer }],
    outcome: { reason: 'stop', tokens: 250, tokensPerSecond: 50, firstTokenMs: 100 },
  }));
  const chat = { title: 'Long', instructions: '', createdAt: 0, changedAt: 0, turns, leaf: '79' };
  return JSON.stringify({ format: 'ossicle-chats', version: 1, chats: [chat] });
}

test('a chat that is dropped on the page is imported', async () => {
  const { demo } = visit;
  await demo.page.evaluate((json) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([json], 'long.json', { type: 'application/json' }));
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true }));
  }, longChat());
  await demo.page.waitForFunction(
    (count) => document.querySelectorAll('.turn').length === count,
    {},
    TURNS,
  );
  expect(await demo.text('#model-name')).toBe('gpt-oss-nano');
});

test('an answer in a chat of 20,000 tokens changes the tail of its own turn, and nothing before it', async () => {
  const { demo } = visit;
  await demo.page.evaluate(() => {
    const counts = { elsewhere: 0, turns: 0, removed: 0, added: 0, steps: 0 };
    Object.assign(globalThis, { counts });
    const list = document.querySelector('#conversation');
    if (!list) return;
    new MutationObserver((records) => {
      counts.steps++;
      const last = list.lastElementChild;
      for (const { target, addedNodes, removedNodes } of records) {
        if (target === list) {
          counts.turns += addedNodes.length;
          counts.removed += removedNodes.length;
        } else if (!last?.contains(target)) counts.elsewhere++;
        counts.added += addedNodes.length;
      }
    }).observe(list, { subtree: true, childList: true, characterData: true, attributes: true });
  });
  await demo.send('Show the times table of 7.');
  await demo.page.waitForFunction(
    (count) => document.querySelectorAll('.reply[aria-busy=false]').length === count,
    {},
    TURNS + 1,
  );
  type Count = 'elsewhere' | 'turns' | 'removed' | 'added' | 'steps';
  const { elsewhere, turns, removed, added, steps } = await demo.page.evaluate(
    () => (globalThis as unknown as { counts: Record<Count, number> }).counts,
  );
  expect(steps).toBeGreaterThan(10);
  expect([turns, removed, elsewhere]).toEqual([1, 0, 0]);
  expect(added / steps).toBeLessThan(4);
});
