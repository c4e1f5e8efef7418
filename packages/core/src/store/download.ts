import { OssicleError } from '../errors.ts';
import { MissingFile, totalBytes, truncated } from '../sources/byte-source.ts';
import {
  BrokenStream,
  FileChanged,
  type FileVersion,
  isProvenSame,
  isSameVersion,
  type PublishedSource,
} from '../sources/published-source.ts';
import { ChunkReader, type OpenFile } from './chunk-reader.ts';
import { FileHashes } from './file-hashes.ts';
import type { Integrity } from './integrity.ts';
import {
  chunkHash,
  chunkRange,
  emptyFile,
  isWhole,
  type Manifest,
  type ManifestFile,
  storedBytes,
  writeManifest,
} from './manifest.ts';
import { fileName, isPresent, openSync } from './opfs.ts';

/** Attempts to fetch a chunk that must have the bytes it had before. */
const CHUNK_ATTEMPTS = 3;

/** Attempts to fetch a file that changes meanwhile, or does not have its SHA-256. */
const FILE_ATTEMPTS = 2;

/** Attempts to fetch a file without a break, if the server does not name its version. */
const UNBROKEN_ATTEMPTS = 8;

/** The number of concurrent requests. Browsers may buffer the whole answer of each before it is read. */
export const LANES = 4;

/** Settings of a {@link Download}. */
export interface DownloadSettings {
  /** Overrides the SHA-256 that the source publishes. */
  readonly integrity: Integrity | undefined;
  /** Whether the known hashes of chunks are final; otherwise a file that differs from them counts as a new version. */
  readonly isStrict: boolean;
  /** Called as bytes are written, here or by another tab; those stored before count as loaded. */
  readonly onProgress: (loadedBytes: number, totalBytes: number) => void;
  /** Called as complete files are hashed. */
  readonly onVerify: (checkedBytes: number, totalBytes: number) => void;
  /** Stops the download; whole chunks stay. */
  readonly signal: AbortSignal | undefined;
}

/** Consecutive chunks `[first, end)` that one request fetches. */
interface Stretch {
  readonly file: OpenFile;
  readonly first: number;
  readonly end: number;
}

/**
 * Fetches what a manifest lacks, several chunks at once, each to its place in its file. A chunk is noted in the
 * manifest once its bytes are on disk and hashed. The caller holds the model's exclusive lock.
 */
export class Download {
  readonly #source: PublishedSource;
  readonly #settings: DownloadSettings;
  readonly #totalBytes: number;
  readonly #files: OpenFile[] = [];
  readonly #hashes: FileHashes;
  readonly #reader: ChunkReader;
  /** Except for its files, whose records are those of `#files`. */
  #manifest: Manifest;
  #arrivedBytes = 0;
  #saving: Promise<void> = Promise.resolve();
  #nextSave: Promise<void> | undefined;
  #reading: Promise<unknown> = Promise.resolve();

  private constructor(source: PublishedSource, manifest: Manifest, settings: DownloadSettings) {
    this.#source = source;
    this.#manifest = manifest;
    this.#settings = settings;
    this.#totalBytes = totalBytes(manifest.files);
    this.#hashes = new FileHashes(manifest.chunkBytes);
    this.#reader = new ChunkReader(manifest.chunkBytes);
  }

  /**
   * Makes every file whole.
   *
   * @param manifest - What is stored already, as written to the database.
   * @throws {@link OssicleError} `integrity`, and the errors of {@link ByteSource.stream}. DOMException
   * `QuotaExceededError` if the browser refuses to store more. `signal.reason`.
   */
  static async run(
    source: PublishedSource,
    directory: FileSystemDirectoryHandle,
    manifest: Manifest,
    settings: DownloadSettings,
  ): Promise<void> {
    const download = new Download(source, manifest, settings);
    try {
      await download.#open(directory);
      const attempts = new Map<string, number>();
      for (;;) {
        try {
          await download.#compareVersions();
          download.#arrive(storedBytes(download.#current()) - download.#arrivedBytes);
          await download.#fetchMissing();
          return await download.#confirm();
        } catch (error) {
          if (!(error instanceof FileChanged)) throw error;
          await download.#drop(error.path);
          const attempt = (attempts.get(error.path) ?? 0) + 1;
          const allowed = error instanceof BrokenStream ? UNBROKEN_ATTEMPTS : FILE_ATTEMPTS;
          if (attempt >= allowed) throw error;
          attempts.set(error.path, attempt);
        }
      }
    } finally {
      await download.#close(directory);
    }
  }

