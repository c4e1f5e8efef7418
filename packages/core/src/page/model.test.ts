import { expect, test } from 'vitest';
import type { ModelInfo } from '../types/load.ts';
import { WorkerModel } from './model.ts';
import type { ModelWorker } from './worker-client.ts';

/** A worker that notes what it is called for, and answers a generation once it is aborted. */
function createWorker() {
  const calls: string[] = [];
  let abort: () => void = () => undefined;
  const aborted = new Promise<void>((resolve) => {
    abort = resolve;
  });
  const service = {
    start: async (id: number) => void calls.push(`start ${id}`),
    abort: async (id: number) => {
      calls.push(`abort ${id}`);
      abort();
    },
    update: async (id: number) => {
      calls.push(`update ${id}`);
      await aborted;
      return { events: [], result: { reason: 'aborted' } };
    },
  };
  const worker = { call: async (use: (of: typeof service) => unknown) => use(service) };
  return { calls, model: new WorkerModel(worker as unknown as ModelWorker, {} as ModelInfo) };
}

test('a generation that is aborted before it begins reaches the worker with its abort right behind it', async () => {
  const { calls, model } = createWorker();
  const { result } = model.generate('Hi', { signal: AbortSignal.abort() });
  expect(calls).toEqual(['start 1', 'abort 1']);
  expect(await result).toMatchObject({ reason: 'aborted' });
});

test('an abort reaches the worker while it has not answered the start yet', async () => {
  const { calls, model } = createWorker();
  const controller = new AbortController();
  const { result } = model.generate('Hi', { signal: controller.signal });
  controller.abort();
  expect(calls).toEqual(['start 1', 'abort 1']);
  expect(await result).toMatchObject({ reason: 'aborted' });
  expect(calls.filter((call) => call === 'abort 1')).toHaveLength(1);
});
