import * as Comlink from 'comlink';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { ModelInfo } from '../types/load.ts';
import { checkSupport } from './check-support.ts';
import { load } from './load.ts';
import { type ImportOptions, store } from './model-store.ts';

const directory = { kind: 'directory' } as FileSystemDirectoryHandle;

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

test.each<[unknown, string]>([
  [null, 'The options must be an object, not null'],
  ['fast', 'The options must be an object, not "fast"'],
  [{ signal: 5 }, 'signal must be an AbortSignal, not 5'],
  [{ signal: null }, 'signal must be an AbortSignal, not null'],
  [{ onProgress: true }, 'onProgress must be a function, not true'],
])('wrong options reject, and start no worker: %o', async (wrong, message) => {
  const options = wrong as never;
  const calls = [
    () => load('owner/name', options),
    () => checkSupport('owner/name', options),
    () => store.verify('o/n@main', options),
    () => store.export('o/n@main', directory, options),
    () => store.import([], options),
  ];
  for (const call of calls) await expect(call()).rejects.toThrow(new TypeError(message));
});

test.each<[unknown, string]>([
  [{ store: 'yes' }, 'store must be true or false, not "yes"'],
  [{ tune: 0 }, 'tune must be true or false, not 0'],
  [{ huggingFace: null }, 'huggingFace must be an object, not null'],
  [{ integrity: 5 }, 'integrity must be an object, not 5'],
  ...['1', -1, Number.NaN, Infinity].map((least): [object, string] => [
    { minBytesPerSecond: least },
    'minBytesPerSecond must be a number from 0',
  ]),
])('wrong options of a load reject, whatever its source: %o', async (wrong, message) => {
  for (const start of [load, checkSupport]) {
    await expect(start('./model/', wrong as never)).rejects.toThrow(message);
  }
});

describe('the store in a worker of the page', () => {
  /** A worker whose service answers every task of the store. */
  function storeWorker(): { worker: Worker; isTerminated: () => boolean } {
    const { port1, port2 } = new MessageChannel();
    let terminated = false;
    Comlink.expose(
      {
        verifyModel: async (_id: number, _report: unknown, id: string) => `verified ${id}`,
        exportModel: async (_id: number, _report: unknown, id: string) => `exported ${id}`,
        importModel: async (_id: number, _report: unknown, _files: unknown, id: string) => id,
      },
      port2,
    );
    const terminate = (): void => {
      terminated = true;
      port1.close();
    };
    const worker = Object.assign(port1, { terminate }) as unknown as Worker;
    return { worker, isTerminated: () => terminated };
  }

  beforeEach(() => {
    vi.stubGlobal('navigator', { storage: {}, locks: {} });
    vi.stubGlobal('indexedDB', {});
    return () => vi.unstubAllGlobals();
  });

  test.each<[string, (options: ImportOptions) => Promise<unknown>, string]>([
    ['verify', (options) => store.verify('o/n', options), 'verified o/n'],
    ['export', (options) => store.export('o/n', directory, options), 'exported o/n'],
    ['import', (options) => store.import([], { ...options, id: 'o/n' }), 'o/n'],
  ])('runs %s(), and ends with it', async (_, call, answer) => {
    const { worker, isTerminated } = storeWorker();
    expect(await call({ worker: () => worker })).toBe(answer);
    expect(isTerminated()).toBe(true);
  });
});
