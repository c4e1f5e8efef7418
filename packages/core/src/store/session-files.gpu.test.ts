// Saved sessions exist only in browsers. The first test runs in Node.
import { beforeEach, describe, expect, test } from 'vitest';
import { StoreWorker } from '../../test/store-client.ts';
import {
  listSessionFiles,
  openSessionFile,
  removeSessionFile,
  writeSessionFile,
} from './session-files.ts';

/** Saves pieces of so many bytes, each filled with its number. */
function save(id: string, ...sizes: number[]): Promise<void> {
  return writeSessionFile(id, async (write) => {
    for (const [i, size] of sizes.entries()) await write(new Uint8Array(size).fill(i + 1));
  });
}

async function sizes(): Promise<Record<string, number>> {
  const files = await listSessionFiles();
  return Object.fromEntries(files.map(({ id, file }) => [id, file.size]).sort());
}

async function names(): Promise<string[]> {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle('ossicle-sessions', { create: true });
  return (await Array.fromAsync(folder.keys())).sort();
}

if ('document' in globalThis) {
  describe('a saved session', () => {
    beforeEach(async () => {
      for (const { id } of await listSessionFiles()) await removeSessionFile(id);
    });

    test('is replaced as a whole, and removed', async () => {
      await save('a', 3, 2);
      await save('a/b: ü?', 7);
      expect(await sizes()).toEqual({ a: 5, 'a/b: ü?': 7 });
      const file = await openSessionFile('a');
      expect([...new Uint8Array(await file!.arrayBuffer())]).toEqual([1, 1, 1, 2, 2]);
      await save('a', 1);
      expect(await sizes()).toEqual({ a: 1, 'a/b: ü?': 7 });
      await removeSessionFile('a');
      await removeSessionFile('a');
      expect(await openSessionFile('a')).toBeUndefined();
      expect(await sizes()).toEqual({ 'a/b: ü?': 7 });
    });

    test('stays as it was if another save fails, and a first one leaves nothing', async () => {
      await save('a', 5);
      const { write } = FileSystemWritableFileStream.prototype;
      FileSystemWritableFileStream.prototype.write = async () => {
        throw new DOMException('No space', 'QuotaExceededError');
      };
      try {
        for (const id of ['a', 'b']) {
          await expect(save(id, 9)).rejects.toMatchObject({ code: 'storage-full' });
        }
      } finally {
        FileSystemWritableFileStream.prototype.write = write;
      }
      const lost = new Error('The GPU is lost');
      const failing = writeSessionFile('a', async (put) => {
        await put(new Uint8Array(1000));
        throw lost;
      });
      await expect(failing).rejects.toBe(lost);
      expect(await sizes()).toEqual({ a: 5 });
      expect(await names()).toEqual(['a.session']);
    });

    test('stays as it was if whoever saves is killed, and can be saved again', async () => {
      await save('a', 5);
      for (const id of ['a', 'b']) {
        const worker = new StoreWorker();
        const written = new Promise<void>((resolve) => {
          worker.onProgress = () => resolve();
        });
        void worker.call('saveHalf', id, 100_000);
        await written;
        worker.end();
      }
      const root = await navigator.storage.getDirectory();
      const folder = await root.getDirectoryHandle('ossicle-sessions');
      await folder.getFileHandle('left behind', { create: true });
      expect(await sizes()).toEqual({ a: 5 });
      expect(await names()).not.toContain('left behind');
      await save('a', 8);
      await save('b', 9);
      expect(await sizes()).toEqual({ a: 8, b: 9 });
    });

    test('is gone if the site’s data is cleared, and can be saved again', async () => {
      await save('a', 5);
      const root = await navigator.storage.getDirectory();
      await root.removeEntry('ossicle-sessions', { recursive: true });
      expect(await sizes()).toEqual({});
      expect(await openSessionFile('a')).toBeUndefined();
      await save('a', 6);
      expect(await sizes()).toEqual({ a: 6 });
    });
  });
} else {
  test('there is no place for sessions in Node', async () => {
    for (const call of [save('a', 1), openSessionFile('a'), listSessionFiles()]) {
      await expect(call).rejects.toMatchObject({ code: 'storage-unavailable' });
    }
  });
}
