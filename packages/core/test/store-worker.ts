// A worker that uses the store like the engine, on command, and reports its requests.

import { openCheckpoint } from '../src/formats/open-checkpoint.ts';
import { toHex } from '../src/sha256.ts';
import { type ByteSource, readAll, type SourceFile } from '../src/sources/byte-source.ts';
import { openSource } from '../src/sources/open-source.ts';
import type { PublishedSource } from '../src/sources/published-source.ts';
import type { RetryPolicy } from '../src/sources/retry.ts';
import { importModel } from '../src/store/import-model.ts';
import { openStore } from '../src/store/opfs-store.ts';
import { writeSessionFile } from '../src/store/session-files.ts';
import type { HuggingFaceOptions } from '../src/types/load.ts';

/** Options of a download, and its faults. */
export interface DownloadFaults {
  /** As in `LoadOptions`. */
  readonly integrity?: Readonly<Record<string, string>>;
  /** As in `LoadOptions`. */
  readonly huggingFace?: HuggingFaceOptions;
  /** The chunk size. Default: 16 MiB. */
  readonly chunkBytes?: number;
  /** Files to download. Default: those of the checkpoint. */
  readonly files?: readonly SourceFile[];
  /** Aborts when this many bytes are stored. */
  readonly abortAtBytes?: number;
  /** Makes the browser refuse writes after this many bytes. */
  readonly quotaBytes?: number;
  /** Makes the source omit the last byte of each range of this file. */
  readonly cut?: string;
  /** Makes the source hang on this file. */
  readonly stall?: string;
  /** Waits this long before each piece of a file. */
  readonly slowMs?: number;
  /** Retries and reports progress as a load does; the result has no progress. */
  readonly isLoad?: boolean;
}

/** Just patient enough for the faults of the tests. */
const retry: RetryPolicy = {
  attempts: 5,
  firstAttempts: 3,
  firstDelayMs: 10,
  maxDelayMs: 50,
  maxRetryAfterMs: 5000,
  stallMs: 4000,
  minBytesPerSecond: 1000,
  slowMs: 60_000,
};

