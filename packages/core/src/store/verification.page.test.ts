// Verifying, repairing, exporting, importing and reclaiming stored models, in Chrome.
import { beforeEach, expect, inject, test } from 'vitest';
import { FaultSession } from '../../test/fault-session.ts';
import { testFileUrl } from '../../test/files.ts';
import { StoreWorker } from '../../test/store-client.ts';
import { store } from '../page/model-store.ts';
import { writeManifest } from './manifest.ts';
import { directoryName } from './opfs.ts';
import { reclaimOrphans } from './stored-models.ts';

const FOLDER = 'packages/core/test/golden/tiny/hf/';
const CHUNK_BYTES = 64 * 1024;
const SHARD = 'model-00001-of-00002.safetensors';

test('verifying or exporting a model that is not stored throws a RangeError', async () => {
  const root = await navigator.storage.getDirectory();
  await expect(store.verify('nobody/nothing@main')).rejects.toThrow(RangeError);
  await expect(store.export('nobody/nothing@main', root)).rejects.toThrow(RangeError);
});

let session: FaultSession;
let worker: StoreWorker;

beforeEach(async () => {
  for (const model of await store.list()) await store.remove(model.id);
  const root = await navigator.storage.getDirectory();
  await root.removeEntry('exported', { recursive: true }).catch(() => undefined);
  session = await FaultSession.start(inject('faultServer'), { folder: FOLDER });
  worker = new StoreWorker();
  return () => worker.end();
});

const download = () => worker.call('download', session.url, { chunkBytes: CHUNK_BYTES });

const modelFolder = async (id: string): Promise<FileSystemDirectoryHandle> => {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('ossicle');
  return root.getDirectoryHandle(directoryName(id));
};

const flip = async (folder: FileSystemDirectoryHandle, name: string, at: number): Promise<void> => {
  const handle = await folder.getFileHandle(name);
  const [byte = 0] = new Uint8Array(await (await handle.getFile()).slice(at, at + 1).arrayBuffer());
  const writable = await handle.createWritable({ keepExistingData: true });
  await writable.write({ type: 'write', position: at, data: new Uint8Array([byte ^ 1]) });
  await writable.close();
};

const shardHash = async (id: string): Promise<string | undefined> => worker.call('hash', id, SHARD);

const exportFolder = async (): Promise<FileSystemDirectoryHandle> =>
  (await navigator.storage.getDirectory()).getDirectoryHandle('exported', { create: true });

test('a flipped byte is found, reported by chunk, and repaired by downloading only that chunk', async () => {
  await download();
  const right = await shardHash(session.url);
  for (const at of [5, 3 * CHUNK_BYTES + 17, 902_551]) {
    await flip(await modelFolder(session.url), SHARD, at);
    const chunk = Math.floor(at / CHUNK_BYTES);
    const progress: number[] = [];
    const { isIntact, damaged } = await store.verify(session.url, {
      onProgress: (done, total) => progress.push(done / total),
    });
    expect(isIntact).toBe(false);
    expect(damaged).toEqual([
      {
        path: SHARD,
        chunk,
        offsetBytes: chunk * CHUNK_BYTES,
        sizeBytes: Math.min(CHUNK_BYTES, 902_552 - chunk * CHUNK_BYTES),
      },
    ]);
    expect(progress[0]).toBe(0);
    expect(progress.at(-1)).toBe(1);
    expect(await shardHash(session.url)).toBeUndefined(); // the file is no longer whole
    expect((await store.list())[0]?.complete).toBe(false);

    await session.script();
    await download();
    const ranges = (await session.log())
      .filter(({ path, range }) => path === SHARD && (range?.[0] ?? 0) >= chunk * CHUNK_BYTES)
      .map(({ sentBytes }) => sentBytes);
    expect(Math.max(...ranges)).toBe(damaged[0]?.sizeBytes);
    expect(await shardHash(session.url)).toBe(right);
    expect(await store.verify(session.url)).toMatchObject({ isIntact: true });
  }
});

