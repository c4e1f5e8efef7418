import { OssicleError } from '../errors.ts';
import {
  type ByteSource,
  MAX_READ_BYTES,
  missing,
  tooLarge,
  truncated,
} from '../sources/byte-source.ts';
import type { Manifest } from './manifest.ts';
import { storageFailure } from './storage-failure.ts';

/** The size of the pieces of a stream. */
const STREAM_BYTES = 4 * 2 ** 20;

/** A file of the origin private file system, open in a worker for synchronous access; a `FileSystemSyncAccessHandle`. */
export interface SyncFile {
  /** Reads into memory from byte `at` on; returns how many bytes there were. */
  read(into: Uint8Array, options: { at: number }): number;
  /** Writes from byte `at` on; returns how many bytes were written. */
  write(from: Uint8Array, options: { at: number }): number;
  /** Makes the file longer or shorter. */
  truncate(sizeBytes: number): void;
  /** How long the file is. */
  getSize(): number;
  /** Brings what was written to the disk. */
  flush(): void;
  /** Lets go of the file. */
  close(): void;
}

interface SyncAccess {
  createSyncAccessHandle(options: { mode: 'readwrite' | 'read-only' }): Promise<SyncFile>;
}

/** Opens a file; browsers that know no modes open it for this worker alone. */
export function openSync(
  file: FileSystemFileHandle,
  mode: 'readwrite' | 'read-only',
): Promise<SyncFile> {
  return (file as unknown as SyncAccess).createSyncAccessHandle({ mode });
}

/** The name of a stored file: its path, with what file systems forbid escaped. */
export function fileName(path: string): string {
  return encodeURIComponent(path);
}

/** Reads a stored model through synchronous access handles, straight into the memory it is given. */
export class StoredSource implements ByteSource {
  /** See {@link ByteSource.id}. */
  readonly id: string;
  readonly #sizes: ReadonlyMap<string, number>;
  readonly #directory: FileSystemDirectoryHandle;
  readonly #release: () => void;
  readonly #handles = new Map<string, Promise<SyncFile>>();
  #isDisposed = false;

  /** @param release - Called when every file is closed. */
  constructor(manifest: Manifest, directory: FileSystemDirectoryHandle, release: () => void) {
    this.id = manifest.id;
    this.#sizes = new Map(manifest.files.map(({ path, sizeBytes }) => [path, sizeBytes]));
    this.#directory = directory;
    this.#release = release;
  }

  /** See {@link ByteSource.list}. */
  async list(): Promise<readonly string[]> {
    return [...this.#sizes.keys()];
  }

  /** See {@link ByteSource.size}. */
  async size(path: string, signal?: AbortSignal): Promise<number | undefined> {
    signal?.throwIfAborted();
    return this.#sizes.get(path);
  }

  /** See {@link ByteSource.read}. */
  async read(
    path: string,
    offsetBytes: number,
    into: Uint8Array,
    signal?: AbortSignal,
  ): Promise<void> {
    signal?.throwIfAborted();
    const handle = await this.#open(path);
    let bytes: number;
    try {
      bytes = handle.read(into, { at: offsetBytes });
    } catch (error) {
      throw storageFailure(error);
    }
    if (bytes !== into.length) {
      throw truncated(
        `The stored ${path} of ${this.id}`,
        offsetBytes + into.length,
        offsetBytes + bytes,
      );
    }
  }

  /** See {@link ByteSource.readAll}. */
  async readAll(
    path: string,
    signal?: AbortSignal,
    maxBytes: number = MAX_READ_BYTES,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const size = this.#sizes.get(path);
    if (size === undefined) return undefined;
    if (size > maxBytes) throw tooLarge(`The stored ${path} of ${this.id}`, maxBytes);
    const bytes = new Uint8Array(size);
    await this.read(path, 0, bytes, signal);
    return bytes;
  }

  /** See {@link ByteSource.stream}. */
  async *stream(
    path: string,
    offsetBytes: number,
    sizeBytes: number,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    for (let done = 0; done < sizeBytes; done += STREAM_BYTES) {
      const bytes = new Uint8Array(Math.min(STREAM_BYTES, sizeBytes - done));
      await this.read(path, offsetBytes + done, bytes, signal);
      yield bytes;
    }
  }

  /** See {@link ByteSource.dispose}. */
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
      if (!this.#sizes.has(path)) throw missing(path, `The stored ${this.id}`);
      handle = this.#directory
        .getFileHandle(fileName(path))
        .then((file) => openSync(file, 'read-only'))
        .catch((cause: unknown) => {
          throw new OssicleError(
            'integrity',
            `The stored ${path} of ${this.id} cannot be opened; another tab may hold it, or the browser's data ` +
              'was cleared. Close other tabs and load again; if it happens again, remove the stored model.',
            { cause },
          );
        });
      this.#handles.set(path, handle);
    }
    return handle;
  }
}
