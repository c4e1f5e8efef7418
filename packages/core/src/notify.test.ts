import { afterEach, expect, test, vi } from 'vitest';
import { notify } from './notify.ts';

afterEach(() => vi.unstubAllGlobals());

test("a listener's error is reported, and not thrown to the caller", () => {
  const reported: unknown[] = [];
  vi.stubGlobal('reportError', (error: unknown) => reported.push(error));
  const heard: number[] = [];
  const error = new Error("the application's");
  const listener = (...values: number[]): never => {
    heard.push(...values);
    throw error;
  };
  notify(listener, 1, 2);
  expect(heard).toEqual([1, 2]);
  expect(reported).toEqual([error]);
  notify(undefined, 3);
  expect(reported).toHaveLength(1);
});

test('without reportError, as in Node, the error is thrown from a microtask', async () => {
  vi.stubGlobal('reportError', undefined);
  const error = new Error("the application's");
  let queued: () => void = () => undefined;
  vi.stubGlobal('queueMicrotask', (task: () => void) => {
    queued = task;
  });
  notify(() => {
    throw error;
  });
  expect(queued).toThrow(error);
});
