// Downloads of Hugging Face repos and GGUF files into the store, and loads from it, in Chrome.
import { beforeEach, describe, expect, inject, test } from 'vitest';
import { type FaultRule, FaultSession } from '../../test/fault-session.ts';
import { createGguf } from '../../test/gguf-checkpoint.ts';
import { readTiny, readTinyGguf } from '../../test/golden.ts';
import { StoreWorker } from '../../test/store-client.ts';
import { store } from '../page/model-store.ts';
import { toHex } from '../sha256.ts';
import { PUBLISHED_HASHES } from '../store/integrity.ts';
import { readManifest } from '../store/manifest.ts';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const TENSOR = 'block.2.attn.qkv.weight';
const STOPPED: FaultRule = { fault: { kind: 'status', status: 500 } };

let worker: StoreWorker;

beforeEach(async () => {
  for (const model of await store.list()) await store.remove(model.id);
  worker = new StoreWorker();
  return () => worker.end();
});

async function sha256(file: Blob): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
  return toHex(new Uint8Array(hash));
}

/** A mirror of Hugging Face with one repo; `hashes` overrides the published SHA-256 of its large files. */
async function startMirror(
  repo: string,
  revision: string,
  files: readonly File[],
  hashes: Readonly<Record<string, string>> = {},
): Promise<FaultSession> {
  const siblings = await Promise.all(
    files.map(async (file) => ({
      rfilename: file.name,
      ...(/\.(gguf|safetensors)$/.test(file.name) && {
        lfs: { sha256: hashes[file.name] ?? (await sha256(file)), size: file.size },
      }),
    })),
  );
  const session = await FaultSession.start(inject('faultServer'), {
    json: { [`api/models/${repo}/revision/${revision}`]: { sha: COMMIT, siblings } },
  });
  for (const file of files) await session.put(`${repo}/resolve/${COMMIT}/${file.name}`, file);
  return session;
}

/** The id in the store of a repo that was read through a mirror. */
const mirrored = (id: string, { url }: FaultSession): string =>
  `${id} via ${url.replace(/\/$/, '')}`;

/** Loads from the store, and fails if that sends any request to the server. */
async function expectStored(session: FaultSession, id: string): Promise<void> {
  await session.script(STOPPED);
  const loaded = await worker.call('load', id, TENSOR);
  expect(loaded?.config.num_hidden_layers).toBe(4);
  expect(loaded?.parts[0]?.some((byte) => byte !== 0)).toBe(true);
  expect(loaded?.requests).toEqual([]);
  expect(await session.log()).toEqual([]);
}

describe('a repo', () => {
  const cases: [string, () => Promise<readonly File[]>, string][] = [
    ['with one GGUF file', async () => [await readTinyGguf()], 'model.gguf'],
    [
      'with a split GGUF file',
      async () => {
        const { config, tensors } = await readTiny('hf');
        const parts = createGguf(config, tensors, { parts: 3 });
        return parts.map((file) => new File([file], `BF16/${file.name}`));
      },
      'BF16/model-00002-of-00003.gguf',
    ],
    [
      'with safetensors files and a GGUF file',
      async () => [...(await readTiny('hf')).files, await readTinyGguf()],
      'model-00001-of-00002.safetensors',
    ],
  ];

  test.each(cases)(
    '%s is stored with its commit and its hashes, and loads without a server',
    async (_, read, path) => {
      const files = await read();
      const session = await startMirror('o/n', 'v2', files);
      const huggingFace = { baseUrl: session.url, token: 'hf_secret' };
      await worker.call('download', 'o/n@v2', { huggingFace });
      const log = await session.log();
      expect(new Set(log.map(({ authorization }) => authorization))).toEqual(
        new Set(['Bearer hf_secret']),
      );
      expect(log.slice(1).every((record) => record.path.startsWith(`o/n/resolve/${COMMIT}/`))).toBe(
        true,
      );
      const id = mirrored('o/n@v2', session);
      const { origin } = new URL(session.url);
      expect(await store.list()).toMatchObject([{ id, origin, revision: COMMIT, complete: true }]);
      const manifest = await readManifest(id);
      const file = manifest?.files.find((stored) => stored.path === path);
      const published = files.find(({ name }) => name === path);
      expect(file).toMatchObject({ sha256: await sha256(published!), isConfirmed: true });
      await expectStored(session, id);
    },
  );

  test('with several GGUF models lists them in the error, and one can be chosen by its path', async () => {
    const file = await readTinyGguf();
    const names = ['a.gguf', 'F16/b.gguf'];
    const session = await startMirror(
      'o/n',
      'main',
      names.map((name) => new File([file], name)),
    );
    const huggingFace = { baseUrl: session.url };
    await expect(worker.call('download', 'o/n', { huggingFace })).rejects.toMatchObject({
      code: 'format-invalid',
      message: expect.stringMatching(/F16\/b\.gguf, a\.gguf.*"o\/n\/F16\/b\.gguf"/),
    });
    await worker.call('download', 'o/n/F16/b.gguf', { huggingFace });
    const id = mirrored('o/n/F16/b.gguf@main', session);
    const manifest = await readManifest(id);
    expect(manifest?.files).toMatchObject([{ path: 'F16/b.gguf', isConfirmed: true }]);
    await expectStored(session, id);
  });

  test('is not served as what huggingface.co or another mirror would have', async () => {
    const session = await startMirror('o/n', 'main', [await readTinyGguf()]);
    await worker.call('download', 'o/n', { huggingFace: { baseUrl: session.url } });
    expect(await worker.call('load', 'o/n@main', TENSOR)).toBeUndefined();
    const other = await startMirror('o/n', 'main', [await readTinyGguf()]);
    await worker.call('download', 'o/n', { huggingFace: { baseUrl: other.url } });
    expect(await other.sentBytes('model.gguf')).toBeGreaterThan(0);
    expect((await store.list()).map(({ id }) => id)).toEqual(
      [other, session].map((mirror) => mirrored('o/n@main', mirror)),
    );
  });

  test('whose bytes do not match the published hash is rejected', async () => {
    const hashes = { 'model.gguf': 'ab'.repeat(32) };
    const session = await startMirror('o/n', 'main', [await readTinyGguf()], hashes);
    await expect(
      worker.call('download', 'o/n', { huggingFace: { baseUrl: session.url } }),
    ).rejects.toMatchObject({
      code: 'integrity',
      message: expect.stringMatching(/model\.gguf.*must have abab/),
    });
    expect(await store.list()).toMatchObject([{ complete: false, sizeBytes: 0 }]);
  });

  test('on a mirror without metadata is checked against the hashes in the file headers', async () => {
    const file = await readTinyGguf();
    const path = 'o/n/resolve/main/model.gguf';
    for (const hash of [await sha256(file), 'cd'.repeat(32)]) {
      const headers = { 'X-Linked-ETag': `"${hash}"` };
      const session = await FaultSession.start(inject('faultServer'), { headers });
      await session.put(path, file);
      const download = worker.call('download', 'o/n/model.gguf', {
        huggingFace: { baseUrl: session.url },
      });
      if (hash.startsWith('cdcd')) {
        await expect(download).rejects.toMatchObject({
          code: 'integrity',
          message: expect.stringContaining(hash),
        });
      } else {
        await download;
        await store.remove(mirrored('o/n/model.gguf@main', session));
      }
    }
  });
});

