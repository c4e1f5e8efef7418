import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { changed, clonedValue, fuzz } from '../../test/fuzz.ts';
import { totalBytes } from '../sources/byte-source.ts';
import {
  chunkHash,
  isComplete,
  readManifest,
  readManifests,
  readOwners,
  storedBytes,
  withoutChunks,
} from './manifest.ts';

const database = vi.hoisted(() => ({ record: undefined as unknown }));
vi.mock('idb-keyval', () => ({
  createStore: () => undefined,
  get: async () => database.record,
  keys: async () => ['a/b@main'],
  values: async () => [database.record],
}));

const file = {
  path: 'model.safetensors',
  sizeBytes: 40,
  version: { sizeBytes: 40, etag: '"a"' },
  isStored: new Uint8Array([1, 0, 1]),
  hashes: new Uint8Array(96).fill(1),
  sha256: 'a'.repeat(64),
  isConfirmed: false,
  hashed: { chunks: 1, state: new Uint8Array(108) },
};
const manifest = {
  version: 2,
  id: 'a/b@main',
  revision: 'c',
  chunkBytes: 16,
  files: [
    file,
    {
      ...file,
      path: 'config.json',
      sizeBytes: 0,
      isStored: new Uint8Array(0),
      hashed: undefined,
      hashes: new Uint8Array(0),
    },
  ],
  storedAt: 1,
  usedAt: 2,
};
const record = changed(
  manifest,
  fc.oneof(
    clonedValue,
    fc.constantFrom(-16, -1, 16, 48, new Uint8Array([2, 2, 255]), new Uint8Array(96)),
  ),
);

test('any record of the database is read as a manifest that adds up, or ignored', () =>
  fuzz('manifest', record, async (value) => {
    database.record = value;
    const read = await readManifest('a/b@main');
    expect((await readManifests()).length).toBeLessThanOrEqual(1);
    expect((await readOwners()).length).toBeLessThanOrEqual(1);
    if (!read) return;
    expect(typeof isComplete(read)).toBe('boolean');
    for (const { path, isStored, sha256, version } of read.files) {
      const chunk = Math.max(0, isStored.length - 1);
      expect(['undefined', 'string']).toContain(typeof sha256);
      expect(version?.sizeBytes).not.toBeNull();
      for (const file of read.files) expect(chunkHash(file, chunk)?.length ?? 32).toBe(32);
      const less = withoutChunks(read, [{ path, chunk }]);
      expect(storedBytes(less)).toBeLessThanOrEqual(storedBytes(read));
    }
    expect(storedBytes(read)).toBeGreaterThanOrEqual(0);
    expect(storedBytes(read)).toBeLessThanOrEqual(totalBytes(read.files));
  }));

test.each([
  ['negative sizes', { chunkBytes: -16, files: [{ ...file, sizeBytes: -40 }] }],
  ['a size that rounds to no chunks', { files: [{ ...manifest.files[1], sizeBytes: -1 }] }],
  ['chunks that are stored twice', { files: [{ ...file, isStored: new Uint8Array([1, 2, 1]) }] }],
  ['a hash that is no text', { files: [{ ...file, sha256: 5 }] }],
  [
    'the state of more chunks than there are',
    { files: [{ ...file, hashed: { ...file.hashed, chunks: 4 } }] },
  ],
  ['holes instead of files', { files: new Array(2) }],
])('a record with %s is ignored', async (_, change) => {
  database.record = { ...manifest, ...change };
  await expect(readManifest('a/b@main')).resolves.toBeUndefined();
  database.record = manifest;
  await expect(readManifest('a/b@main')).resolves.toBe(manifest);
});
