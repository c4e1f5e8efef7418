import { mkdir, mkdtemp, open, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSource } from '../sources/open-source.ts';
import { fileSource } from './file-source.ts';

/** More than 32 bits can count, as the largest published shard of gpt-oss-20b has. */
const LARGE_BYTES = 4_792_272_488;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ossicle-files-'));
});

afterAll(() => rm(folder, { recursive: true }));

/** Makes a file of zeros that takes no room on the disk, with some bytes at an offset. */
async function writeSparse(path: string, sizeBytes: number, offset: number, bytes: Uint8Array) {
  await writeFile(path, '');
  await truncate(path, sizeBytes);
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, offset);
  await file.close();
}

test('a file of more than 4 GiB has its true size, and its last bytes can be read', async () => {
  const path = join(folder, 'large');
  await mkdir(path);
  const end = Uint8Array.of(1, 2, 3, 4, 5);
  const name = 'model-00001-of-00002.safetensors';
  await writeSparse(join(path, name), LARGE_BYTES, LARGE_BYTES - end.length, end);
  await writeFile(join(path, 'config.json'), '{}');
  expect((await stat(join(path, name))).blocks * 512).toBeLessThan(2 ** 20); // sparse indeed
  const source = await openSource(await fileSource(path));
  expect(source.id).toMatch(/^files:large#/);
  expect(await source.size(name)).toBe(LARGE_BYTES);
  const into = new Uint8Array(7);
  await source.read({ path: name, offsetBytes: LARGE_BYTES - 7 }, into);
  expect([...into]).toEqual([0, 0, 1, 2, 3, 4, 5]);
  await source.read({ path: name, offsetBytes: 2 ** 32 - 3 }, into);
  expect([...into]).toEqual([0, 0, 0, 0, 0, 0, 0]);
});

test('files in a folder like original/ are found, those further below are not', async () => {
  await mkdir(join(folder, 'm/original/deeper'), { recursive: true });
  for (const path of ['config.json', 'original/config.json', 'original/deeper/config.json']) {
    await writeFile(join(folder, 'm', path), '{}');
  }
  const files = await fileSource(join(folder, 'm'));
  expect(files.map(({ webkitRelativePath }) => webkitRelativePath).sort()).toEqual([
    'm/config.json',
    'm/original/config.json',
  ]);
});

test('a GGUF file stands for itself, or for all parts of a split one', async () => {
  await mkdir(join(folder, 'gguf'));
  for (const name of ['a.gguf', 'b-00001-of-00002.gguf', 'b-00002-of-00002.gguf', 'c.gguf']) {
    await writeFile(join(folder, 'gguf', name), 'GGUF');
  }
  const names = async (name: string): Promise<string[]> =>
    (await fileSource(join(folder, 'gguf', name))).map((file) => file.name).sort();
  expect(await names('a.gguf')).toEqual(['a.gguf']);
  expect(await names('b-00002-of-00002.gguf')).toEqual([
    'b-00001-of-00002.gguf',
    'b-00002-of-00002.gguf',
  ]);
});

test('links are followed; dangling ones, and what is no regular file, are left out', async () => {
  await mkdir(join(folder, 'linked'));
  await mkdir(join(folder, 'elsewhere'));
  await writeFile(join(folder, 'elsewhere/config.json'), '{}');
  await symlink(join(folder, 'elsewhere'), join(folder, 'linked/original'));
  await symlink(join(folder, 'nothing'), join(folder, 'linked/README.md'));
  await symlink('/dev/null', join(folder, 'linked/model.safetensors')); // a device
  const files = await fileSource(join(folder, 'linked'));
  expect(files.map(({ webkitRelativePath }) => webkitRelativePath)).toEqual([
    'linked/original/config.json',
  ]);
});

test('a file that was replaced since it was listed is not read', async () => {
  const path = join(folder, 'replaced.gguf');
  await writeFile(path, 'GGUF');
  const source = await openSource(await fileSource(path));
  await writeFile(path, 'GGUF, another one');
  const read = source.read({ path: 'replaced.gguf', offsetBytes: 0 }, new Uint8Array(4));
  await expect(read).rejects.toThrow('changed, moved or removed');
});

test('a path that does not exist rejects with the error of node:fs', async () => {
  await expect(fileSource(join(folder, 'nothing'))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a file that became shorter is reported, not read as zeros', async () => {
  const path = join(folder, 'model.gguf');
  await writeFile(path, 'GGUF and more');
  const source = await openSource(await fileSource(path));
  await truncate(path, 4);
  await expect(
    source.read({ path: 'model.gguf', offsetBytes: 0 }, new Uint8Array(13)),
  ).rejects.toMatchObject({
    message: expect.stringContaining('changed, moved or removed'),
  });
});