describe('openai/gpt-oss-20b', () => {
  test('has its published hashes for the revision main', () => {
    expect(PUBLISHED_HASHES).toEqual({
      'openai/gpt-oss-20b@main': {
        'config.json': '3a2a26ded679375b7928ddeca59764df7cea83220c1961035f6d6e232659e9ce',
        'model.safetensors.index.json':
          '0e085b977c4c9942f85938828e8c989ed7d5cdabf852e4da6a67c116cd502cd1',
        'model-00000-of-00002.safetensors':
          '16d0f997dcfc4462089d536bffe51b4bcea2f872f5c430be09ef8ed392312427',
        'model-00001-of-00002.safetensors':
          '4fbe328ab445455d6f58dc73852b85873bd626986310abd91cd4d2ce3245eaea',
        'model-00002-of-00002.safetensors':
          'a18106b209e9ab35c3406db4f6f12a927364a058b21e9d1373d682e20674b303',
        'original/model.safetensors':
          '3340a61d1a0391e8c5b5d3463d18d4c48129a84bbc04a554c762c99020aa06ed',
        'tokenizer.json': '0614fe83cadab421296e664e1f48f4261fa8fef6e03e63bb75c20f38e37d07d3',
      },
    });
  });

  const FILE = 'model-00000-of-00002.safetensors';

  test.each([
    ['openai/gpt-oss-20b', 'main', false],
    ['openai/gpt-oss-20b', 'other', true],
    ['openai/gpt-oss-20b-finetune', 'main', true],
  ])('%s@%s with other bytes from a mirror: downloads %s', async (repo, revision, loads) => {
    const file = new File(['other bytes'], FILE);
    const session = await startMirror(repo, revision, [file]);
    const files = [{ path: FILE, sizeBytes: file.size }];
    const huggingFace = { baseUrl: session.url };
    const download = worker.call('download', `${repo}@${revision}`, { files, huggingFace });
    if (loads) return void (await download);
    await expect(download).rejects.toMatchObject({
      code: 'integrity',
      message: expect.stringMatching(/model-00000.*must have 16d0f997dcfc/),
    });
  });
});

test('a split GGUF file from any server is stored whole, and loads without a server', async () => {
  const { config, tensors } = await readTiny('hf');
  const session = await FaultSession.start(inject('faultServer'), {});
  const parts = createGguf(config, tensors, { parts: 3 });
  for (const file of parts) await session.put(file.name, file);
  const address = `${session.url}model-00002-of-00003.gguf`;
  await worker.call('download', address);
  expect(await store.list()).toMatchObject([
    { id: address, complete: true, totalBytes: parts.reduce((sum, { size }) => sum + size, 0) },
  ]);
  await expectStored(session, address);
});
