import type { TaskOptions } from '../types/task.ts';
import { ChunkReader } from './chunk-reader.ts';
import {
  chunkRange,
  type Manifest,
  readManifest,
  storedBytes,
  updateManifest,
  withoutChunks,
} from './manifest.ts';
import { fileName, ignoreNotFound, lockModel, openModelDirectory, openSync } from './opfs.ts';
import { notStored } from './stored-models.ts';

/** A part of a stored file that differs from what was downloaded. */
export interface DamagedChunk {
  /** The file's path within the model. */
  readonly path: string;
  /** The number of the chunk in its file, starting at 0. */
  readonly chunk: number;
  /** The offset of the chunk in its file. */
  readonly offsetBytes: number;
  /** The size of the chunk. */
  readonly sizeBytes: number;
}

/** The result of verifying a stored model. */
export interface VerifyResult {
  /** Whether every stored byte is the one that was downloaded. */
  readonly isIntact: boolean;
  /** The chunks that differ. They count as missing from now on: the next load fetches them, and nothing else. */
  readonly damaged: readonly DamagedChunk[];
  /** The number of bytes read. */
  readonly checkedBytes: number;
}

/**
 * Reads the stored part of a model, and compares it with the SHA-256 of its chunks. Only in workers.
 *
 * @throws RangeError if nothing is stored under that id. `signal.reason`.
 */
export async function verifyStoredModel(
  id: string,
  { onProgress, signal }: Omit<TaskOptions, 'worker'> = {},
): Promise<VerifyResult> {
  const release = await lockModel(id, 'shared', signal);
  try {
    const manifest = await readManifest(id);
    if (!manifest) throw notStored(id);
    const checkedBytes = storedBytes(manifest);
    onProgress?.(0, checkedBytes);
    const damaged = await findDamage(manifest, await openModelDirectory(id), {
      signal,
      onBytes: (doneBytes) => onProgress?.(doneBytes, checkedBytes),
    });
    await updateManifest(id, (now) => withoutChunks(now, damaged));
    return { isIntact: damaged.length === 0, damaged, checkedBytes };
  } finally {
    release();
  }
}

/** Options of {@link findDamage}. */
interface DamageOptions {
  /** Whether to check only the first chunk of each file. */
  readonly isQuick?: boolean;
  readonly onBytes?: (checkedBytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Finds stored chunks that do not have their SHA-256. */
export async function findDamage(
  manifest: Manifest,
  directory: FileSystemDirectoryHandle | undefined,
  { isQuick = false, onBytes, signal }: DamageOptions,
): Promise<DamagedChunk[]> {
  const { chunkBytes } = manifest;
  const damaged: DamagedChunk[] = [];
  const reader = new ChunkReader(chunkBytes);
  let checkedBytes = 0;
  for (const record of manifest.files) {
    const { path, isStored } = record;
    const file = await directory?.getFileHandle(fileName(path)).catch(ignoreNotFound);
    const handle = file && (await openSync(file, 'read-only'));
    try {
      for (const chunk of isStored.subarray(0, isQuick ? 1 : undefined).keys()) {
        if (isStored[chunk] === 0) continue;
        signal?.throwIfAborted();
        const range = chunkRange(record, chunkBytes, chunk);
        const bytes = handle && (await reader.read({ record, handle }, chunk));
        if (!bytes) damaged.push({ path, chunk, ...range });
        checkedBytes += range.sizeBytes;
        onBytes?.(checkedBytes);
      }
    } finally {
      handle?.close();
    }
  }
  return damaged;
}
