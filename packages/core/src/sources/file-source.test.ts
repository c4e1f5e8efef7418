// Files and folders that a person picked.
import { openAsBlob } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readAll } from './byte-source.ts';
import { openSource } from './open-source.ts';

const BYTES = Uint8Array.from({ length: 5000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);

function picked(path: string, bytes: BlobPart): File {
  const file = new File([bytes], path.split('/').at(-1) ?? '', { lastModified: 1 });
  return Object.defineProperty(file, 'webkitRelativePath', { value: path });
}

test('a picked folder with original/ alone keeps the tokenizer beside it', async () => {
  const source = await openSource([
    picked('gpt/original/config.json', '{}'),
    picked('gpt/tokenizer.json', 'tokenizer'),
  ]);
  expect(source.id).toMatch(/^files:gpt#/);
  expect(await source.size('tokenizer.json')).toBe('tokenizer'.length);
  expect(await source.size('original/config.json')).toBe(2);
});

test('the root of a picked folder is the outermost folder with a config.json', async () => {
  const source = await openSource([
    picked('downloads/gpt/original/config.json', 'inner'),
    picked('downloads/gpt/config.json', 'outer'),
    picked('downloads/gpt/a/b.bin', BYTES),
    picked('downloads/readme.txt', 'readme'),
  ]);
  expect(source.id).toMatch(/^files:gpt#[0-9a-f]{16}$/);
  expect(new TextDecoder().decode(await readAll(source, 'config.json'))).toBe('outer');
  expect(new TextDecoder().decode(await readAll(source, 'original/config.json'))).toBe('inner');
  expect(await source.size('readme.txt')).toBeUndefined();
  expect(await readAll(source, 'readme.txt')).toBeUndefined();
  const into = new Uint8Array(50);
  await source.read({ path: 'a/b.bin', offsetBytes: 100 }, into);
  expect(into).toEqual(BYTES.slice(100, 150));
  await expect(source.read({ path: 'a/b.bin', offsetBytes: 4951 }, into)).rejects.toMatchObject({
    code: 'integrity',
  });
  await expect(
    source.read({ path: 'none', offsetBytes: 0 }, new Uint8Array(1)),
  ).rejects.toMatchObject({
    code: 'download-failed',
  });
});

test.each<[string, readonly string[], name: string, inside: readonly string[]]>([
  [
    'not an export below it',
    ['m/config.json', 'm/model.safetensors', 'm/backup/ossicle.json', 'm/backup/a.safetensors'],
    'm',
    ['config.json', 'model.safetensors', 'backup/ossicle.json', 'backup/a.safetensors'],
  ],
  [
    'the export that has the weights',
    ['x/a/ossicle.json', 'x/b/model.gguf', 'x/c/d/ossicle.json', 'x/c/d/e/model.gguf'],
    'model.gguf',
    ['model.gguf'],
  ],
  [
    'an export whose weights are below it',
    ['e/ossicle.json', 'e/Q/model.gguf', 'readme.md'],
    'e',
    ['ossicle.json', 'Q/model.gguf'],
  ],
  [
    'an export with original/ alone',
    ['e/ossicle.json', 'e/original/config.json', 'e/original/model.safetensors'],
    'e',
    ['ossicle.json', 'original/config.json', 'original/model.safetensors'],
  ],
])('the root of picked files is %s', async (_, paths, name, inside) => {
  const source = await openSource(paths.map((path) => picked(path, 'x')));
  expect(source.id.replace(/#.*/, '')).toBe(`files:${name}`);
  expect(await source.list()).toEqual(inside);
});

test('files of other sizes get another id', async () => {
  const id = async (text: string): Promise<string> =>
    (await openSource([picked('m/config.json', text)])).id;
  expect(await id('12')).toBe(await id('34'));
  expect(await id('12')).not.toBe(await id('123'));
});

test('a stream yields exactly the bytes asked for, in order', async () => {
  const big = Uint8Array.from({ length: 9_000_000 }, (_, i) => (i * 7 + (i >> 11)) & 0xff);
  const source = await openSource([picked('m/model.safetensors', big)]);
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  const range = { path: 'model.safetensors', offsetBytes: 5, sizeBytes: 8_999_990 };
  for await (const bytes of source.stream(range)) pieces.push(bytes);
  const joined = new Uint8Array(await new Blob(pieces).arrayBuffer());
  expect(joined.length).toBe(8_999_990);
  expect(Buffer.compare(joined, big.subarray(5, 8_999_995))).toBe(0);
});

test('a directory handle is read with its subdirectories', async () => {
  const file = (name: string, text: string) => ({
    kind: 'file',
    name,
    getFile: async () => new File([text], name, { lastModified: 1 }),
  });
  const directory = (name: string, entries: { name: string }[]): object => ({
    kind: 'directory',
    name,
    async *entries() {
      for (const entry of entries) yield [entry.name, entry];
    },
  });
  const handle = directory('picked', [
    file('config.json', 'outer'),
    directory('original', [file('config.json', 'inner')]) as { name: string },
  ]);
  const source = await openSource(handle as FileSystemDirectoryHandle);
  expect(source.id).toMatch(/^files:picked#/);
  expect(new TextDecoder().decode(await readAll(source, 'original/config.json'))).toBe('inner');
});

test('files on disk are read in place in Node, and fail once they have changed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ossicle-'));
  try {
    await writeFile(join(folder, 'config.json'), BYTES);
    const file = new File([await openAsBlob(join(folder, 'config.json'))], 'config.json');
    const source = await openSource([file]);
    const into = new Uint8Array(100);
    await source.read({ path: 'config.json', offsetBytes: 300 }, into);
    expect(into).toEqual(BYTES.slice(300, 400));
    await writeFile(join(folder, 'config.json'), 'changed');
    await expect(
      source.read({ path: 'config.json', offsetBytes: 300 }, into),
    ).rejects.toMatchObject({
      code: 'download-failed',
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
