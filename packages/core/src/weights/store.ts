import { isOssicleError, OssicleError } from '../errors.ts';
import { type ByteSource, truncated } from './byte-source.ts';
import type { CheckpointFile } from './checkpoint.ts';
import {
  directoryName,
  ignoreNotFound,
  isComplete,
  lockModel,
  type Manifest,
  openRoot,
  readManifest,
  writeManifest,
} from './stored-models.ts';
import { fileName, openSync, StoredSource } from './stored-source.ts';

/** Files that are downloaded at once. */
const PARALLEL_FILES = 4;

/** Small network chunks are gathered into writes of this size, one for each file under way. */
const WRITE_BYTES = 4 * 2 ** 20;

/** Options of {@link ModelFiles.download}. */
export interface DownloadOptions {
  /** Called as bytes are written; those stored before count as loaded. */
  readonly onProgress?: ((loadedBytes: number, totalBytes: number) => void) | undefined;
  /** Stops the download; files that are whole are kept. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens the store of published bytes in the browser's private file system.
 *
 * @returns `undefined` where there is none to write to: outside of browsers, on the page's own thread (files can only be
 * accessed synchronously in a worker), and where the browser denies storage.
 */
export async function openStore(): Promise<ModelFiles | undefined> {
  const canWrite =
    typeof FileSystemFileHandle !== 'undefined' &&
    'createSyncAccessHandle' in FileSystemFileHandle.prototype;
  if (!canWrite) return undefined;
  try {
    const root = await openRoot();
    await readManifest(''); // a database that cannot be opened is no store
    return new ModelFiles(root);
  } catch {
    return undefined;
  }
}

/** The files of models, as published, in the origin private file system. */
export class ModelFiles {
  readonly #root: FileSystemDirectoryHandle;

  /** @internal Made by {@link openStore}. */
  constructor(root: FileSystemDirectoryHandle) {
    this.#root = root;
  }

  /**
   * Opens a stored model. Makes no request. Until the source is disposed of, the model cannot be removed.
   *
   * @returns `undefined` where it is not stored whole.
   */
  async source(id: string, signal?: AbortSignal): Promise<ByteSource | undefined> {
    if (!(await this.#readComplete(id))) return undefined;
    const release = await lockModel(id, 'shared', signal);
    try {
      const manifest = await this.#readComplete(id); // it may have been removed meanwhile
      if (manifest) {
        // When it was used is not worth failing for.
        await writeManifest({ ...manifest, usedAt: Date.now() }).catch(() => undefined);
        const directory = await this.#root.getDirectoryHandle(await directoryName(id));
        return new StoredSource(manifest, directory, release);
      }
    } catch (error) {
      release();
      throw error;
    }
    release();
    return undefined;
  }

  /**
   * Stores the files of a checkpoint. Files that are stored whole are not read again. Where another tab downloads the
   * same model, waits for it to end.
   *
   * @throws {@link OssicleError} `storage-full` where the browser refuses to store more, and those of
   * {@link ByteSource.stream}. What is whole by then is kept.
   */
  async download(
    source: ByteSource,
    files: readonly CheckpointFile[],
    { onProgress, signal }: DownloadOptions = {},
  ): Promise<void> {
    const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const held = await this.#readComplete(source.id);
    if (held && hasSameFiles(held, files)) {
      onProgress?.(totalBytes, totalBytes);
      return;
    }
    const release = await lockModel(source.id, 'exclusive', signal);
    let loadedBytes = 0;
    try {
      const directory = await this.#root.getDirectoryHandle(await directoryName(source.id), {
        create: true,
      });
      let manifest = await this.#begin(source.id, directory, files);
      loadedBytes = manifest.files.reduce(
        (sum, { isWhole, sizeBytes }) => sum + (isWhole ? sizeBytes : 0),
        0,
      );
      onProgress?.(loadedBytes, totalBytes);

      const failure = new AbortController();
      const either = signal ? AbortSignal.any([signal, failure.signal]) : failure.signal;
      const pending = manifest.files.filter(({ isWhole }) => !isWhole);
      const lane = async (): Promise<void> => {
        for (let file = pending.shift(); file && !either.aborted; file = pending.shift()) {
          await storeFile(directory, source, file, either, (bytes) => {
            loadedBytes += bytes;
            onProgress?.(loadedBytes, totalBytes);
          });
          const { path } = file;
          manifest = {
            ...manifest,
            files: manifest.files.map((other) =>
              other.path === path ? { ...other, isWhole: true } : other,
            ),
          };
          await writeManifest(manifest);
        }
      };
      const lanes = Array.from({ length: PARALLEL_FILES }, () =>
        lane().catch((error: unknown) => failure.abort(error)),
      );
      await Promise.all(lanes);
      either.throwIfAborted();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw isQuotaError(error)
        ? await storageFull(source.id, loadedBytes, totalBytes, error)
        : error;
    } finally {
      release();
    }
  }

