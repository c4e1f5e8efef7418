import { toHex } from '../sha256.ts';
import { type Integrity, publishedHashes } from './integrity.ts';
import {
  chunkRange,
  isComplete,
  type Manifest,
  type ManifestFile,
  readManifest,
} from './manifest.ts';
import { fileSize, openModelDirectory } from './opfs.ts';

/** Reads the manifest of a model whose files are all whole, and have the known hashes and those in `integrity`. */
export async function readComplete(
  id: string,
  integrity: Integrity = {},
): Promise<Manifest | undefined> {
  const manifest = await readManifest(id);
  if (!manifest || !isComplete(manifest)) return undefined;
  const expected: Integrity = { ...publishedHashes(id), ...integrity };
  if (!manifest.files.every((file) => hasSha256(file, expected[file.path]))) return undefined;
  return isComplete(await withPresentChunks(manifest)) ? manifest : undefined;
}

/** Returns a manifest without the chunks that its files are too short for: browsers can lose files, and users clear them. */
export async function withPresentChunks(manifest: Manifest): Promise<Manifest> {
  const { id, chunkBytes } = manifest;
  const directory = await openModelDirectory(id);
  const files = manifest.files.map(async (file): Promise<ManifestFile> => {
    const sizeBytes = (directory && (await fileSize(directory, file.path))) ?? -1;
    const isStored = file.isStored.map((stored, chunk) => {
      const range = chunkRange(file, chunkBytes, chunk);
      return range.offsetBytes + range.sizeBytes <= sizeBytes ? stored : 0;
    });
    return { ...file, isStored };
  });
  return { ...manifest, files: await Promise.all(files) };
}

/** Whether a whole file is known to have a SHA-256. That of a file of one chunk is the chunk's. */
function hasSha256(file: ManifestFile, expected: string | undefined): boolean {
  if (expected === undefined || (file.isConfirmed && file.sha256 === expected)) return true;
  return file.isStored.length === 1 && toHex(file.hashes) === expected;
}
