import { isOssicleError, OssicleError } from '../errors.ts';
import { isSha256 } from '../sha256.ts';
import type { ByteSource, SourceFile } from '../sources/byte-source.ts';
import { Download, isQuotaError } from './download.ts';
import {
  CHUNK_BYTES,
  emptyFile,
  isComplete,
  type Manifest,
  modelBytes,
  readManifest,
  type StoredFile,
  updateManifest,
  withoutChunks,
  writeManifest,
} from './manifest.ts';
import { PUBLISHED_HASHES } from './published-hashes.ts';
import {
  directoryName,
  ignoreNotFound,
  lockModel,
  openModelDirectory,
  openRoot,
  reclaimOrphans,
} from './stored-models.ts';
import { fileName, StoredSource } from './stored-source.ts';
import { findDamage } from './verification.ts';

/** Requests under way at once. Browsers take in what arrives of each, up to its end, before anybody reads it. */
export const LANES = 4;

/** How often a tab that waits for another one's download looks how far that has come. */
const WATCH_MS = 500;

/** The SHA-256 that files must have, in hexadecimal digits, by their paths. */
export type Integrity = Readonly<Record<string, string>>;

/**
 * Checks what a caller wants files to be checked against.
 *
 * @throws TypeError where that is not SHA-256 in hexadecimal digits, or where files are not stored.
 */
export function checkIntegrity(integrity: Integrity | undefined, isStoring: boolean): void {
  if (!integrity) return;
  for (const [path, hash] of Object.entries(integrity)) {
    if (isSha256(hash)) continue;
    throw new TypeError(
      `integrity[${JSON.stringify(path)}] must be a SHA-256: 64 hexadecimal digits in lower case`,
    );
  }
  if (!isStoring) {
    throw new TypeError(
      'integrity is checked as files are stored: leave it out for local files and where store is false',
    );
  }
}

/** Options of {@link ModelFiles.download}. */
export interface DownloadOptions {
  /** As in `LoadOptions`. */
  readonly integrity?: Integrity | undefined;
  /** SHA-256 of chunks that are known beforehand, 32 bytes each, by the paths of their files. */
  readonly chunkHashes?: ReadonlyMap<string, Uint8Array> | undefined;
  /** Called as bytes are written, here or by another tab; those stored before count as loaded. */
  readonly onProgress?: ((loadedBytes: number, totalBytes: number) => void) | undefined;
  /** Called while whole files are still hashed when all of them is there. */
  readonly onVerify?: ((checkedBytes: number, totalBytes: number) => void) | undefined;
  /** Stops the download; chunks that are whole are kept. */
  readonly signal?: AbortSignal | undefined;
}

/** What tests change about {@link openStore}. */
export interface StoreSettings {
  /** The size of chunks. Default: {@link CHUNK_BYTES}. */
  readonly chunkBytes?: number;
  /** Requests under way at once. Default: {@link LANES}. */
  readonly lanes?: number;
}

/**
 * Opens the store of published bytes in the browser's private file system.
 *
 * @returns `undefined` where there is none to write to: outside of browsers, on the page's own thread (files can only be
 * accessed synchronously in a worker), and where the browser denies storage.
 */
export async function openStore(settings: StoreSettings = {}): Promise<ModelFiles | undefined> {
  const canWrite =
    typeof FileSystemFileHandle !== 'undefined' &&
    'createSyncAccessHandle' in FileSystemFileHandle.prototype;
  if (!canWrite) return undefined;
  try {
    const root = await openRoot();
    await readManifest(''); // a database that cannot be opened is no store
    return new ModelFiles(root, settings);
  } catch {
    return undefined;
  }
}

/** The files of models, as published, in the origin private file system. */
export class ModelFiles {
  readonly #root: FileSystemDirectoryHandle;
  readonly #chunkBytes: number;
  readonly #lanes: number;

