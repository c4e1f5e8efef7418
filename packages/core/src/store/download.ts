import { isOssicleError, OssicleError } from '../errors.ts';
import {
  type ByteSource,
  FileChanged,
  isSameVersion,
  missing,
  truncated,
} from '../sources/byte-source.ts';
import { FileHashes, type HashedFile } from './file-hashes.ts';
import {
  chunkHash,
  chunkSize,
  emptyFile,
  isWhole,
  type Manifest,
  modelBytes,
  noteChunk,
  type StoredFile,
  withoutChunks,
  writeManifest,
} from './manifest.ts';
import { fileName, openSync } from './stored-source.ts';

/** How often a chunk is fetched whose bytes are not those that were there before. */
const CHUNK_ATTEMPTS = 3;

/** How often a file is fetched that changes meanwhile, or does not have its SHA-256. */
const FILE_ATTEMPTS = 2;

/** How a download goes about. */
export interface DownloadSettings {
  /** Requests under way at once. */
  readonly lanes: number;
  /** The SHA-256 that files must have whatever the source tells, by their paths. */
  readonly integrity: Readonly<Record<string, string>>;
  /** Whether the known hashes of chunks are the truth; otherwise a file that has come to differ from them is a new one. */
  readonly isStrict: boolean;
  /** Called as bytes are written; those stored before count as loaded. */
  readonly onProgress: (loadedBytes: number, totalBytes: number) => void;
  /** Called as files are hashed that are all there. */
  readonly onVerify: (checkedBytes: number, totalBytes: number) => void;
  /** Stops the download; chunks that are whole are kept. */
  readonly signal: AbortSignal | undefined;
}

/** Chunks that one request brings. */
interface Stretch {
  readonly file: HashedFile;
  readonly first: number;
  readonly end: number;
}

/**
 * Fetches what a manifest lacks, several chunks at once, each to its place in its file. A chunk is noted in the manifest
 * when its bytes are on the disk and hashed. The caller holds the model's exclusive lock.
 */
export class Download {
  readonly #source: ByteSource;
  readonly #settings: DownloadSettings;
  readonly #totalBytes: number;
  readonly #files: HashedFile[] = [];
  readonly #hashes: FileHashes;
  readonly #readBack: Uint8Array<ArrayBuffer>;
  #manifest: Manifest;
  #arrivedBytes = 0;
  #saving: Promise<void> = Promise.resolve();
  #nextSave: Promise<void> | undefined;
  #hashing: Promise<unknown> = Promise.resolve();

  private constructor(source: ByteSource, manifest: Manifest, settings: DownloadSettings) {
    this.#source = source;
    this.#manifest = manifest;
    this.#settings = settings;
    this.#totalBytes = manifest.files.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
    const largest = Math.max(...manifest.files.map(({ sizeBytes }) => sizeBytes));
    this.#readBack = new Uint8Array(Math.min(manifest.chunkBytes, largest));
    this.#hashes = new FileHashes(manifest.chunkBytes);
  }