const requests: string[] = [];
const realFetch = globalThis.fetch;
globalThis.fetch = (input, init) => {
  requests.push(String(input).replace(/.*\//, ''));
  return realFetch(input, init);
};

let held: ByteSource | undefined;

interface Download {
  readonly requests: string[];
  readonly progress: [loaded: number, total: number][];
  readonly totalBytes: number;
}

interface StoredTensor {
  readonly requests: string[];
  readonly parts: Uint8Array[];
  readonly config: Readonly<Record<string, unknown>>;
}

const operations = {
  /** Downloads a folder as a load does; returns the files requested and each progress report. */
  async download(address: string, faults: DownloadFaults = {}): Promise<Download> {
    const { chunkBytes, huggingFace, integrity, isLoad = false } = faults;
    const store = await openStore(chunkBytes);
    if (!store) throw new Error('This worker has no store');
    const options = { huggingFace, ...(!isLoad && { retry }) };
    const source = (await openSource(address, options)) as PublishedSource;
    const files = faults.files ?? (await openCheckpoint(source)).files;
    requests.length = 0;
    const controller = new AbortController();
    const progress: [loaded: number, total: number][] = [];
    const restore = limitWrites(faults.quotaBytes);
    let toldMs = -Infinity;
    try {
      await store.download(withFaults(source, faults), files, {
        integrity,
        signal: controller.signal,
        onProgress: (loaded, total) => {
          if (isLoad && loaded < total && performance.now() - toldMs < 100) return;
          toldMs = performance.now();
          if (!isLoad) progress.push([loaded, total]);
          postMessage({ progress: loaded });
          if (loaded >= (faults.abortAtBytes ?? Infinity)) controller.abort(new Error('enough'));
        },
      });
    } finally {
      restore();
    }
    const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return { requests: [...requests], progress, totalBytes };
  },

  /** Opens a stored model and reads one tensor. */
  async load(id: string, tensor: string, keepOpen = false): Promise<StoredTensor | undefined> {
    requests.length = 0;
    const source = await (await openStore())?.openModel(id);
    if (!source) return undefined;
    const checkpoint = await openCheckpoint(source);
    const parts: Uint8Array[] = [];
    for (const { path, offsetBytes, sizeBytes } of checkpoint.tensor(tensor).pieces) {
      const part = new Uint8Array(sizeBytes);
      await source.read({ path, offsetBytes }, part);
      parts.push(part);
    }
    if (keepOpen) held = source;
    else source.dispose?.();
    return { requests: [...requests], parts, config: checkpoint.config };
  },

  /** Opens a stored model and returns the SHA-256 of one file. */
  async hash(id: string, path: string): Promise<string | undefined> {
    const source = await (await openStore())?.openModel(id);
    const bytes = source && (await readAll(source, path, { maxBytes: 2 ** 31 }));
    source?.dispose?.();
    return bytes && toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
  },

  /** Stores a model from a folder of the private file system, as a page's import does. */
  async import(folder: FileSystemDirectoryHandle, id?: string): Promise<string> {
    return importModel(folder, id, {});
  },

  /** Writes some bytes of a saved session, reports that, and never ends. */
  async saveHalf(id: string, sizeBytes: number): Promise<void> {
    await writeSessionFile(id, async (write) => {
      await write(new Uint8Array(sizeBytes));
      postMessage({ progress: sizeBytes });
      await new Promise(() => undefined);
    });
  },

  async release(): Promise<void> {
    held?.dispose?.();
  },

  /** Reads beyond the end of a file, a missing file, and after disposal; returns the error codes. */
  async misread(id: string): Promise<unknown[]> {
    const source = (await (await openStore())?.openModel(id)) as ByteSource;
    const codes: unknown[] = [];
    const code = (error: { code?: string }): void => void codes.push(error.code);
    await source.read({ path: 'config.json', offsetBytes: 1e6 }, new Uint8Array(4)).catch(code);
    await source.read({ path: 'none.json', offsetBytes: 0 }, new Uint8Array(4)).catch(code);
    source.dispose?.();
    await source.read({ path: 'config.json', offsetBytes: 0 }, new Uint8Array(4)).catch(code);
    return codes;
  },
};

/** The operations of the worker. */
export type StoreOperations = typeof operations;

function withFaults(
  source: PublishedSource,
  { cut, stall, slowMs }: DownloadFaults,
): PublishedSource {
  if (cut === undefined && stall === undefined && slowMs === undefined) return source;
  return {
    id: source.id,
    revision: source.revision,
    hasRanges: source.hasRanges,
    version: (...args) => source.version(...args),
    list: (...args) => source.list(...args),
    size: (...args) => source.size(...args),
    read: (...args) => source.read(...args),
    async *stream(range, signal) {
      if (range.path === stall) {
        await new Promise((_, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason));
        });
      }
      const sizeBytes = range.path === cut ? range.sizeBytes - 1 : range.sizeBytes;
      for await (const bytes of source.stream({ ...range, sizeBytes }, signal)) {
        if (slowMs !== undefined) await new Promise((resolve) => setTimeout(resolve, slowMs));
        yield bytes;
      }
    },
  };
}

interface SyncWrite {
  write(from: Uint8Array, options: { at: number }): number;
}

function limitWrites(quotaBytes = Infinity): () => void {
  const { prototype } = (
    globalThis as unknown as { FileSystemSyncAccessHandle: { prototype: SyncWrite } }
  ).FileSystemSyncAccessHandle;
  const { write } = prototype;
  let left = quotaBytes;
  prototype.write = function (from, options) {
    left -= from.length;
    if (left < 0) throw new DOMException('No space', 'QuotaExceededError');
    return write.call(this, from, options);
  };
  return () => {
    prototype.write = write;
  };
}

addEventListener('message', async ({ data: { name, args } }) => {
  try {
    const operation = operations[name as keyof typeof operations] as (
      ...args: unknown[]
    ) => unknown;
    postMessage({ result: await operation(...args) });
  } catch (error) {
    const { name: kind, code, message } = error as Error & { code?: string };
    postMessage({ error: { name: kind, code, message } });
  }
});