test('a load detects damage at the beginning of a file', async () => {
  await download();
  await flip(await modelFolder(session.url), SHARD, 100);
  expect(await worker.call('load', session.url, 'block.2.attn.qkv.weight')).toBeUndefined();
  await download();
  expect(await worker.call('load', session.url, 'block.2.attn.qkv.weight')).toBeDefined();
});

test('if a repaired chunk has other bytes, the whole file is downloaded again', async () => {
  await download();
  const right = await shardHash(session.url);
  await flip(await modelFolder(session.url), SHARD, 3 * CHUNK_BYTES);
  await store.verify(session.url);
  await session.script({
    path: SHARD,
    covers: 3 * CHUNK_BYTES + 9,
    times: 1,
    fault: { kind: 'wrong', at: 3 * CHUNK_BYTES + 9 },
  });
  await download();
  expect(await shardHash(session.url)).toBe(right);
});

test('an aborted verification changes nothing', async () => {
  await download();
  await flip(await modelFolder(session.url), SHARD, 0);
  const controller = new AbortController();
  const checking = store.verify(session.url, {
    signal: controller.signal,
    onProgress: (done) => done > 0 && controller.abort(new Error('enough')),
  });
  await expect(checking).rejects.toThrow('enough');
  expect((await store.list())[0]?.complete).toBe(true);
});

const describeFolder = async (folder: FileSystemDirectoryHandle, text: string): Promise<void> => {
  const file = await folder.getFileHandle('ossicle.json', { create: true });
  const writable = await file.createWritable();
  await writable.write(text);
  await writable.close();
};

test('an exported model is imported as what it was, and loads without a request', async () => {
  await worker.call('download', session.url);
  const right = await shardHash(session.url);
  const folder = await exportFolder();
  await store.export(session.url, folder);
  const names: string[] = [];
  for await (const name of folder.keys()) names.push(name);
  expect(names).toContain('ossicle.json');
  expect((await (await folder.getFileHandle(SHARD)).getFile()).size).toBe(902_552);

  await store.remove(session.url);
  await session.script();
  const id = `import:${session.url}`;
  expect(await worker.call('import', folder)).toBe(id);
  expect(await session.log()).toEqual([]);
  expect(await shardHash(id)).toBe(right);
  expect(await store.list()).toMatchObject([{ id, origin: 'import', complete: true }]);
  expect(await worker.call('import', folder)).toBe(id); // the same bytes, by their hashes

  const other = await exportFolder();
  await store.export(id, other);
  await store.remove(id);
  expect(await worker.call('import', other)).toBe(id);
});

test('a changed export is not imported, and the error names the file', async () => {
  await worker.call('download', session.url);
  const folder = await exportFolder();
  await store.export(session.url, folder);
  await store.remove(session.url);
  await flip(folder, SHARD, 12_345);
  await expect(worker.call('import', folder)).rejects.toMatchObject({
    code: 'integrity',
    message: expect.stringContaining(SHARD),
  });
  expect(await store.list()).toEqual([]);
  await expect(modelFolder(`import:${session.url}`)).rejects.toMatchObject({
    name: 'NotFoundError',
  });
});

test('files without ossicle.json are imported under the given name', async () => {
  await worker.call('download', session.url);
  const folder = await exportFolder();
  await store.export(session.url, folder);
  await folder.removeEntry('ossicle.json');
  await expect(worker.call('import', folder)).rejects.toThrow('ossicle.json');
  const id = 'import:owner/name@main';
  expect(await worker.call('import', folder, 'owner/name')).toBe(id);
  expect(await shardHash(id)).toBe(await shardHash(session.url));
});

test('an import is never served as the repo that it claims to be, and replaces no other import', async () => {
  await worker.call('download', session.url);
  const folder = await exportFolder();
  await store.export(session.url, folder);
  const text = await (await (await folder.getFileHandle('ossicle.json')).getFile()).text();
  await describeFolder(folder, JSON.stringify({ ...JSON.parse(text), id: 'owner/name@main' }));
  const id = 'import:owner/name@main';
  expect(await worker.call('import', folder)).toBe(id);
  expect(await shardHash('owner/name@main')).toBeUndefined();
  const right = await shardHash(id);
  expect(right).toBeDefined();

  await folder.removeEntry('ossicle.json');
  await flip(folder, SHARD, 12_345);
  await expect(worker.call('import', folder, 'owner/name')).rejects.toMatchObject({
    message: expect.stringMatching(/import:owner\/name@main is stored.*Remove it first/),
  });
  expect(await shardHash(id)).toBe(right);
});

