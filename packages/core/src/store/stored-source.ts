import { OssicleError } from '../errors.ts';
import {
  type ByteSource,
  type FilePosition,
  type FileRange,
  MissingFile,
  streamReads,
  truncated,
} from '../sources/byte-source.ts';
import { FileSource } from '../sources/file-source.ts';
import { readComplete } from './complete-model.ts';
import type { Manifest } from './manifest.ts';
import { fileName, openModelDirectory, openSync, type SyncFile } from './opfs.ts';
import { storageFailure } from './storage-failure.ts';

/**
 * Opens a stored model to read its headers, on the page's own thread, too. Makes no request. {@link StoredSource} reads
 * whole models faster.
 *
 * @returns `undefined` if the model is not stored whole.
 */
export async function openStoredFiles(id: string): Promise<FileSource | undefined> {
  const manifest = await readComplete(id);
  const directory = manifest && (await openModelDirectory(id));
  if (!directory) return undefined;
  const files = await Promise.all(
    manifest.files.map(async ({ path }): Promise<[string, File]> => {
      const handle = await directory.getFileHandle(fileName(path));
      return [path, await handle.getFile()];
    }),
  );
  return new FileSource(id, new Map(files));
}

/** Reads a stored model in a worker, straight into the memory it is given. */
export class StoredSource implements ByteSource {
  readonly id: string;
  readonly #sizes: ReadonlyMap<string, number>;
  readonly #directory: FileSystemDirectoryHandle;
  readonly #release: () => void;
  readonly #handles = new Map<string, Promise<SyncFile>>();
  #isDisposed = false;

  /** @param release - Called once every file is closed. */
  constructor(manifest: Manifest, directory: FileSystemDirectoryHandle, release: () => void) {
    this.id = manifest.id;
    this.#sizes = new Map(manifest.files.map(({ path, sizeBytes }) => [path, sizeBytes]));
    this.#directory = directory;
    this.#release = release;
  }

  async list(): Promise<readonly string[]> {
    return [...this.#sizes.keys()];
  }

  async size(path: string, signal?: AbortSignal): Promise<number | undefined> {
    signal?.throwIfAborted();
    return this.#sizes.get(path);
  }

  async read(from: FilePosition, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { path, offsetBytes } = from;
    signal?.throwIfAborted();
    const handle = await this.#open(path);
    let bytes: number;
    try {
      bytes = handle.read(into, { at: offsetBytes });
    } catch (error) {
      throw storageFailure(error);
    }
    if (bytes === into.length) return;
    throw truncated(
      `The stored ${path} of ${this.id}`,
      offsetBytes + into.length,
      offsetBytes + bytes,
    );
  }

  stream(range: FileRange, signal?: AbortSignal): AsyncIterable<Uint8Array<ArrayBuffer>> {
    return streamReads(this, range, signal);
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    const closing = [...this.#handles.values()].map((handle) =>
      handle.then(
        (open) => open.close(),
        () => undefined, // it was never open
      ),
    );
    void Promise.all(closing).then(this.#release);
  }

  #open(path: string): Promise<SyncFile> {
    if (this.#isDisposed) {
      throw new OssicleError('disposed', `The stored ${this.id} is closed. Load the model again.`);
    }
    let handle = this.#handles.get(path);
    if (!handle) {
      if (!this.#sizes.has(path)) throw new MissingFile(path, `The stored ${this.id}`);
      handle = this.#directory
        .getFileHandle(fileName(path))
        .then((file) => openSync(file, 'read-only'))
        .catch((cause: unknown) => {
          throw unopened(`The stored ${path} of ${this.id}`, cause);
        });
      this.#handles.set(path, handle);
    }
    return handle;
  }
}

/** Browsers without read-only access lock a file for one tab. */
function unopened(file: string, cause: unknown): OssicleError {
  const isLocked = cause instanceof DOMException && cause.name === 'NoModificationAllowedError';
  return isLocked
    ? new OssicleError(
        'model-in-use',
        `${file} is open in another tab. Close that tab, then load again.`,
        { cause },
      )
    : new OssicleError(
        'storage-unavailable',
        `${file} cannot be opened; the browser's data may have been cleared. Load again; if it fails again, remove the ` +
          'stored model.',
        { cause },
      );
}
