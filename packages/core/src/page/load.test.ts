import * as Comlink from 'comlink';
import { expect, test } from 'vitest';
import type { ModelInfo } from '../types/load.ts';
import { checkSupport } from './check-support.ts';
import { load } from './load.ts';

/** A worker whose service answers every load. */
function fakeWorker(): { worker: Worker; loads: unknown[]; isTerminated: () => boolean } {
  const { port1, port2 } = new MessageChannel();
  const loads: unknown[] = [];
  let terminated = false;
  Comlink.expose(
    {
      load: async (_id: number, _report: unknown, source: string, options: object) => {
        loads.push([source, options]);
        return { id: source } as ModelInfo;
      },
      checkSupport: async (_id: number, _report: unknown, source: string, options: object) => {
        loads.push([source, options]);
        return { isSupported: true, reasons: [] };
      },
      dispose: () => undefined,
    },
    port2,
  );
  const terminate = (): void => {
    terminated = true;
    port1.close();
  };
  const worker = Object.assign(port1, { terminate }) as unknown as Worker;
  return { worker, loads, isTerminated: () => terminated };
}

test.each([
  ['a worker', (worker: Worker) => worker],
  ['a function that makes a worker', (worker: Worker) => () => worker],
])('load() runs the model in the worker of the page: %s', async (_, option) => {
  const { worker, loads, isTerminated } = fakeWorker();
  const model = await load('owner/name', { worker: option(worker), contextLength: 64 });
  expect(model.info.id).toBe('owner/name');
  expect(loads).toEqual([['owner/name', { contextLength: 64 }]]);
  await model.dispose();
  expect(isTerminated()).toBe(true);
});

test('checkSupport() runs in the worker of the page, and ends it', async () => {
  const { worker, loads, isTerminated } = fakeWorker();
  const report = await checkSupport('owner/name', { worker: () => worker, contextLength: 64 });
  expect(report).toEqual({ isSupported: true, reasons: [] });
  expect(loads).toEqual([['owner/name', { contextLength: 64 }]]);
  expect(isTerminated()).toBe(true);
});

test('load() rejects a worker that is none', async () => {
  for (const worker of ['worker.js', {}, () => 'worker.js', null]) {
    await expect(load('owner/name', { worker: worker as unknown as Worker })).rejects.toThrow(
      new TypeError('worker must be a Worker, or a function that returns one'),
    );
  }
});
