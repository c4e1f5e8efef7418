import { expect, test } from 'vitest';
import type { Manifest } from './manifest.ts';
import { StoredSource } from './stored-source.ts';

test.each([
  ['NoModificationAllowedError', 'model-in-use', 'another tab'],
  ['NotFoundError', 'storage-unavailable', 'may have been cleared'],
])('a stored file that fails to open with %s is reported as %s', async (name, code, message) => {
  const cause = new DOMException('no', name);
  const manifest = { id: 'o/n@main', files: [{ path: 'a', sizeBytes: 4 }] } as unknown as Manifest;
  const directory = { getFileHandle: () => Promise.reject(cause) };
  const source = new StoredSource(
    manifest,
    directory as unknown as FileSystemDirectoryHandle,
    () => undefined,
  );
  await expect(source.read({ path: 'a', offsetBytes: 0 }, new Uint8Array(4))).rejects.toMatchObject(
    {
      code,
      message: expect.stringContaining(message),
      cause,
    },
  );
});
