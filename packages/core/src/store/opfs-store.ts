import { isOssicleError, OssicleError } from '../errors.ts';
import { type ByteSource, type SourceFile, totalBytes } from '../sources/byte-source.ts';
import type { PublishedSource } from '../sources/published-source.ts';
import { IMPORT } from '../sources/repo.ts';
import { readComplete } from './complete-model.ts';
import { Download, type DownloadSettings } from './download.ts';
import { publishedHashes } from './integrity.ts';
import {
  CHUNK_BYTES,
  emptyFile,
  type Manifest,
  readManifest,
  storedBytes,
  updateManifest,
  withoutChunks,
  writeManifest,
} from './manifest.ts';
import {
  directoryName,
  fileName,
  isPresent,
  lockModel,
  openModelDirectory,
  openRoot,
} from './opfs.ts';
import { deleteModel, reclaimOrphans } from './stored-models.ts';
import { StoredSource } from './stored-source.ts';
import { findDamage } from './verification.ts';

/** How often a tab that waits for another tab's download looks at its progress. */
const WATCH_MS = 500;

/** How often a download looks whether its files are still there. */
const PRESENCE_MS = 1000;

/** Options of {@link OpfsStore.download}. */
export interface DownloadOptions extends Partial<Omit<DownloadSettings, 'isStrict'>> {
  /** SHA-256 of chunks that are known beforehand, 32 bytes each, by file path. */
  readonly chunkHashes?: ReadonlyMap<string, Uint8Array> | undefined;
  /** Whether the files come from the user: if they are refused, nothing of them stays. Default: false. */
  readonly isImport?: boolean;
}

/**
 * Opens the store of published files in the browser's private file system.
 *
 * @param chunkBytes - For tests.
 * @returns `undefined` if it cannot be written to: outside of browsers, on the page's own thread (only workers have
 * synchronous file access), and if the browser denies storage.
 */
export async function openStore(chunkBytes: number = CHUNK_BYTES): Promise<OpfsStore | undefined> {
  const canWrite =
    typeof FileSystemFileHandle !== 'undefined' &&
    'createSyncAccessHandle' in FileSystemFileHandle.prototype;
  if (!canWrite) return undefined;
  try {
    await openRoot();
    await readManifest(''); // fails if the database cannot be opened
    return new OpfsStore(chunkBytes);
  } catch {
    return undefined;
  }
}

/** The files of models, as published, in the origin private file system. */
export class OpfsStore {
  readonly #chunkBytes: number;