test('an import that claims to be openai/gpt-oss-20b is refused unless it is, and leaves nothing', async () => {
  await worker.call('download', session.url);
  const folder = await exportFolder();
  await store.export(session.url, folder);
  await store.remove(session.url);
  await folder.removeEntry('ossicle.json');
  await expect(worker.call('import', folder, 'openai/gpt-oss-20b')).rejects.toMatchObject({
    code: 'integrity',
  });
  expect(await store.list()).toEqual([]);
});

test.each([
  ['no id', { id: '' }],
  ['a huge id', { id: `owner/${'n'.repeat(2 ** 20)}` }],
  ['an id that is no string', { id: { length: 3 } }],
  ['a revision that is no string', { id: 'owner/name', revision: { toString: 1 } }],
  ['a huge revision', { id: 'owner/name', revision: 'a'.repeat(2 ** 20) }],
])('a description with %s does not count, and nothing is stored by it', async (_, change) => {
  await worker.call('download', session.url);
  const folder = await exportFolder();
  await store.export(session.url, folder);
  await store.remove(session.url);
  const text = await (await (await folder.getFileHandle('ossicle.json')).getFile()).text();
  await describeFolder(folder, JSON.stringify({ ...JSON.parse(text), ...change }));
  await expect(worker.call('import', folder)).rejects.toThrow('ossicle.json');
  expect(await store.list()).toEqual([]);
});

test.each(['', 'owner/'.padEnd(2 ** 20, 'n'), 'nonsense', 5 as never])(
  'an import under a wrong id is refused before anything is stored',
  async (id) => {
    const folder = await exportFolder();
    await expect(worker.call('import', folder, id)).rejects.toMatchObject({ name: 'TypeError' });
    expect(await store.list()).toEqual([]);
  },
);

test('a damaged model is not exported', async () => {
  await download();
  await flip(await modelFolder(session.url), SHARD, 12_345);
  await expect(store.export(session.url, await exportFolder())).rejects.toMatchObject({
    code: 'integrity',
    message: expect.stringContaining(SHARD),
  });
});

test('orphaned folders are reclaimed; those of models and of newer manifest versions are not', async () => {
  await download();
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('ossicle');
  const orphan = await root.getDirectoryHandle('left-by-a-crash', { create: true });
  const writable = await (await orphan.getFileHandle('x', { create: true })).createWritable();
  await writable.write(new Uint8Array(12_345));
  await writable.close();
  const later = directoryName('later/model@main');
  await root.getDirectoryHandle(later, { create: true });
  await writeManifest({ id: 'later/model@main', version: 3 } as never);

  expect(await store.reclaim()).toBe(12_345);
  expect(await reclaimOrphans()).toBe(0);
  const names: string[] = [];
  for await (const name of root.keys()) names.push(name);
  expect(names.sort()).toEqual([later, directoryName(session.url)].sort());
  expect(await store.verify(session.url)).toMatchObject({ isIntact: true });
  await store.remove('later/model@main');
});

test('a stored model is checked against the hashes of the integrity option', async () => {
  const id = testFileUrl(FOLDER);
  await worker.call('download', id);
  const right = (await shardHash(id)) as string;
  expect((await worker.call('download', id, { integrity: { [SHARD]: right } })).requests).toEqual(
    [],
  );
  await expect(
    worker.call('download', id, { integrity: { [SHARD]: 'ab'.repeat(32) } }),
  ).rejects.toMatchObject({ code: 'integrity', message: expect.stringContaining(SHARD) });
  await worker.call('download', id);
  expect(await shardHash(id)).toBe(right);
});