  /** @internal Made by {@link openStore}. */
  constructor(
    root: FileSystemDirectoryHandle,
    { chunkBytes = CHUNK_BYTES, lanes = LANES }: StoreSettings,
  ) {
    this.#root = root;
    this.#chunkBytes = chunkBytes;
    this.#lanes = lanes;
  }

  /**
   * Opens a stored model. Makes no request. Checks the sizes of all files, and the first chunk of each; what is damaged is
   * noted, and no longer there. Until the source is disposed of, the model cannot be removed.
   *
   * @param integrity - What the files must have been checked against.
   * @returns `undefined` where it is not stored whole.
   */
  async source(
    id: string,
    signal?: AbortSignal,
    integrity?: Integrity,
  ): Promise<ByteSource | undefined> {
    if (!(await this.#readComplete(id, integrity))) return undefined;
    const release = await lockModel(id, 'shared', signal);
    try {
      const manifest = await this.#readComplete(id, integrity); // it may have been removed meanwhile
      const directory = manifest && (await openModelDirectory(this.#root, id));
      if (manifest && directory) {
        const damage = await findDamage(manifest, directory, { isQuick: true, signal });
        if (damage.length === 0) {
          const usedAt = Date.now();
          // When it was used is not worth failing for.
          await updateManifest(id, (now) => ({ ...now, usedAt })).catch(() => undefined);
          return new StoredSource(manifest, directory, release);
        }
        await updateManifest(id, (now) => withoutChunks(now, damage));
      }
    } catch (error) {
      release();
      throw error;
    }
    release();
    return undefined;
  }

  /**
   * Stores the files of a checkpoint. Chunks that are stored are not read again. Where another tab downloads the same
   * model, waits for it to end.
   *
   * @throws {@link OssicleError} `storage-full` where the browser refuses to store more, `integrity` where files do not
   * have their hashes, and those of {@link ByteSource.stream}; the message says what is kept.
   */
  async download(
    source: ByteSource,
    files: readonly SourceFile[],
    options: DownloadOptions = {},
  ): Promise<void> {
    const { onProgress = () => undefined, onVerify = () => undefined, signal } = options;
    const { id } = source;
    const integrity = { ...PUBLISHED_HASHES[id], ...options.integrity };
    const totalBytes = sizeOf(files);
    const isThere = async (): Promise<boolean> => {
      const held = await this.#readComplete(id, options.integrity);
      return held !== undefined && hasSameFiles(held, files);
    };
    if (await isThere()) return onProgress(totalBytes, totalBytes);
    const release = await this.#lockWatching(id, onProgress, signal);
    try {
      if (await isThere()) return onProgress(totalBytes, totalBytes); // another tab has stored it meanwhile
      await reclaimOrphans().catch(() => 0); // room that cannot be had back is missed when it is needed
      const manifest = await this.#begin(id, files, options.chunkHashes);
      const name = await directoryName(id);
      const directory = await this.#root.getDirectoryHandle(name, { create: true });
      await removeOthers(directory, files);
      const isStrict = options.chunkHashes !== undefined;
      const lanes = this.#lanes;
      const settings = { lanes, integrity, isStrict, onProgress, onVerify, signal };
      await Download.run(source, directory, manifest, settings);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw await this.#explain(error, id, totalBytes);
    } finally {
      release();
    }
  }

  /** Takes the exclusive lock; while another tab has it, tells how far that has come. */
  async #lockWatching(
    id: string,
    onProgress: (loadedBytes: number, totalBytes: number) => void,
    signal: AbortSignal | undefined,
  ): Promise<() => void> {
    const watch = setInterval(async () => {
      const manifest = await readManifest(id).catch(() => undefined);
      if (manifest) onProgress(modelBytes(manifest), sizeOf(manifest.files));
    }, WATCH_MS);
    try {
      return await lockModel(id, 'exclusive', signal);
    } finally {
      clearInterval(watch);
    }
  }

  /** Writes the manifest of a download that begins or goes on. What it knows of the same files stays. */
  async #begin(
    id: string,
    files: readonly SourceFile[],
    chunkHashes: ReadonlyMap<string, Uint8Array> | undefined,
  ): Promise<Manifest> {
    const before = await readManifest(id);
    const chunkBytes = before?.chunkBytes ?? this.#chunkBytes;
    const manifest: Manifest = {
      version: 2,
      id,
      revision: before?.revision,
      chunkBytes,
      files: files.map((file) => {
        const known = before?.files.find(({ path }) => path === file.path);
        if (known?.sizeBytes === file.sizeBytes) return known;
        const empty = emptyFile(file, chunkBytes);
        const hashes = chunkHashes?.get(file.path);
        return hashes?.length === empty.hashes.length ? { ...empty, hashes } : empty;
      }),
      storedAt: before?.storedAt ?? Date.now(),
      usedAt: Date.now(),
    };
    await writeManifest(manifest);
    return manifest;
  }

  /** The manifest of a model whose files are all there in full, and were checked against what they must be. */
  async #readComplete(id: string, integrity: Integrity = {}): Promise<Manifest | undefined> {
    const manifest = await readManifest(id);
    if (!manifest || !isComplete(manifest)) return undefined;
    const isRight = ({ path, sha256, isConfirmed }: StoredFile): boolean =>
      integrity[path] === undefined || (isConfirmed && sha256 === integrity[path]);
    if (!manifest.files.every(isRight)) return undefined;
    const directory = await openModelDirectory(this.#root, id);
    if (!directory) return undefined;
    const sizes = await Promise.all(manifest.files.map(({ path }) => storedSize(directory, path)));
    return manifest.files.every(({ sizeBytes }, i) => sizes[i] === sizeBytes)
      ? manifest
      : undefined;
  }

  /** Adds to an error what is kept. */
  async #explain(error: unknown, id: string, totalBytes: number): Promise<unknown> {
    const manifest = await readManifest(id).catch(() => undefined);
    const keptBytes = manifest ? modelBytes(manifest) : 0;
    if (isQuotaError(error)) return storageFull(id, keptBytes, totalBytes, error);
    if (!isOssicleError(error)) return error;
    const kept = `${gigabytes(keptBytes)} of the ${gigabytes(totalBytes)} of ${id}`;
    return new OssicleError(
      error.code,
      `${error.message} What is stored is kept, ${kept}: the next load goes on from there.`,
      { cause: error },
    );
  }
}

/** Removes what is in a model's folder and not of the model. */
async function removeOthers(
  directory: FileSystemDirectoryHandle,
  files: readonly SourceFile[],
): Promise<void> {
  const kept = new Set(files.map(({ path }) => fileName(path)));
  for await (const name of directory.keys()) {
    if (!kept.has(name)) await directory.removeEntry(name, { recursive: true });
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

function hasSameFiles(manifest: Manifest, files: readonly SourceFile[]): boolean {
  const sizes = new Map(manifest.files.map(({ path, sizeBytes }) => [path, sizeBytes]));
  return (
    sizes.size === files.length &&
    files.every(({ path, sizeBytes }) => sizes.get(path) === sizeBytes)
  );
}

function sizeOf(files: readonly SourceFile[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

async function storageFull(
  id: string,
  keptBytes: number,
  totalBytes: number,
  cause: unknown,
): Promise<OssicleError> {
  const { usage = 0 } = await navigator.storage.estimate();
  return new OssicleError(
    'storage-full',
    `The browser refused to store all ${gigabytes(totalBytes)} of ${id}: ${gigabytes(totalBytes - keptBytes)} more are ` +
      `needed, and this site holds ${gigabytes(usage)} in all. What is stored of it is kept, ${gigabytes(keptBytes)}. Free ` +
      'that much on the disk or remove a stored model, and load again; or load without the store.',
    { cause },
  );
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
