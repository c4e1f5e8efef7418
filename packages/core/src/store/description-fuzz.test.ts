import fc from 'fast-check';
import { expect, test } from 'vitest';
import { changed, fuzz, jsonValue } from '../../test/fuzz.ts';
import { type ByteSource, isSafePath } from '../sources/byte-source.ts';
import { hashesOf, readDescription } from './import-model.ts';
import { CHUNK_BYTES } from './manifest.ts';

const description = {
  id: 'openai/gpt-oss-20b@main',
  revision: 'c',
  chunkBytes: CHUNK_BYTES,
  files: [
    { path: 'config.json', sizeBytes: 5, chunkHashes: 'a'.repeat(64) },
    { path: 'original/model.safetensors', sizeBytes: 5, chunkHashes: '0'.repeat(128) },
  ],
};
const value = fc.oneof(
  jsonValue,
  fc.constantFrom(
    '../a',
    'import:a/b',
    'https://a.test/b/',
    'a/b via https://c.test',
    'A'.repeat(64),
  ),
);
const bytes = fc
  .tuple(changed(description, value), fc.nat(400), fc.nat(5))
  .map(([json, at, cut]) => {
    const encoded = new TextEncoder().encode(text(json));
    if (cut > 1) return encoded;
    if (cut === 1) return encoded.subarray(0, at);
    if (at < encoded.length) encoded[at]! ^= 1 << (at % 8);
    return encoded;
  });

test('any ossicle.json is read as safe paths and whole hashes, or ignored', () =>
  fuzz('ossicle.json', bytes, async (contents) => {
    const read = await readDescription(sourceOf(contents), undefined);
    if (!read) return;
    expect(read.id).toMatch(/^\S/);
    expect(read.id).not.toMatch(/^import:/);
    expect(['string', 'undefined']).toContain(typeof read.revision);
    for (const [path, hashes] of hashesOf(read)) {
      expect(isSafePath(path)).toBe(true);
      expect(hashes.length % 32).toBe(0);
    }
  }));

test('hashes of any length are checked', async () => {
  const files = [{ path: 'a', chunkHashes: 'a'.repeat(15 * 2 ** 20) }];
  const read = (json: unknown) =>
    readDescription(sourceOf(new TextEncoder().encode(JSON.stringify(json))), undefined);
  await expect(read({ ...description, files })).resolves.toMatchObject({ files });
  await expect(
    read({ ...description, files: [{ path: 'a', chunkHashes: 'a'.repeat(63) }] }),
  ).resolves.toBeUndefined();
});

/** As JSON; what is too deep for that becomes text that is no JSON. */
function text(json: unknown): string {
  try {
    return JSON.stringify(json) ?? '';
  } catch {
    return '{"id":'.repeat(20_000);
  }
}

function sourceOf(contents: Uint8Array<ArrayBuffer>): ByteSource {
  return {
    id: 'memory',
    list: async () => ['ossicle.json'],
    size: async () => contents.length,
    read: async () => {},
    async *stream() {
      yield contents;
    },
  };
}
