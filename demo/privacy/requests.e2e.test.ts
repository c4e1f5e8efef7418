import { expect, test } from 'vitest';
import { runsSlowTests } from '../../packages/core/test/slow.ts';
import { visitDemo } from '../test/demo-browser.ts';

const visit = visitDemo();
const TURNS = runsSlowTests ? 20 : 3;

/** How many requests the panel lists since the model is ready. */
const late = (): Promise<string | undefined> =>
  visit.demo.page.evaluate(
    () => document.querySelector<HTMLElement>('.late-requests')?.dataset.count,
  );

// Each test continues from the one before.
test('the panel lists the requests of page, worker and service worker with host and bytes', async () => {
  const { demo } = visit;
  await demo.keptForOffline();
  await demo.click('#requests-button');
  const shown = await demo.textLike('#requests', /service worker/);
  const host = new URL(demo.page.url()).host;
  for (const who of ['page', 'worker', 'service worker'])
    expect(shown).toMatch(new RegExp(`${host}\\s+${who}\\s+the .*?\\s+\\d+\\s+[\\d.]+ [kM]B`));
});

test(`after ${TURNS} turns it lists no further request, and there was none`, async () => {
  const { demo, browser } = visit;
  await demo.page.keyboard.press('Escape');
  const before = browser.proxy.requests.length;
  for (let turn = 0; turn < TURNS; turn++) {
    if (turn % 4 === 0) await demo.click('#new-chat');
    await demo.ask(turn % 4 === 0 ? 'What is 17 + 25?' : 'Add 10 more.');
  }
  await demo.click('#requests-button');
  expect(await late()).toBe('0');
  expect(browser.proxy.requests.slice(before)).toEqual([]);
});

test('a request of the page and one of a worker would be listed', async () => {
  const { demo } = visit;
  await demo.page.evaluate(() => fetch('./models/?page'));
  await demo.page.waitForSelector('.late-requests[data-count="1"]');
  await demo.page.evaluate((base) => {
    const code = `fetch(new URL('models/?worker', ${JSON.stringify(base)}))`;
    new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
  }, demo.page.url());
  await demo.page.waitForSelector('.late-requests[data-count="2"]');
});

test('the page cannot open connections that its policy does not govern', async () => {
  const found = await visit.demo.page.evaluate(() =>
    ['RTCPeerConnection', 'webkitRTCPeerConnection', 'WebTransport'].filter(
      (name) => Reflect.get(globalThis, name) !== undefined,
    ),
  );
  expect(found).toEqual([]);
});