  async #open(directory: FileSystemDirectoryHandle): Promise<void> {
    for (const record of this.#manifest.files) {
      const file = await directory.getFileHandle(fileName(record.path), { create: true });
      const handle = await openSync(file, 'readwrite').catch(explainOpen);
      this.#files.push({ record, handle });
      // Chunks beyond the end of the file were lost.
      for (const chunk of record.isStored.keys()) {
        if (handle.getSize() < this.#range({ record, handle }, chunk).end)
          record.isStored[chunk] = 0;
      }
    }
    await this.#save();
    // Reserves all space before anything is fetched for it.
    for (const { record, handle } of this.#files) {
      if (handle.getSize() !== record.sizeBytes) handle.truncate(record.sizeBytes);
    }
  }

  /**
   * Drops the stored part of files whose published version has changed, or could have without a trace, and notes the new
   * versions.
   */
  async #compareVersions(): Promise<void> {
    const { signal, integrity = {} } = this.#settings;
    for (const file of this.#files) {
      const { path, sizeBytes } = file.record;
      const version = await this.#source.version(path, signal);
      if (!version) throw new MissingFile(path, this.#source.id);
      if (version.sizeBytes !== sizeBytes) {
        throw new OssicleError(
          'integrity',
          `${path} of ${this.#source.id} now has ${version.sizeBytes} bytes instead of ${sizeBytes}. ` +
            'It was changed: load again.',
        );
      }
      const sha256 = integrity[path] ?? version.sha256;
      const before = file.record.version;
      if (before && !isSameVersion(version, before)) await this.#drop(path);
      else if (!canMix({ ...file.record, sha256 }, version)) await this.#drop(path);
      const { record } = file;
      const isConfirmed = record.isConfirmed && record.sha256 === sha256;
      file.record = { ...record, version: { ...record.version, ...version }, sha256, isConfirmed };
    }
    const revision = this.#source.revision ?? this.#manifest.revision;
    this.#manifest = { ...this.#manifest, revision };
    await this.#save();
  }