  /** @internal Made by {@link openStore}. */
  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
  }

  /**
   * Opens a stored model, without making a request. Checks the sizes of all files and the first chunk of each; damaged
   * chunks count as missing from then on. The model cannot be removed until the source is disposed of.
   *
   * @returns `undefined` if the model is not stored whole, or its files were not checked against `integrity`.
   */
  async openModel(
    id: string,
    { integrity, signal }: Pick<DownloadOptions, 'integrity' | 'signal'> = {},
  ): Promise<ByteSource | undefined> {
    if (!(await readComplete(id, integrity))) return undefined;
    const release = await lockModel(id, 'shared', signal);
    try {
      const manifest = await readComplete(id, integrity); // it may have been removed meanwhile
      const directory = manifest && (await openModelDirectory(id));
      if (manifest && directory) {
        const damage = await findDamage(manifest, directory, { isQuick: true, signal });
        if (damage.length === 0) {
          const usedAt = Date.now();
          // Not worth failing for.
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
   * Stores the files of a checkpoint. Stored chunks are not read again. If another tab is downloading the same model,
   * waits for it to end.
   *
   * @throws {@link OssicleError} `storage-full` if the browser refuses to store more, `integrity` if files do not have
   * their hashes, and the errors of {@link ByteSource.stream}; the message says what is kept. RangeError if other files
   * were imported under the same id.
   */
  async download(
    source: PublishedSource,
    files: readonly SourceFile[],
    options: DownloadOptions = {},
  ): Promise<void> {
    const { onProgress = () => undefined, onVerify = () => undefined, signal } = options;
    const { isImport = false } = options;
    const { id } = source;
    const isUnproven = id.startsWith(IMPORT);
    const allBytes = totalBytes(files);
    const isStored = async (): Promise<boolean> => {
      const manifest = await readComplete(id, options.integrity);
      if (!manifest) return false;
      if (!isUnproven) return hasSameFiles(manifest, files);
      if (hasSameFiles(manifest, files) && hasHashes(manifest, options.chunkHashes)) return true;
      throw new RangeError(
        `${id} is stored, perhaps with other files than these. Remove it first, or import these under another id.`,
      );
    };
    if (await isStored()) return onProgress(allBytes, allBytes);
    const lost = new AbortController();
    let isStolen = false;
    const onStolen = (): void => {
      isStolen = true;
      lost.abort(takenOver(id));
    };
    const release = await lockWatching(id, onProgress, signal, onStolen);
    let isRemovable = false;
    let presence: ReturnType<typeof setInterval> | undefined;
    try {
      if (await isStored()) return onProgress(allBytes, allBytes); // by another tab, meanwhile
      isRemovable = isImport && (isUnproven || !(await readManifest(id)));
      await reclaimOrphans().catch(() => 0); // if the space is needed, its lack is reported later
      const manifest = await this.#begin(id, files, options.chunkHashes);
      const root = await openRoot();
      const directory = await root.getDirectoryHandle(directoryName(id), { create: true });
      await removeOthers(directory, files);
      presence = setInterval(async () => {
        if (!(await isPresent(directory))) lost.abort(cleared(id));
      }, PRESENCE_MS);
      await Download.run(source, directory, manifest, {
        integrity: { ...publishedHashes(id), ...options.integrity },
        isStrict: options.chunkHashes !== undefined,
        onProgress,
        onVerify,
        signal: signal ? AbortSignal.any([signal, lost.signal]) : lost.signal,
      });
      if (!(await isPresent(directory))) throw cleared(id);
    } catch (error) {
      if (isRemovable && !isStolen) await deleteModel(id).catch(() => undefined); // the first error counts
      if (signal?.aborted) throw signal.reason;
      if (lost.signal.aborted) throw lost.signal.reason;
      throw isImport ? error : await explainKept(error, id, allBytes);
    } finally {
      clearInterval(presence);
      release();
    }
  }

  /** Writes the manifest of a download that starts or resumes. What is known of the same files stays. */
  async #begin(
    id: string,
    files: readonly SourceFile[],
    chunkHashes: ReadonlyMap<string, Uint8Array> | undefined,
  ): Promise<Manifest> {
    const before = id.startsWith(IMPORT) ? undefined : await readManifest(id);
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
}

/** Takes the exclusive lock; reports the progress of another tab that has it. */
async function lockWatching(
  id: string,
  onProgress: (loadedBytes: number, totalBytes: number) => void,
  signal: AbortSignal | undefined,
  onStolen: () => void,
): Promise<() => void> {
  const watch = setInterval(async () => {
    const manifest = await readManifest(id).catch(() => undefined);
    if (manifest) onProgress(storedBytes(manifest), totalBytes(manifest.files));
  }, WATCH_MS);
  try {
    return await lockModel(id, 'exclusive', signal, onStolen);
  } finally {
    clearInterval(watch);
  }
}

function cleared(id: string): OssicleError {
  return new OssicleError(
    'storage-unavailable',
    `The files of ${id} were removed while they were being stored: the data of this site was cleared. Load again.`,
  );
}

function takenOver(id: string): OssicleError {
  return new OssicleError(
    'storage-unavailable',
    `Another tab has taken over the download of ${id}, because this one had stopped responding. Load again.`,
  );
}

function hasSameFiles(manifest: Manifest, files: readonly SourceFile[]): boolean {
  const sizes = new Map(manifest.files.map(({ path, sizeBytes }) => [path, sizeBytes]));
  return (
    sizes.size === files.length &&
    files.every(({ path, sizeBytes }) => sizes.get(path) === sizeBytes)
  );
}

function hasHashes(
  { files }: Manifest,
  hashes: ReadonlyMap<string, Uint8Array> | undefined,
): boolean {
  return files.every((file) => {
    const expected = hashes?.get(file.path);
    return (
      expected?.length === file.hashes.length &&
      expected.every((byte, i) => byte === file.hashes[i])
    );
  });
}

/** Removes everything else from a model's folder. */
async function removeOthers(
  directory: FileSystemDirectoryHandle,
  files: readonly SourceFile[],
): Promise<void> {
  const kept = new Set(files.map(({ path }) => fileName(path)));
  for await (const name of directory.keys()) {
    if (!kept.has(name)) await directory.removeEntry(name, { recursive: true });
  }
}

/** Adds to an error how much of the model is kept. */
async function explainKept(error: unknown, id: string, allBytes: number): Promise<unknown> {
  const manifest = await readManifest(id).catch(() => undefined);
  const keptBytes = manifest ? storedBytes(manifest) : 0;
  const kept = gigabytes(keptBytes);
  const all = gigabytes(allBytes);
  if (isOssicleError(error)) {
    if (error.code === 'storage-unavailable') return error;
    return new OssicleError(
      error.code,
      `${error.message} What is stored is kept, ${kept} of the ${all} of ${id}: the next load continues from there.`,
      { cause: error },
    );
  }
  if (!(error instanceof Error && error.name === 'QuotaExceededError')) return error;
  const { usage = 0 } = await navigator.storage.estimate();
  return new OssicleError(
    'storage-full',
    `The browser refused to store all ${all} of ${id}: ${gigabytes(allBytes - keptBytes)} more are needed, and this site ` +
      `stores ${gigabytes(usage)} in all. What is stored of the model is kept, ${kept}. Free that much disk space or ` +
      'remove a stored model, and load again; or load without the store.',
    { cause: error },
  );
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
