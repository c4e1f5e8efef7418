import { Sha256, toHex } from '../sha256.ts';
import { WakeUp } from '../wake-up.ts';
import type { OpenFile } from './chunk-reader.ts';
import { HashThread } from './hashing/hash-thread.ts';
import { chunkRange, type ManifestFile } from './manifest.ts';

/** The bytes of one step; chunks are multiples of it, except at the end of a file. */
const STEP_BYTES = 2 ** 20;

/** Callbacks of {@link FileHashes.follow}. */
export interface HashListeners {
  /** Called when a file's record has the progress of its hash. */
  readonly onState: () => void;
  readonly onError: (error: unknown) => void;
}

/** Computes the hashes of whole files, from their starts on, while chunks arrive in any order. */
export class FileHashes {
  readonly #chunkBytes: number;
  readonly #found = new Map<string, string>();
  #thread: HashThread | undefined;
  #files: readonly OpenFile[] = [];
  #running: Promise<void> = Promise.resolve();
  #onBytes: (bytes: number) => void = () => undefined;
  readonly #news = new WakeUp();
  #isStopped = false;
  #memory = new Uint8Array(STEP_BYTES);

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
  }

  /** Starts with the files whose hash is needed and not yet confirmed. */
  follow(files: readonly OpenFile[], { onState, onError }: HashListeners): void {
    this.#isStopped = false;
    this.#found.clear();
    this.#files = files.filter(({ record }) => record.sha256 !== undefined && !record.isConfirmed);
    if (this.#files.length === 0) return;
    this.#thread ??= new HashThread();
    this.#running = this.#run(this.#thread, onState);
    this.#running.catch(onError);
  }

  /** Announces that a chunk has arrived. */
  wake(): void {
    this.#news.wake();
  }

  /**
   * Waits for all hashes, once every chunk has arrived.
   *
   * @param onProgress - Called as the rest of the files is hashed.
   */
  async finish(onProgress: (hashedBytes: number, totalBytes: number) => void): Promise<void> {
    const totalBytes = this.#files.reduce((sum, { record }) => sum + this.#leftBytes(record), 0);
    let hashedBytes = 0;
    this.#onBytes = (bytes) => {
      hashedBytes += bytes;
      onProgress(hashedBytes, totalBytes);
    };
    if (totalBytes > 0) onProgress(0, totalBytes);
    await this.#running;
  }

  /** The hash of a file, in hexadecimal digits, once it is complete. */
  result(path: string): string | undefined {
    return this.#found.get(path);
  }

  /** Stops until the next {@link FileHashes.follow}. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#news.wake();
    await this.#running.catch(() => undefined); // onError has reported it
  }

  async dispose(): Promise<void> {
    await this.stop();
    await this.#thread?.dispose();
  }

  async #run(thread: HashThread, onState: () => void): Promise<void> {
    for (const file of this.#files) {
      const { path, sizeBytes, isStored } = file.record;
      if (sizeBytes === 0) this.#found.set(path, toHex(new Sha256().digest()));
      for (let chunk = file.record.hashed?.chunks ?? 0; chunk < isStored.length; chunk++) {
        while (isStored[chunk] === 0 && !this.#isStopped) await this.#news.wait();
        const result = await this.#hashChunk(thread, file, chunk);
        if (!result) return;
        if (chunk === isStored.length - 1) this.#found.set(path, toHex(result));
        else file.record = { ...file.record, hashed: { chunks: chunk + 1, state: result } };
        onState();
      }
    }
  }

  /** Adds a chunk to a file's hash. @returns The state after it, or the final hash; `undefined` if stopped. */
  async #hashChunk(
    thread: HashThread,
    { record, handle }: OpenFile,
    chunk: number,
  ): Promise<Uint8Array | undefined> {
    const range = chunkRange(record, this.#chunkBytes, chunk);
    const end = range.offsetBytes + range.sizeBytes;
    let result = record.hashed?.state;
    for (let offsetBytes = range.offsetBytes; offsetBytes < end; offsetBytes += STEP_BYTES) {
      if (this.#isStopped) return undefined;
      const sizeBytes = Math.min(STEP_BYTES, end - offsetBytes);
      handle.read(this.#memory.subarray(0, sizeBytes), { at: offsetBytes });
      const isLast = offsetBytes + sizeBytes === record.sizeBytes;
      const bytes = this.#memory;
      const step = await thread.advance({ state: result, offsetBytes, bytes, sizeBytes, isLast });
      result = step.result;
      this.#memory = step.bytes;
      this.#onBytes(sizeBytes);
    }
    return this.#isStopped ? undefined : result;
  }

  #leftBytes({ sizeBytes, hashed }: ManifestFile): number {
    return sizeBytes - (hashed?.chunks ?? 0) * this.#chunkBytes;
  }
}