  /** Writes the manifest of a download that begins or goes on, and drops files that are not in it. */
  async #begin(
    id: string,
    directory: FileSystemDirectoryHandle,
    files: readonly CheckpointFile[],
  ): Promise<Manifest> {
    const before = await readManifest(id);
    const wholeBefore = new Map(
      before?.files.filter(({ isWhole }) => isWhole).map((file) => [file.path, file.sizeBytes]),
    );
    const manifest: Manifest = {
      version: 1,
      id,
      files: await Promise.all(
        files.map(async ({ path, sizeBytes }) => ({
          path,
          sizeBytes,
          isWhole:
            wholeBefore.get(path) === sizeBytes &&
            (await storedSize(directory, path)) === sizeBytes,
        })),
      ),
      storedAt: before?.storedAt ?? Date.now(),
      usedAt: Date.now(),
    };
    await writeManifest(manifest);
    const kept = new Set(files.map(({ path }) => fileName(path)));
    for await (const name of directory.keys()) {
      if (!kept.has(name)) await directory.removeEntry(name, { recursive: true });
    }
    return manifest;
  }

  /** The manifest of a model whose files are all there in full. */
  async #readComplete(id: string): Promise<Manifest | undefined> {
    const manifest = await readManifest(id);
    if (!manifest || !isComplete(manifest)) return undefined;
    const name = await directoryName(id);
    const directory = await this.#root.getDirectoryHandle(name).catch(ignoreNotFound);
    if (!directory) return undefined;
    const sizes = await Promise.all(manifest.files.map(({ path }) => storedSize(directory, path)));
    return manifest.files.every(({ sizeBytes }, i) => sizes[i] === sizeBytes)
      ? manifest
      : undefined;
  }
}

/** Streams one file to its place. */
async function storeFile(
  directory: FileSystemDirectoryHandle,
  source: ByteSource,
  { path, sizeBytes }: CheckpointFile,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const file = await directory.getFileHandle(fileName(path), { create: true });
  const handle = await openSync(file, 'readwrite');
  try {
    handle.truncate(sizeBytes); // asks for all of its room at once, before anything is downloaded for it
    const gathered = new Uint8Array(Math.min(WRITE_BYTES, sizeBytes));
    let filled = 0;
    let at = 0;
    const write = (): void => {
      const written = handle.write(gathered.subarray(0, filled), { at });
      if (written !== filled) throw new DOMException('A write was cut short', 'QuotaExceededError');
      at += filled;
      onBytes(filled);
      filled = 0;
    };
    for await (const bytes of source.stream(path, 0, sizeBytes, signal)) {
      for (let start = 0; start < bytes.length; ) {
        const part = bytes.subarray(start, start + gathered.length - filled);
        gathered.set(part, filled);
        filled += part.length;
        start += part.length;
        if (filled === gathered.length) write();
      }
    }
    write();
    if (at !== sizeBytes) throw truncated(`${path} of ${source.id}`, sizeBytes, at);
    handle.flush();
  } catch (error) {
    handle.truncate(0); // what is not whole gives its room back
    throw error;
  } finally {
    handle.close();
  }
}

/** The size of a stored file; `undefined` where it is not there. */
async function storedSize(
  directory: FileSystemDirectoryHandle,
  path: string,
): Promise<number | undefined> {
  const file = await directory.getFileHandle(fileName(path)).catch(ignoreNotFound);
  return (await file?.getFile())?.size;
}

function hasSameFiles(manifest: Manifest, files: readonly CheckpointFile[]): boolean {
  const sizes = new Map(manifest.files.map(({ path, sizeBytes }) => [path, sizeBytes]));
  return (
    sizes.size === files.length &&
    files.every(({ path, sizeBytes }) => sizes.get(path) === sizeBytes)
  );
}

function isQuotaError(error: unknown): boolean {
  return !isOssicleError(error) && error instanceof Error && error.name === 'QuotaExceededError';
}

async function storageFull(
  id: string,
  loadedBytes: number,
  totalBytes: number,
  cause: unknown,
): Promise<OssicleError> {
  const { usage = 0 } = await navigator.storage.estimate();
  return new OssicleError(
    'storage-full',
    `The browser refused to store more than ${gigabytes(loadedBytes)} of the ${gigabytes(totalBytes)} of ${id}; ` +
      `this site holds ${gigabytes(usage)} in all. Files that are whole are kept. Free space on the disk or remove ` +
      'a stored model and load again, or load without the store.',
    { cause },
  );
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
