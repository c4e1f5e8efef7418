import { afterEach, describe, expect, test, vi } from 'vitest';
import { type ModelStore, store } from './model-store.ts';

afterEach(() => vi.unstubAllGlobals());

const operations: [keyof ModelStore, () => Promise<unknown>][] = [
  ['list', () => store.list()],
  ['usage', () => store.usage()],
  ['persist', () => store.persist()],
  ['remove', () => store.remove('o/n@main')],
  ['verify', () => store.verify('o/n@main')],
  ['export', () => store.export('o/n@main', { kind: 'directory' } as FileSystemDirectoryHandle)],
  ['import', () => store.import([new File([], 'a')])],
  ['reclaim', () => store.reclaim()],
];

describe('on an insecure page', () => {
  test.each(operations)('%s() says that there is no storage and what to do', async (_, call) => {
    vi.stubGlobal('navigator', {});
    await expect(call()).rejects.toMatchObject({
      name: 'OssicleError',
      code: 'storage-unavailable',
      message: expect.stringMatching(/HTTPS or from localhost.*store: false/),
    });
  });
});

describe('if the browser fails', () => {
  const fail = (error: unknown): void => {
    const storage = { getDirectory: () => Promise.reject(error) };
    vi.stubGlobal('navigator', { storage, locks: {} });
    vi.stubGlobal('indexedDB', {});
  };

  test.each([
    ['SecurityError', 'storage-unavailable', /SecurityError: no\).*private windows.*Reload/],
    ['QuotaExceededError', 'storage-full', /QuotaExceededError: no\).*Free some/],
  ])('a %s becomes %s', async (name, code, message) => {
    const cause = new DOMException('no', name);
    fail(cause);
    await expect(store.reclaim()).rejects.toMatchObject({
      name: 'OssicleError',
      code,
      message: expect.stringMatching(message),
      cause,
    });
  });

  test('an error that does not concern storage stays as it is', async () => {
    const error = new RangeError('mine');
    fail(error);
    await expect(store.reclaim()).rejects.toBe(error);
  });
});

test.each<[string, (wrong: never) => Promise<unknown>, RegExp, readonly unknown[]]>([
  ['remove', (id) => store.remove(id), /id of a stored model must be a string/, [undefined, 5]],
  ['verify', (id) => store.verify(id), /id of a stored model must be a string/, [null, {}]],
  [
    'export',
    (folder) => store.export('o/n@main', folder),
    /folder must be a FileSystemDirectoryHandle/,
    [undefined, {}, Promise.resolve()],
  ],
  [
    'import',
    (files) => store.import(files),
    /must be .*FileSystemDirectoryHandle/,
    [null, 'a', {}],
  ],
])('%s() says which argument is wrong', async (_, call, message, wrong) => {
  for (const value of wrong) {
    const refused = call(value as never);
    await expect(refused).rejects.toThrow(TypeError);
    await expect(refused).rejects.toThrow(message);
  }
});
