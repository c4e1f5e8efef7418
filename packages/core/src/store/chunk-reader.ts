import { chunkHash, chunkRange, type ManifestFile, noteHash } from './manifest.ts';
import type { SyncFile } from './opfs.ts';

/** A stored file, open in this worker. */
export interface OpenFile {
  /** What the manifest says of it; replaced as that changes. */
  record: ManifestFile;
  readonly handle: SyncFile;
}

/** Reads and checks stored chunks, one after another, in the same memory. */
export class ChunkReader {
  readonly #chunkBytes: number;
  #memory = new Uint8Array(0);

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
  }

  /**
   * Reads a chunk. If its SHA-256 is unknown, notes it in the record.
   *
   * @returns Its bytes, valid until the next read; `undefined` if they do not have the SHA-256 in the record, or cannot
   * be read.
   */
  async read(
    { record, handle }: OpenFile,
    chunk: number,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { offsetBytes, sizeBytes } = chunkRange(record, this.#chunkBytes, chunk);
    if (this.#memory.length < sizeBytes) this.#memory = new Uint8Array(sizeBytes);
    const bytes = this.#memory.subarray(0, sizeBytes);
    try {
      if (handle.read(bytes, { at: offsetBytes }) !== sizeBytes) return undefined;
    } catch {
      return undefined; // an unreadable chunk is damaged
    }
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    const expected = chunkHash(record, chunk);
    if (!expected) noteHash(record, chunk, hash);
    return expected?.some((byte, i) => byte !== hash[i]) ? undefined : bytes;
  }
}
