import { expect, test } from 'vitest';
import { visitDemo } from '../test/demo-browser.ts';

const visit = visitDemo();

const TURNS = 80;
const WORDS_PER_ANSWER = 190; // about 250 tokens

/** An exported chat of about 20,000 tokens. The model is sent its questions only: its context is shorter. */
function longChat(): object {
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
  return { title: 'Long', instructions: '', createdAt: 0, changedAt: 0, turns, leaf: '79' };
}

test('a chat that is dropped on the page is imported', async () => {
  const { demo } = visit;
  await demo.dropChats(longChat());
  await demo.page.waitForFunction(
    (count) => document.querySelectorAll('.turn').length === count,
    {},
    TURNS,
  );
  expect(await demo.text('#model-name')).toBe('gpt-oss-nano');
});

/** The longest CPU time of a task of the thread that has set a mark, in milliseconds: a busy machine does not lengthen it. */
function longestTaskMs(trace: Uint8Array | undefined, mark: string): number {
  type TraceEvent = Readonly<{ name: string; pid: number; tid: number; tdur?: number }>;
  const { traceEvents }: { traceEvents: readonly TraceEvent[] } = JSON.parse(
    new TextDecoder().decode(trace),
  );
  const { pid, tid } = traceEvents.find(({ name }) => name === mark) ?? {};
  const tasks = traceEvents.filter(
    (event) => event.name === 'RunTask' && event.pid === pid && event.tid === tid,
  );
  return Math.max(...tasks.flatMap(({ tdur }) => tdur ?? [])) / 1000; // the last one may be unfinished
}

test('an answer in a chat of 20,000 tokens changes the tail of its own turn alone, in no frame of more than 50 ms', async () => {
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
  await demo.page.tracing.start({
    categories: ['disabled-by-default-devtools.timeline', 'blink.user_timing'],
  });
  await demo.page.evaluate(() => performance.mark('asked'));
  await demo.send('Show the times table of 7.');
  await demo.page.waitForFunction(
    (count) => document.querySelectorAll('.reply[aria-busy=false]').length === count,
    {},
    TURNS + 1,
  );
  const taskMs = longestTaskMs(await demo.page.tracing.stop(), 'asked');
  expect(taskMs).toBeGreaterThan(0);
  expect(taskMs).toBeLessThan(50);
  type Count = 'elsewhere' | 'turns' | 'removed' | 'added' | 'steps';
  const { elsewhere, turns, removed, added, steps } = await demo.page.evaluate(
    () => (globalThis as unknown as { counts: Record<Count, number> }).counts,
  );
  expect(steps).toBeGreaterThan(10);
  expect([turns, removed, elsewhere]).toEqual([1, 0, 0]);
  expect(added / steps).toBeLessThan(4);
});
