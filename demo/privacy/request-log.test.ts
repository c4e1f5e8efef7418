import { beforeEach, expect, test, vi } from 'vitest';
import { RequestLog } from './request-log.ts';

const OWN = 'blob:https://demo.example/1';
/** Tells the log of a request of a worker. */
let request: (client?: string, at?: number) => void;

beforeEach(() => {
  let count = 0;
  vi.stubGlobal('location', { href: 'https://demo.example/', origin: 'https://demo.example' });
  vi.stubGlobal(
    'BroadcastChannel',
    class {
      addEventListener(_type: string, listener: (event: unknown) => void): void {
        request = (client = OWN, at = performance.timeOrigin + performance.now()) =>
          listener({
            data: { id: `${count++}`, at, url: 'https://host.example/', who: 'worker', client },
          });
      }
      postMessage(): void {
        // No service worker listens.
      }
    },
  );
  vi.stubGlobal('Worker', class {});
});

/** A log of a page that has started one worker. */
function createLog(): RequestLog {
  const log = new RequestLog();
  new Worker(OWN);
  return log;
}

test('requests of workers of other tabs, and from before the page was opened, are not listed', () => {
  const log = createLog();
  request('blob:https://demo.example/2');
  request(OWN, performance.timeOrigin - 1);
  expect(log.records).toEqual([]);
  request();
  expect(log.records).toHaveLength(1);
});

test('requests are late from when a model is ready until another is loaded', () => {
  const nowMs = vi.spyOn(performance, 'now').mockReturnValue(0);
  const log = createLog();
  const at = (ms: number, act: () => void): void => {
    nowMs.mockReturnValue(ms);
    act();
  };
  at(1, request);
  at(2, () => log.setReady(true));
  at(3, request);
  at(4, () => log.setReady(false)); // another is being loaded
  at(5, request);
  at(6, () => log.setReady(true)); // it failed, and the first is still in use
  at(7, request);
  expect(log.records.map(({ isLate }) => isLate)).toEqual([false, true, false, true]);
});

test('a request that was made before the model was ready is not late, whenever it is told', () => {
  const nowMs = vi.spyOn(performance, 'now').mockReturnValue(2);
  const log = createLog();
  log.setReady(true);
  nowMs.mockReturnValue(3);
  request(OWN, performance.timeOrigin + 1);
  expect(log.records.map(({ isLate }) => isLate)).toEqual([false]);
});

test('telling again that the model is ready does not make a request early', () => {
  const nowMs = vi.spyOn(performance, 'now').mockReturnValue(1);
  const log = createLog();
  log.setReady(true);
  nowMs.mockReturnValue(3);
  log.setReady(true);
  nowMs.mockReturnValue(2); // when the browser says that it began
  request();
  expect(log.records.map(({ isLate }) => isLate)).toEqual([true]);
});
