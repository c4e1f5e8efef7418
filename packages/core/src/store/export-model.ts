import { OssicleError } from '../errors.ts';
import { toHex } from '../sha256.ts';
import { totalBytes } from '../sources/byte-source.ts';
import type { TaskOptions } from '../types/task.ts';
import { ChunkReader } from './chunk-reader.ts';
import { isComplete, type Manifest, readManifest } from './manifest.ts';
import { fileName, lockModel, openModelDirectory, openSync } from './opfs.ts';
import { notStored } from './stored-models.ts';

/** The file that describes an exported folder. */
export const DESCRIPTION = 'ossicle.json';

/** The contents of {@link DESCRIPTION}. */
export interface Description {
  readonly id: string;
  readonly revision?: string | undefined;
  readonly chunkBytes: number;
  readonly files: readonly {
    readonly path: string;
    readonly sizeBytes: number;
    /** The SHA-256 of each chunk, concatenated, in hexadecimal digits. */
    readonly chunkHashes: string;
  }[];
}

/**
 * Writes a stored model to a folder: its files as published, and a description for importing them. Checks each chunk
 * before it is written. Only in workers.
 *
 * @throws RangeError if the model is not stored whole. {@link OssicleError} `integrity` if it is damaged.
 * `signal.reason`.
 */
export async function exportStoredModel(
  id: string,
  target: FileSystemDirectoryHandle,
  { onProgress, signal }: Omit<TaskOptions, 'worker'> = {},
): Promise<void> {
  const release = await lockModel(id, 'shared', signal);
  try {
    const manifest = await readManifest(id);
    const directory = await openModelDirectory(id);
    if (!manifest || !directory || !isComplete(manifest)) throw notStored(id);
    const allBytes = totalBytes(manifest.files);
    const reader = new ChunkReader(manifest.chunkBytes);
    let doneBytes = 0;
    onProgress?.(0, allBytes);
    for (const record of manifest.files) {
      const file = await directory.getFileHandle(fileName(record.path));
      const handle = await openSync(file, 'read-only');
      try {
        await writeFile(target, record.path, async (write) => {
          for (const chunk of record.isStored.keys()) {
            signal?.throwIfAborted();
            const bytes = await reader.read({ record, handle }, chunk);
            if (!bytes) throw damaged(manifest, record.path, chunk);
            await write(bytes);
            doneBytes += bytes.byteLength;
            onProgress?.(doneBytes, allBytes);
          }
        });
      } finally {
        handle.close();
      }
    }
    const description = JSON.stringify(describe(manifest), null, 1);
    await writeFile(target, DESCRIPTION, (write) => write(description));
  } finally {
    release();
  }
}

/** Writes a file below a folder. If `fill` fails, the file stays as it was, or empty. */
async function writeFile(
  folder: FileSystemDirectoryHandle,
  path: string,
  fill: (write: (data: FileSystemWriteChunkType) => Promise<void>) => Promise<void>,
): Promise<void> {
  const parts = path.split('/');
  const name = parts.pop() as string;
  let inner = folder;
  for (const part of parts) inner = await inner.getDirectoryHandle(part, { create: true });
  const file = await (await inner.getFileHandle(name, { create: true })).createWritable();
  try {
    await fill((data) => file.write(data));
    await file.close();
  } catch (error) {
    await file.abort().catch(() => undefined); // the first error counts
    throw error;
  }
}

function damaged({ id, chunkBytes }: Manifest, path: string, chunk: number): OssicleError {
  return new OssicleError(
    'integrity',
    `The stored ${path} of ${id} is damaged at byte ${chunk * chunkBytes} or after. Verify the model and load it again; ` +
      'then export it.',
  );
}

function describe({ id, revision, chunkBytes, files }: Manifest): Description {
  return {
    id,
    revision,
    chunkBytes,
    files: files.map(({ path, sizeBytes, hashes }) => ({
      path,
      sizeBytes,
      chunkHashes: toHex(hashes),
    })),
  };
}
