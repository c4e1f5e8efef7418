// The store exists only in a worker of a browser. The first test runs in Node too.
import { beforeEach, expect, test } from 'vitest';
import { readTestFile, testFileUrl } from '../../test/files.ts';
import { StoreWorker } from '../../test/store-client.ts';
import { openCheckpoint } from '../formats/open-checkpoint.ts';
import { store } from '../page/model-store.ts';
import { openSource } from '../sources/open-source.ts';
import { isWhole, readManifest, writeManifest } from './manifest.ts';
import { directoryName } from './opfs.ts';
import { openStore } from './opfs-store.ts';

const FOLDER = 'packages/core/test/golden/tiny/hf/';
const SHARDS = [0, 1, 2].map((i) => `model-0000${i}-of-00002.safetensors`);
const SMALL = ['config.json', 'model.safetensors.index.json'];
const TENSOR = 'block.2.attn.qkv.weight';
const TOTAL_BYTES = 771360 + 902552 + 857128 + 1320 + 6205;

test('openStore() returns undefined in Node and on a page', async () => {
  expect(await openStore()).toBeUndefined();
});

if ('document' in globalThis) {
  const id = testFileUrl(FOLDER);

  const inWorker = (name: string, body: (worker: StoreWorker) => Promise<void>): void =>
    test(name, async () => {
      const worker = new StoreWorker();
      try {
        await body(worker);
      } finally {
        worker.end();
      }
    });

  const directory = async (): Promise<FileSystemDirectoryHandle> => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('ossicle');
    return root.getDirectoryHandle(directoryName(id));
  };

  const fileNames = async (): Promise<string[]> => {
    const names: string[] = [];
    for await (const name of (await directory()).keys()) names.push(name);
    return names.sort();
  };

  beforeEach(async () => {
    for (const model of await store.list()) await store.remove(model.id);
  });

  inWorker('a stored model loads without a request, byte for byte', async (worker) => {
    expect(await worker.call('load', id, TENSOR)).toBeUndefined();
    const { requests, progress, totalBytes } = await worker.call('download', id);
    expect(requests.sort()).toEqual([...SMALL, ...SHARDS].sort());
    expect(totalBytes).toBe(TOTAL_BYTES);
    expect(progress[0]).toEqual([0, TOTAL_BYTES]);
    expect(progress.at(-1)).toEqual([TOTAL_BYTES, TOTAL_BYTES]);

    const loaded = await worker.call('load', id, TENSOR);
    expect(loaded?.requests).toEqual([]);
    expect(loaded?.config).toMatchObject({ hidden_size: 96 });
    const source = await openSource(id);
    const { pieces } = (await openCheckpoint(source)).tensor(TENSOR);
    for (const [i, { path, offsetBytes, sizeBytes }] of pieces.entries()) {
      const expected = (await readTestFile(FOLDER + path)).slice(
        offsetBytes,
        offsetBytes + sizeBytes,
      );
      expect(loaded?.parts[i]).toEqual(expected);
    }
    expect(await worker.call('misread', id)).toEqual(['integrity', 'download-failed', 'disposed']);
  });

  inWorker('the page lists, measures and removes models', async (worker) => {
    const before = Date.now();
    await worker.call('download', id);
    await worker.call('load', id, TENSOR);
    const [model] = await store.list();
    expect(model).toMatchObject({
      id,
      complete: true,
      sizeBytes: TOTAL_BYTES,
      totalBytes: TOTAL_BYTES,
    });
    expect(model?.storedAt).toBeGreaterThanOrEqual(before);
    expect(model?.usedAt).toBeGreaterThanOrEqual(model?.storedAt as number);
    expect((await store.usage()).usedBytes).toBeGreaterThan(TOTAL_BYTES);
    expect((await store.usage()).quotaBytes).toBeGreaterThan(TOTAL_BYTES);
    expect(await store.persist()).toBeTypeOf('boolean');
    await store.remove(id);
    await store.remove(id);
    expect(await store.list()).toEqual([]);
    expect(await worker.call('load', id, TENSOR)).toBeUndefined();
    await expect(directory()).rejects.toMatchObject({ name: 'NotFoundError' });
  });

  inWorker('a complete model is not downloaded again', async (worker) => {
    await worker.call('download', id);
    const again = await worker.call('download', id);
    expect(again.requests).toEqual([]);
    expect(again.progress).toEqual([[TOTAL_BYTES, TOTAL_BYTES]]);
  });

  inWorker('an aborted download resumes with the missing files', async (worker) => {
    const aborted = worker.call('download', id, {
      abortAtBytes: 1_000_000,
      stall: SHARDS[2] as string,
    });
    await expect(aborted).rejects.toMatchObject({ message: 'enough' });
    const [partial] = await store.list();
    expect(partial).toMatchObject({ id, complete: false, totalBytes: TOTAL_BYTES });
    expect(partial?.sizeBytes).toBeGreaterThanOrEqual(1320 + 6205); // the small files come first
    expect(partial?.sizeBytes).toBeLessThan(TOTAL_BYTES);
    expect(await worker.call('load', id, TENSOR)).toBeUndefined();

    const whole = (await readManifest(id))?.files.filter(isWhole).map((file) => file.path);
    const rest = await worker.call('download', id);
    expect(rest.progress[0]).toEqual([partial?.sizeBytes, TOTAL_BYTES]);
    expect([...rest.requests, ...(whole as string[])].sort()).toEqual([...SMALL, ...SHARDS].sort());
    expect(await worker.call('load', id, TENSOR)).toBeDefined();
  });

  inWorker('a full disk fails a download with the sizes; whole files stay', async (worker) => {
    const full = worker.call('download', id, { quotaBytes: 1_000_000 });
    await expect(full).rejects.toMatchObject({
      code: 'storage-full',
      message: expect.stringMatching(/0\.00 GB of .* \d.*remove a stored model/s),
    });
    const [partial] = await store.list();
    expect(partial?.complete).toBe(false);
    expect(partial?.sizeBytes).toBeGreaterThan(0);
    await worker.call('download', id);
    expect(await worker.call('load', id, TENSOR)).toBeDefined();
  });

  inWorker('a truncated file is not stored', async (worker) => {
    const path = SHARDS[1] as string;
    await expect(worker.call('download', id, { cut: path })).rejects.toMatchObject({
      code: 'integrity',
    });
    const record = (await readManifest(id))?.files.find((file) => file.path === path);
    expect(record && isWhole(record)).toBe(false);
    await worker.call('download', id);
    expect(await worker.call('load', id, TENSOR)).toBeDefined();
  });

  inWorker('only a missing or shortened file is downloaded again', async (worker) => {
    await worker.call('download', id);
    await (await directory()).removeEntry(SHARDS[1] as string);
    expect(await worker.call('load', id, TENSOR)).toBeUndefined();
    expect((await worker.call('download', id)).requests).toEqual([SHARDS[1]]);

    const file = await (await directory()).getFileHandle(SHARDS[2] as string);
    const writable = await file.createWritable({ keepExistingData: true });
    await writable.truncate(1000);
    await writable.close();
    expect(await worker.call('load', id, TENSOR)).toBeUndefined();
    expect((await worker.call('download', id)).requests).toEqual([SHARDS[2]]);
    expect(await worker.call('load', id, TENSOR)).toBeDefined();
  });

  inWorker(
    'a manifest without files, or files without a manifest, are repaired',
    async (worker) => {
      await worker.call('download', id);
      const manifest = await readManifest(id);
      await store.remove(id);
      if (manifest) await writeManifest(manifest);
      expect(await worker.call('load', id, TENSOR)).toBeUndefined();
      expect((await worker.call('download', id)).requests).toHaveLength(5);

      await writeManifest({ id, version: 3, files: 'of the future' } as never);
      expect(await store.list()).toEqual([]);
      await (await directory()).getFileHandle('left over', { create: true });
      expect(await worker.call('load', id, TENSOR)).toBeUndefined();
      expect((await worker.call('download', id)).requests).toHaveLength(5);
      expect(await fileNames()).toEqual([...SMALL, ...SHARDS].sort());
      expect(await worker.call('load', id, TENSOR)).toBeDefined();
    },
  );

  inWorker('files that were cleared are not listed as stored', async (worker) => {
    await worker.call('download', id);
    await (await directory()).removeEntry(SHARDS[1] as string);
    const [partial] = await store.list();
    expect(partial).toMatchObject({ complete: false, sizeBytes: TOTAL_BYTES - 902552 });
    const root = await navigator.storage.getDirectory();
    await root.removeEntry('ossicle', { recursive: true });
    expect(await store.list()).toMatchObject([{ id, complete: false, sizeBytes: 0 }]);
    await worker.call('download', id);
    expect(await store.list()).toMatchObject([{ id, complete: true }]);
  });

  inWorker('two tabs that load the same model download it once', async (worker) => {
    const other = new StoreWorker();
    try {
      const results = await Promise.all([
        worker.call('download', id, { slowMs: 5 }),
        other.call('download', id, { slowMs: 5 }),
      ]);
      expect(results.flatMap(({ requests }) => requests).sort()).toEqual(
        [...SMALL, ...SHARDS].sort(),
      );
      const loaded = await Promise.all([
        worker.call('load', id, TENSOR, true),
        other.call('load', id, TENSOR, true), // both hold their files open
      ]);
      expect(loaded[0]?.parts).toEqual(loaded[1]?.parts);
    } finally {
      other.end();
    }
  });

  inWorker('a tab killed during a download does not block others', async (worker) => {
    const killed = new StoreWorker();
    const isUnderWay = new Promise<void>((resolve) => {
      killed.onProgress = () => resolve();
    });
    void killed.call('download', id, { slowMs: 200 });
    await isUnderWay;
    const waiting = worker.call('download', id);
    killed.end();
    await waiting;
    expect(await worker.call('load', id, TENSOR)).toBeDefined();
  });

  inWorker('a model in use is not removed', async (worker) => {
    await worker.call('download', id);
    await worker.call('load', id, TENSOR, true);
    await expect(store.remove(id)).rejects.toMatchObject({
      code: 'model-in-use',
      message: expect.stringContaining(id),
    });
    await worker.call('release');
    await store.remove(id);
    expect(await store.list()).toEqual([]);
  });
}
