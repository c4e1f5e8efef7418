import { beforeEach, expect, test, vi } from 'vitest';
import { RequestLog } from './request-log.ts';

/** Tells the log of a request of a worker. */
let request: () => void;

beforeEach(() => {
  let count = 0;
  vi.stubGlobal('location', { href: 'https://demo.example/', origin: 'https://demo.example' });
  vi.stubGlobal(
    'BroadcastChannel',
    class {
      addEventListener(_type: string, listener: (event: unknown) => void): void {
        request = () =>
          listener({
            data: { id: `${count++}`, url: 'https://host.example/', who: 'worker', bytes: 1 },
          });
      }
      postMessage(): void {
        // No service worker listens.
      }
    },
  );
});

test('requests are late from when a model is ready until another is loaded', () => {
  const nowMs = vi.spyOn(performance, 'now').mockReturnValue(0);
  const log = new RequestLog();
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

test('telling again that the model is ready does not make a request early', () => {
  const nowMs = vi.spyOn(performance, 'now').mockReturnValue(1);
  const log = new RequestLog();
  log.setReady(true);
  nowMs.mockReturnValue(3);
  log.setReady(true);
  nowMs.mockReturnValue(2); // when the browser says that it began
  request();
  expect(log.records.map(({ isLate }) => isLate)).toEqual([true]);
});