  async #fetchMissing(): Promise<void> {
    const failure = new AbortController();
    const { signal } = this.#settings;
    const either = signal ? AbortSignal.any([signal, failure.signal]) : failure.signal;
    const stretches = this.#files.flatMap((file) => this.#missing(file));
    const onError = (error: unknown): void => failure.abort(error);
    const onState = (): void => void this.#save().catch(onError);
    this.#hashes.follow(this.#files, { onState, onError });
    const lane = async (): Promise<void> => {
      for (let next = stretches.shift(); next && !either.aborted; next = stretches.shift()) {
        await this.#fetchChecked(next, either);
      }
    };
    await Promise.all(Array.from({ length: LANES }, () => lane().catch(onError)));
    if (signal?.aborted) throw signal.reason;
    either.throwIfAborted();
  }

  /**
   * The requests for a file: one for each missing chunk; or one for the whole file if the server knows no ranges, or
   * nothing would tell that its chunks are of the same version.
   */
  #missing(file: OpenFile): Stretch[] {
    const { isStored, version } = file.record;
    if (isStored.every((stored) => stored === 1)) return [];
    const isMixable = this.#source.hasRanges && version && canMix(file.record, version);
    if (!isMixable) return [{ file, first: 0, end: isStored.length }];
    return [...isStored.keys()]
      .filter((chunk) => isStored[chunk] === 0)
      .map((chunk) => ({ file, first: chunk, end: chunk + 1 }));
  }

  /** Fetches chunks until their bytes are right. */
  async #fetchChecked(stretch: Stretch, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#fetch(stretch, signal);
      } catch (error) {
        if (!(error instanceof WrongChunk)) throw error;
        if (attempt < CHUNK_ATTEMPTS) continue;
        const { path, message } = error;
        throw this.#settings.isStrict
          ? new OssicleError('integrity', message)
          : new FileChanged(path, message);
      }
    }
  }

  async #fetch({ file, first, end }: Stretch, signal: AbortSignal): Promise<void> {
    const { path, isStored } = file.record;
    const { start } = this.#range(file, first);
    const stop = this.#range(file, end - 1).end;
    let at = start;
    const range = { path, offsetBytes: start, sizeBytes: stop - start };
    const { version } = file.record;
    const isUnbroken = version !== undefined && !canMix(file.record, version);
    for await (const bytes of this.#source.stream(range, signal, isUnbroken)) {
      for (let taken = 0; taken < bytes.length; ) {
        const chunk = Math.floor(at / this.#manifest.chunkBytes);
        const chunkEnd = this.#range(file, chunk).end;
        const part = bytes.subarray(taken, taken + chunkEnd - at);
        taken += part.length;
        if (isStored[chunk] === 0) this.#write(file, part, at);
        at += part.length;
        if (at === chunkEnd && isStored[chunk] === 0) await this.#finish(file, chunk);
      }
    }
    if (at !== stop) throw truncated(`${path} of ${this.#source.id}`, stop - start, at - start);
  }

  #write({ handle }: OpenFile, bytes: Uint8Array, at: number): void {
    if (handle.write(bytes, { at }) !== bytes.length) {
      throw new DOMException('A write was cut short', 'QuotaExceededError');
    }
    this.#arrive(bytes.length);
  }

  /** Notes a written chunk, once it is on disk and its bytes there are hashed. */
  async #finish(file: OpenFile, chunk: number): Promise<void> {
    const { record, handle } = file;
    const { start, end } = this.#range(file, chunk);
    handle.flush();
    if (!(await this.#readBack(file, chunk))) {
      this.#arrive(start - end);
      throw new WrongChunk(
        record.path,
        `The ${end - start} bytes of ${record.path} at ${start} do not have the SHA-256 that they had when they were ` +
          `published or first stored: ${this.#source.id} sent others, ${CHUNK_ATTEMPTS} times over.`,
      );
    }
    record.isStored[chunk] = 1;
    await this.#save();
    this.#hashes.wake();
  }

  /** Reads back one chunk at a time: WebCrypto hashes a copy, so each takes twice its size. */
  #readBack(file: OpenFile, chunk: number): Promise<Uint8Array | undefined> {
    const bytes = this.#reading.then(() => this.#reader.read(file, chunk));
    this.#reading = bytes.catch(() => undefined); // the caller handles it
    return bytes;
  }

  /** Waits for the hashes of whole files, and compares them with those that the files must have. */
  async #confirm(): Promise<void> {
    const { signal, onVerify } = this.#settings;
    const stop = (): void => void this.#hashes.stop();
    signal?.addEventListener('abort', stop);
    await this.#hashes.finish(onVerify).finally(() => signal?.removeEventListener('abort', stop));
    signal?.throwIfAborted();
    for (const file of this.#files) {
      const { record } = file;
      if (isWhole(record)) continue;
      const found = this.#hashes.result(record.path);
      if (found !== record.sha256) {
        throw new FileChanged(
          record.path,
          `${record.path} of ${this.#source.id} has the SHA-256 ${found}, and must have ${record.sha256}. All of it was ` +
            `fetched ${FILE_ATTEMPTS} times. Try another source, or ask its publisher.`,
        );
      }
      file.record = { ...record, isConfirmed: true };
    }
    await this.#save();
  }

  /** Forgets the stored part of a file. */
  async #drop(path: string): Promise<void> {
    await this.#hashes.stop();
    const file = this.#files.find(({ record }) => record.path === path);
    if (file) file.record = emptyFile(file.record, this.#manifest.chunkBytes);
    await this.#save();
  }

  async #close(directory: FileSystemDirectoryHandle): Promise<void> {
    await this.#hashes.dispose();
    await (this.#nextSave ?? this.#saving).catch(() => undefined); // #save's callers handle it
    if (!(await isPresent(directory))) return;
    for (const file of this.#files) {
      const { record, handle } = file;
      // Gives back unused space.
      if (!isWhole(record)) {
        const last = record.isStored.lastIndexOf(1);
        const bytes = last < 0 ? 0 : this.#range(file, last).end;
        if (bytes < handle.getSize()) handle.truncate(bytes);
      }
      handle.close();
    }
  }

  #current(): Manifest {
    return { ...this.#manifest, files: this.#files.map(({ record }) => record) };
  }

  /** Writes the manifest. Calls while a write is pending share the next one. */
  #save(): Promise<void> {
    this.#nextSave ??= this.#saving
      .catch(() => undefined)
      .then(() => {
        this.#nextSave = undefined;
        this.#saving = writeManifest(this.#current());
        return this.#saving;
      });
    return this.#nextSave;
  }

  #arrive(bytes: number): void {
    this.#arrivedBytes += bytes;
    this.#settings.onProgress(this.#arrivedBytes, this.#totalBytes);
  }

  #range({ record }: OpenFile, chunk: number): { readonly start: number; readonly end: number } {
    const { offsetBytes, sizeBytes } = chunkRange(record, this.#manifest.chunkBytes, chunk);
    return { start: offsetBytes, end: offsetBytes + sizeBytes };
  }
}

/** The model's lock is held, so that a file that is open belongs to a worker that lost it: one that hangs. */
function explainOpen(cause: unknown): never {
  if (!(cause instanceof DOMException && cause.name === 'NoModificationAllowedError')) throw cause;
  throw new OssicleError(
    'storage-unavailable',
    "A worker that has stopped responding keeps the model's files open. Close the other tabs of this site, or restart " +
      'the browser; then load again.',
    { cause },
  );
}

/** Whether a mix of the stored part of a file and its present version would show. */
function canMix(record: ManifestFile, now: FileVersion): boolean {
  if (record.sha256 !== undefined) return true;
  if (record.version && isProvenSame(record.version, now)) return true;
  return record.isStored.every((stored, i) => stored === 1 || chunkHash(record, i) !== undefined);
}

/** A chunk arrived with other bytes than it had before. */
class WrongChunk extends FileChanged {}