  /**
   * Makes every file whole.
   *
   * @param manifest - What is there. It has been written.
   * @throws {@link OssicleError} `integrity`, and those of {@link ByteSource.stream}. DOMException
   * `QuotaExceededError` where the browser refuses to store more. `signal.reason`.
   */
  static async run(
    source: ByteSource,
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
          download.#report();
          await download.#fetchMissing();
          return await download.#confirm();
        } catch (error) {
          if (!(error instanceof FileChanged)) throw error;
          await download.#drop(error.path);
          const attempt = (attempts.get(error.path) ?? 0) + 1;
          if (attempt === FILE_ATTEMPTS) throw error;
          attempts.set(error.path, attempt);
        }
      }
    } finally {
      await download.#close();
    }
  }

  async #open(directory: FileSystemDirectoryHandle): Promise<void> {
    for (const record of this.#manifest.files) {
      const file = await directory.getFileHandle(fileName(record.path), { create: true });
      const open = { record, handle: await openSync(file, 'readwrite') };
      this.#files.push(open);
      // What the file is too short for was lost.
      const lost = [...record.isStored.keys()]
        .filter((chunk) => open.handle.getSize() < this.#start(chunk) + this.#size(record, chunk))
        .map((chunk) => ({ path: record.path, chunk }));
      this.#adopt(withoutChunks(this.#manifest, lost));
    }
    await this.#save();
    // All room is asked for before anything is fetched for it.
    for (const { record, handle } of this.#files) {
      if (handle.getSize() !== record.sizeBytes) handle.truncate(record.sizeBytes);
    }
  }

  /** Drops what is stored of files that are others by now, and notes what they are. */
  async #compareVersions(): Promise<void> {
    const { signal } = this.#settings;
    for (const file of this.#files) {
      const { record } = file;
      const version = await this.#source.version?.(record.path, signal);
      if (this.#source.version && !version) throw missing(record.path, this.#source.id);
      if (version && version.sizeBytes !== record.sizeBytes) {
        throw new OssicleError(
          'integrity',
          `${record.path} of ${this.#source.id} has ${version.sizeBytes} bytes now, and had ${record.sizeBytes}. ` +
            'It was changed: load again.',
        );
      }
      if (version && record.version && !isSameVersion(version, record.version)) {
        await this.#drop(record.path);
      }
      const sha256 = this.#settings.integrity[record.path] ?? version?.sha256;
      const isConfirmed = file.record.isConfirmed && file.record.sha256 === sha256;
      file.record = { ...file.record, version: version ?? record.version, sha256, isConfirmed };
    }
    this.#adopt({
      ...this.#manifest,
      revision: this.#source.revision ?? this.#manifest.revision,
      files: this.#files.map(({ record }) => record),
    });
    await this.#save();
  }

  async #fetchMissing(): Promise<void> {
    const failure = new AbortController();
    const { signal, lanes } = this.#settings;
    const either = signal ? AbortSignal.any([signal, failure.signal]) : failure.signal;
    const stretches = this.#files.flatMap((file) => this.#missing(file));
    const fail = (error: unknown): void => failure.abort(error);
    this.#hashes.follow(this.#files, () => void this.#save().catch(fail), fail);
    const lane = async (): Promise<void> => {
      for (let next = stretches.shift(); next && !either.aborted; next = stretches.shift()) {
        await this.#fetchChecked(next, either);
      }
    };
    await Promise.all(Array.from({ length: lanes }, () => lane().catch(fail)));
    if (signal?.aborted) throw signal.reason;
    either.throwIfAborted();
  }

  /** What has to be requested of a file: each chunk by itself, or all of it where the server gives no parts. */
  #missing(file: HashedFile): Stretch[] {
    const { isStored } = file.record;
    if (isStored.every((stored) => stored === 1)) return [];
    if (this.#source.hasRanges === false) return [{ file, first: 0, end: isStored.length }];
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
    const { path, sizeBytes, isStored } = file.record;
    const start = this.#start(first);
    const stop = Math.min(sizeBytes, this.#start(end));
    let at = start;
    for await (const bytes of this.#source.stream(path, start, stop - start, signal)) {
      for (let taken = 0; taken < bytes.length; ) {
        const chunk = Math.floor(at / this.#manifest.chunkBytes);
        const chunkEnd = this.#start(chunk) + this.#size(file.record, chunk);
        const part = bytes.subarray(taken, taken + chunkEnd - at);
        taken += part.length;
        if (isStored[chunk] === 0) this.#write(file, part, at);
        at += part.length;
        if (at === chunkEnd && isStored[chunk] === 0) await this.#finish(file, chunk);
      }
    }
    if (at !== stop) throw truncated(`${path} of ${this.#source.id}`, stop - start, at - start);
  }

  #write({ handle }: HashedFile, bytes: Uint8Array, at: number): void {
    if (handle.write(bytes, { at }) !== bytes.length) {
      throw new DOMException('A write was cut short', 'QuotaExceededError');
    }
    this.#arrive(bytes.length);
  }

  /** Notes a chunk whose bytes are written, once they are on the disk and hashed as they are there. */
  async #finish(file: HashedFile, chunk: number): Promise<void> {
    const { record, handle } = file;
    const sizeBytes = this.#size(record, chunk);
    handle.flush();
    const hash = await this.#hash(file, chunk);
    const expected = chunkHash(record, chunk);
    if (expected?.some((byte, i) => byte !== hash[i])) {
      this.#arrive(-sizeBytes);
      throw new WrongChunk(
        record.path,
        `The ${sizeBytes} bytes of ${record.path} from ${this.#start(chunk)} on do not have the SHA-256 that they had when ` +
          `they were published or first stored: ${this.#source.id} gives others, ${CHUNK_ATTEMPTS} times over.`,
      );
    }
    noteChunk(record, chunk, hash);
    await this.#save();
    this.#hashes.wake();
  }

  /** The SHA-256 of a chunk as it is on the disk. One at a time, because WebCrypto works on a copy of its own. */
  #hash({ record, handle }: HashedFile, chunk: number): Promise<Uint8Array> {
    const hash = this.#hashing.then(async () => {
      const bytes = this.#readBack.subarray(0, this.#size(record, chunk));
      handle.read(bytes, { at: this.#start(chunk) });
      return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    });
    this.#hashing = hash.catch(() => undefined); // whoever asked for it is told
    return hash;
  }

  /** Waits for the hashes of whole files, and holds them against those that the files must have. */
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
    this.#adopt({ ...this.#manifest, files: this.#files.map(({ record }) => record) });
    await this.#save();
  }

  /** Forgets all that is stored of a file. */
  async #drop(path: string): Promise<void> {
    await this.#hashes.stop();
    for (const file of this.#files) {
      const { record } = file;
      if (record.path === path) file.record = emptyFile(record, this.#manifest.chunkBytes);
    }
    this.#adopt({ ...this.#manifest, files: this.#files.map(({ record }) => record) });
    await this.#save();
  }

  async #close(): Promise<void> {
    await this.#hashes.dispose();
    await (this.#nextSave ?? this.#saving).catch(() => undefined); // it was awaited where it matters
    for (const { record, handle } of this.#files) {
      // Room that is not used is given back.
      if (!isWhole(record)) {
        const chunks = record.isStored.lastIndexOf(1) + 1;
        const bytes = Math.min(record.sizeBytes, this.#start(chunks));
        if (bytes < handle.getSize()) handle.truncate(bytes);
      }
      handle.close();
    }
  }

  /** Takes over a manifest whose files are those that are open. */
  #adopt(manifest: Manifest): void {
    this.#manifest = manifest;
    this.#files.forEach((file, i) => {
      file.record = manifest.files[i] as StoredFile;
    });
  }

  /** Writes the manifest as it is by then. Writes that are asked for meanwhile become one. */
  #save(): Promise<void> {
    this.#nextSave ??= this.#saving
      .catch(() => undefined)
      .then(() => {
        this.#nextSave = undefined;
        this.#saving = writeManifest({
          ...this.#manifest,
          files: this.#files.map(({ record }) => record),
        });
        return this.#saving;
      });
    return this.#nextSave;
  }

  #report(): void {
    this.#arrivedBytes = modelBytes(this.#manifest);
    this.#settings.onProgress(this.#arrivedBytes, this.#totalBytes);
  }

  #arrive(bytes: number): void {
    this.#arrivedBytes += bytes;
    this.#settings.onProgress(this.#arrivedBytes, this.#totalBytes);
  }

  #start(chunk: number): number {
    return chunk * this.#manifest.chunkBytes;
  }

  #size(file: StoredFile, chunk: number): number {
    return chunkSize(file, this.#manifest.chunkBytes, chunk);
  }
}

/** A chunk that has come with other bytes than it had. */
class WrongChunk extends FileChanged {}

/** Says whether the browser refused to store more. */
export function isQuotaError(error: unknown): boolean {
  return !isOssicleError(error) && error instanceof Error && error.name === 'QuotaExceededError';
}
