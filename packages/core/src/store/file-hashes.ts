import { Sha256, toHex } from '../sha256.ts';
import { HashThread } from './hash-thread.ts';
import { chunkSize, type StoredFile } from './manifest.ts';
import type { SyncFile } from './stored-source.ts';

/** Bytes that go to the thread at a time; what a chunk has is a multiple of it, or the file's end. */
const STEP_BYTES = 2 ** 20;

/** A file whose chunks arrive. */
export interface HashedFile {
  /** What is there; replaced as the hash comes on. */
  record: StoredFile;
  /** To read chunks from that are there. */
  readonly handle: SyncFile;
}

/** The hashes of whole files, taken further from their starts as chunks arrive in any order. */
export class FileHashes {
  readonly #chunkBytes: number;
  readonly #found = new Map<string, string>();
  #thread: HashThread | undefined;
  #files: readonly HashedFile[] = [];
  #running: Promise<void> = Promise.resolve();
  #onBytes: (bytes: number) => void = () => undefined;
  #wake: () => void = () => undefined;
  #isStopped = false;
  #memory = new Uint8Array(STEP_BYTES);

  /** @param chunkBytes - See `Manifest.chunkBytes`. */
  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
  }

  /**
   * Begins with the files whose hash has to be found.
   *
   * @param onState - Called when {@link HashedFile.record} says how far a hash has come.
   * @param onError - Called where hashing fails.
   */
  follow(
    files: readonly HashedFile[],
    onState: () => void,
    onError: (error: unknown) => void,
  ): void {
    this.#isStopped = false;
    this.#found.clear();
    this.#files = files.filter(({ record }) => record.sha256 !== undefined && !record.isConfirmed);
    if (this.#files.length === 0) return;
    this.#thread ??= new HashThread();
    this.#running = this.#run(this.#thread, onState);
    this.#running.catch(onError);
  }

  /** Tells that a chunk is there. */
  wake(): void {
    this.#wake();
  }

  /**
   * Waits for all hashes; every chunk is there.
   *
   * @param onProgress - Called as files are hashed that were not yet.
   */
  async finish(onProgress: (hashedBytes: number, totalBytes: number) => void): Promise<void> {
    const totalBytes = this.#files.reduce((sum, file) => sum + this.#leftBytes(file.record), 0);
    let hashedBytes = 0;
    this.#onBytes = (bytes) => {
      hashedBytes += bytes;
      onProgress(hashedBytes, totalBytes);
    };
    if (totalBytes > 0) onProgress(0, totalBytes);
    await this.#running;
  }

  /** The hash of a file, in hexadecimal digits, once it is found. */
  result(path: string): string | undefined {
    return this.#found.get(path);
  }

  /** Stops until {@link FileHashes.follow} begins anew. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake();
    await this.#running.catch(() => undefined); // told by now
  }

  /** Ends the thread. */
  async dispose(): Promise<void> {
    await this.stop();
    await this.#thread?.dispose();
  }

  async #run(thread: HashThread, onState: () => void): Promise<void> {
    for (const file of this.#files) {
      const { path, sizeBytes, isStored } = file.record;
      if (sizeBytes === 0) this.#found.set(path, toHex(new Sha256().digest()));
      for (let chunk = file.record.hashed?.chunks ?? 0; chunk < isStored.length; chunk++) {
        while (isStored[chunk] === 0 && !this.#isStopped) await this.#sleep();
        const result = await this.#hashChunk(thread, file, chunk);
        if (!result) return;
        if (chunk === isStored.length - 1) this.#found.set(path, toHex(result));
        else file.record = { ...file.record, hashed: { chunks: chunk + 1, state: result } };
        onState();
      }
    }
  }

  /** Takes a file's hash further by one chunk. @returns The state after it, or the hash; `undefined` where it was stopped. */
  async #hashChunk(
    thread: HashThread,
    { record, handle }: HashedFile,
    chunk: number,
  ): Promise<Uint8Array | undefined> {
    const start = chunk * this.#chunkBytes;
    const end = start + chunkSize(record, this.#chunkBytes, chunk);
    let result = record.hashed?.state;
    for (let offsetBytes = start; offsetBytes < end; offsetBytes += STEP_BYTES) {
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

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #leftBytes({ sizeBytes, hashed }: StoredFile): number {
    return sizeBytes - (hashed?.chunks ?? 0) * this.#chunkBytes;
  }
}
