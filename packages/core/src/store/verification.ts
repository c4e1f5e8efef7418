import {
  chunkHash,
  chunkSize,
  type Manifest,
  modelBytes,
  noteChunk,
  readManifest,
  type StoredFile,
  updateManifest,
  withHashes,
  withoutChunks,
} from './manifest.ts';
import { ignoreNotFound, lockModel, openModelDirectory, openRoot } from './stored-models.ts';
import { fileName, openSync, type SyncFile } from './stored-source.ts';

/** Bytes of a stored file that are not those that were downloaded. */
export interface DamagedChunk {
  /** The file's path within the model. */
  readonly path: string;
  /** The number of the chunk in its file, from 0. */
  readonly chunk: number;
  /** Where it begins in its file. */
  readonly offsetBytes: number;
  /** How long it is. */
  readonly sizeBytes: number;
}

/** What checking a stored model found. */
export interface VerifyResult {
  /** Whether every byte that is stored is the one that was downloaded. */
  readonly isIntact: boolean;
  /** What is not. It counts as missing from now on: the next load fetches it again, and nothing else. */
  readonly damaged: readonly DamagedChunk[];
  /** Bytes that were read. */
  readonly checkedBytes: number;
}

/** Options of operations that take their time. */
export interface TaskOptions {
  /** Called with each chunk. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Stops the operation. */
  readonly signal?: AbortSignal;
}

/**
 * Reads all that is stored of a model, and compares it with the SHA-256 of its chunks: only in workers.
 *
 * @throws RangeError where nothing is stored under that id. `signal.reason`.
 */
export async function verifyStoredModel(
  id: string,
  { onProgress, signal }: TaskOptions = {},
): Promise<VerifyResult> {
  const release = await lockModel(id, 'shared', signal);
  try {
    const manifest = await readManifest(id);
    if (!manifest) throw notStored(id);
    const directory = await openModelDirectory(await openRoot(), id);
    const totalBytes = modelBytes(manifest);
    const options = { signal, onBytes: (done: number) => onProgress?.(done, totalBytes) };
    onProgress?.(0, totalBytes);
    const damaged = await findDamage(manifest, directory, options);
    await updateManifest(id, (now) => withoutChunks(withHashes(now, manifest), damaged));
    return { isIntact: damaged.length === 0, damaged, checkedBytes: totalBytes };
  } finally {
    release();
  }
}

/** The error for a model that is not there. */
export function notStored(id: string): RangeError {
  return new RangeError(
    `No model is stored under the id ${JSON.stringify(id)}; store.list() tells those that are`,
  );
}

/** How {@link findDamage} goes about. */
interface DamageOptions {
  /** Whether only the first chunk of each file is read. */
  readonly isQuick?: boolean;
  /** Called with the bytes that were checked so far. */
  readonly onBytes?: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Finds stored chunks that do not have their SHA-256; where that is not known, it is noted as {@link ChunkReader.read} does. */
export async function findDamage(
  manifest: Manifest,
  directory: FileSystemDirectoryHandle | undefined,
  { isQuick = false, onBytes, signal }: DamageOptions,
): Promise<DamagedChunk[]> {
  const damaged: DamagedChunk[] = [];
  const reader = new ChunkReader();
  let checkedBytes = 0;
  for (const record of manifest.files) {
    const handle = await directory?.getFileHandle(fileName(record.path)).catch(ignoreNotFound);
    const file = handle && (await openSync(handle, 'read-only'));
    try {
      const end = isQuick ? Math.min(1, record.isStored.length) : record.isStored.length;
      for (let chunk = 0; chunk < end; chunk++) {
        if (record.isStored[chunk] === 0) continue;
        signal?.throwIfAborted();
        const offsetBytes = chunk * manifest.chunkBytes;
        const sizeBytes = chunkSize(record, manifest.chunkBytes, chunk);
        if (!(await reader.read(record, manifest.chunkBytes, chunk, file))) {
          damaged.push({ path: record.path, chunk, offsetBytes, sizeBytes });
        }
        checkedBytes += sizeBytes;
        onBytes?.(checkedBytes);
      }
    } finally {
      file?.close();
    }
  }
  return damaged;
}

/** Reads stored chunks one after another, into one memory. */
export class ChunkReader {
  #memory = new Uint8Array(0);

  /**
   * The bytes of a stored chunk, valid until the next one is read.
   *
   * @param file - The stored file; `undefined` where it is gone.
   * @returns `undefined` where they are not those that were downloaded. Where their hash is not known it is noted in the
   * record, which is not written.
   */
  async read(
    record: StoredFile,
    chunkBytes: number,
    chunk: number,
    file: SyncFile | undefined,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const start = chunk * chunkBytes;
    const sizeBytes = chunkSize(record, chunkBytes, chunk);
    if (!file) return undefined;
    if (this.#memory.length < sizeBytes) this.#memory = new Uint8Array(sizeBytes);
    const bytes = this.#memory.subarray(0, sizeBytes);
    try {
      if (file.read(bytes, { at: start }) !== sizeBytes) return undefined;
    } catch {
      return undefined; // what cannot be read is damaged
    }
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    const expected = chunkHash(record, chunk);
    if (!expected) noteChunk(record, chunk, hash);
    return expected?.some((byte, i) => byte !== hash[i]) ? undefined : bytes;
  }
}
