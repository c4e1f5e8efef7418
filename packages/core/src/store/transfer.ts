// Stored models as folders: out of the browser, and back in.
import { OssicleError } from '../errors.ts';
import { openCheckpoint } from '../formats/open-checkpoint.ts';
import { toHex } from '../sha256.ts';
import { type ByteSource, isSafePath } from '../sources/byte-source.ts';
import { openSource } from '../sources/open-source.ts';
import type { ModelSource } from '../types/load.ts';
import { CHUNK_BYTES, isComplete, type Manifest, readManifest } from './manifest.ts';
import { type DownloadOptions, type ModelFiles, openStore } from './store.ts';
import { lockModel, openModelDirectory, openRoot } from './stored-models.ts';
import { fileName, openSync } from './stored-source.ts';
import { ChunkReader, notStored, type TaskOptions } from './verification.ts';

/** The file that tells what an exported folder holds. */
const DESCRIPTION = 'ossicle.json';

const MAX_DESCRIPTION_BYTES = 16 * 2 ** 20;

/** What {@link DESCRIPTION} says. */
interface Description {
  readonly id: string;
  readonly revision?: string | undefined;
  readonly chunkBytes: number;
  readonly files: readonly {
    readonly path: string;
    readonly sizeBytes: number;
    /** The SHA-256 of each chunk, one after another, in hexadecimal digits. */
    readonly chunkHashes: string;
  }[];
}

/**
 * Writes a stored model into a folder: its files as they were published, and a description by which they can be imported.
 * Each chunk is checked before it is written. Only in workers.
 *
 * @throws RangeError where it is not stored whole. {@link OssicleError} `integrity` where what is stored is damaged. `signal.reason`.
 */
export async function exportStoredModel(
  id: string,
  target: FileSystemDirectoryHandle,
  { onProgress, signal }: TaskOptions = {},
): Promise<void> {
  const release = await lockModel(id, 'shared', signal);
  try {
    const manifest = await readManifest(id);
    const directory = await openModelDirectory(await openRoot(), id);
    if (!manifest || !directory || !isComplete(manifest)) throw notStored(id);
    const totalBytes = manifest.files.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
    const reader = new ChunkReader();
    let doneBytes = 0;
    onProgress?.(0, totalBytes);
    for (const record of manifest.files) {
      const handle = await directory.getFileHandle(fileName(record.path));
      const stored = await openSync(handle, 'read-only');
      try {
        await writeFile(target, record.path, async (write) => {
          for (const chunk of record.isStored.keys()) {
            signal?.throwIfAborted();
            const bytes = await reader.read(record, manifest.chunkBytes, chunk, stored);
            if (!bytes) throw damaged(manifest, record.path, chunk);
            await write(bytes);
            doneBytes += bytes.byteLength;
            onProgress?.(doneBytes, totalBytes);
          }
        });
      } finally {
        stored.close();
      }
    }
    const description = JSON.stringify(describe(manifest), null, 1);
    await writeFile(target, DESCRIPTION, (write) => write(description));
  } finally {
    release();
  }
}

/**
 * Stores a model from files, as a download of it would have: only in workers.
 *
 * @param id - What it will be known by. Default: what the folder's description says.
 * @returns The id.
 * @throws TypeError where neither says. {@link OssicleError} `format-invalid`, `integrity`, `storage-full`;
 * `storage-unavailable` where there is no store.
 */
export async function importModel(
  files: Exclude<ModelSource, string | URL>,
  id: string | undefined,
  options: Omit<DownloadOptions, 'integrity' | 'chunkHashes'>,
): Promise<string> {
  const store: ModelFiles | undefined = await openStore();
  if (!store) {
    throw new OssicleError(
      'storage-unavailable',
      'The browser does not let this page store files, as in some private windows. Load the files without storing them.',
    );
  }
  const source = await openSource(files);
  const description = await readDescription(source, options.signal);
  const known = id === undefined ? description?.id : (await openSource(id)).id;
  if (known === undefined) {
    throw new TypeError(
      `The files have no ${DESCRIPTION}: name the model that they are, for example { id: 'openai/gpt-oss-20b' }`,
    );
  }
  const checkpoint = await openCheckpoint(source, options.signal);
  await store.download(renamed(source, known, description), checkpoint.files, {
    ...options,
    chunkHashes: description && hashesOf(description),
  });
  return known;
}

/** Writes a file below a folder. Where `fill` fails, an empty file stays, or the one that was there. */
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
    await file.abort().catch(() => undefined); // the first error is the one to tell
    throw error;
  }
}

function damaged({ id, chunkBytes }: Manifest, path: string, chunk: number): OssicleError {
  return new OssicleError(
    'integrity',
    `The stored ${path} of ${id} is damaged from byte ${chunk * chunkBytes} on. Verify the model and load it again; then export it.`,
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

/** Reads the description; `undefined` where there is none that can be used. */
async function readDescription(
  source: ByteSource,
  signal: AbortSignal | undefined,
): Promise<Description | undefined> {
  const bytes = await source.readAll(DESCRIPTION, signal, MAX_DESCRIPTION_BYTES);
  if (!bytes) return undefined;
  let value: Partial<Description> | null;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
  const isUsable =
    typeof value?.id === 'string' &&
    value.chunkBytes === CHUNK_BYTES &&
    Array.isArray(value.files) &&
    value.files.every(
      (file) =>
        typeof file?.path === 'string' &&
        isSafePath(file.path) &&
        typeof file.chunkHashes === 'string' &&
        /^([0-9a-f]{64})*$/.test(file.chunkHashes),
    );
  return isUsable ? (value as Description) : undefined;
}

function hashesOf({ files }: Description): ReadonlyMap<string, Uint8Array> {
  return new Map(
    files.map(({ path, chunkHashes }) => [
      path,
      Uint8Array.from(chunkHashes.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16)),
    ]),
  );
}

/** The files under the id that the model is known by. */
function renamed(source: ByteSource, id: string, description: Description | undefined): ByteSource {
  return {
    id,
    revision: description?.revision,
    size: (...args) => source.size(...args),
    read: (...args) => source.read(...args),
    readAll: (...args) => source.readAll(...args),
    stream: (...args) => source.stream(...args),
  };
}
