// What the database says of each stored model: the journal of its download, and the hashes to check it by.
import { createStore, del, get, keys, set, type UseStore, update, values } from 'idb-keyval';
import type { FileVersion, SourceFile } from '../sources/byte-source.ts';

/** The name of the database, and of the folder of all models. */
export const ROOT = 'ossicle';

/** Bytes that are requested, hashed and journaled together; a multiple of SHA-256's block. */
export const CHUNK_BYTES: number = 16 * 2 ** 20;

/** The size of a SHA-256. */
const HASH_BYTES = 32;

/** What is stored of one file. Chunk `i` is its bytes from `i * chunkBytes` on. */
export interface StoredFile extends SourceFile {
  /** What was published when its chunks were fetched; absent where the source tells nothing. */
  readonly version?: FileVersion | undefined;
  /** For each chunk: 1 where it is stored whole, 0 where it is not. */
  readonly isStored: Uint8Array;
  /** The SHA-256 of each chunk, one after another; zeros where it is not known. */
  readonly hashes: Uint8Array;
  /** The SHA-256 that the whole file must have, in hexadecimal digits, where it is known. */
  readonly sha256?: string | undefined;
  /** Whether the whole file was found to have it. */
  readonly isConfirmed: boolean;
  /** How far the whole file's hash has come: after that many chunks, this state. */
  readonly hashed?: { readonly chunks: number; readonly state: Uint8Array } | undefined;
}

/** What is stored of one model. Written only when what it says is true of the files. */
export interface Manifest {
  /** The layout of this record and of the folder that it speaks of. */
  readonly version: 2;
  /** `owner/name@revision`, or a folder's address. */
  readonly id: string;
  /** The commit that the files are of, where the source tells it. */
  readonly revision?: string | undefined;
  /** The size of all chunks but each file's last. */
  readonly chunkBytes: number;
  /** Every file of the checkpoint. */
  readonly files: readonly StoredFile[];
  /** When the download began; milliseconds since 1970. */
  readonly storedAt: number;
  /** When the model was last loaded; milliseconds since 1970. */
  readonly usedAt: number;
}

let database: UseStore | undefined;

function manifests(): UseStore {
  database ??= createStore(ROOT, 'models');
  return database;
}

/** Reads a model's manifest; `undefined` where there is none that can be understood. */
export async function readManifest(id: string): Promise<Manifest | undefined> {
  const manifest = parseManifest(await get(id, manifests()));
  return manifest?.id === id ? manifest : undefined;
}

/** Reads all manifests that can be understood. */
export async function readManifests(): Promise<Manifest[]> {
  const found: unknown[] = await values(manifests());
  return found.map(parseManifest).filter((manifest) => manifest !== undefined);
}

/** Writes a model's manifest. */
export async function writeManifest(manifest: Manifest): Promise<void> {
  await set(manifest.id, manifest, manifests());
}

/** Changes a model's manifest in one step, whoever else changes it; does nothing where there is none. */
export async function updateManifest(
  id: string,
  change: (manifest: Manifest) => Manifest,
): Promise<void> {
  if (!(await readManifest(id))) return;
  await update<unknown>(
    id,
    (value) => {
      const manifest = parseManifest(value);
      return manifest ? change(manifest) : value;
    },
    manifests(),
  );
}

/** Removes a model's manifest. */
export async function deleteManifest(id: string): Promise<void> {
  await del(id, manifests());
}

/** The ids of all records that a folder may belong to: those of manifests, and of those that a later version wrote. */
export async function readOwners(): Promise<string[]> {
  const ids = (await keys<string>(manifests())).filter((id) => id !== '');
  const records: unknown[] = await Promise.all(ids.map((id) => get(id, manifests())));
  return ids.filter((_, i) => parseManifest(records[i]) || isLaterVersion(records[i]));
}

/** A file of which nothing is stored. */
export function emptyFile({ path, sizeBytes }: SourceFile, chunkBytes: number): StoredFile {
  const chunks = Math.ceil(sizeBytes / chunkBytes);
  return {
    path,
    sizeBytes,
    isStored: new Uint8Array(chunks),
    hashes: new Uint8Array(HASH_BYTES * chunks),
    isConfirmed: false,
  };
}

/** Says whether every chunk of a file is stored, and the whole has the SHA-256 that it must have. */
export function isWhole({ isStored, sha256, isConfirmed }: StoredFile): boolean {
  return isStored.every((stored) => stored === 1) && (sha256 === undefined || isConfirmed);
}

/** Says whether every file of a model is whole. */
export function isComplete({ files }: Manifest): boolean {
  return files.every(isWhole);
}

/** The bytes of a chunk. */
export function chunkSize({ sizeBytes }: SourceFile, chunkBytes: number, chunk: number): number {
  return Math.min(chunkBytes, sizeBytes - chunk * chunkBytes);
}

/** The bytes of a file that are stored. */
function storedBytes(file: StoredFile, chunkBytes: number): number {
  let bytes = 0;
  file.isStored.forEach((stored, chunk) => {
    bytes += stored * chunkSize(file, chunkBytes, chunk);
  });
  return bytes;
}

/** The bytes of a model that are stored. */
export function modelBytes({ files, chunkBytes }: Manifest): number {
  return files.reduce((sum, file) => sum + storedBytes(file, chunkBytes), 0);
}

/** The SHA-256 of a chunk; `undefined` where it is not known. */
export function chunkHash({ hashes }: StoredFile, chunk: number): Uint8Array | undefined {
  const hash = hashes.subarray(chunk * HASH_BYTES, (chunk + 1) * HASH_BYTES);
  return hash.some((byte) => byte !== 0) ? hash : undefined;
}

/** Notes in place that a chunk is stored, and its SHA-256. */
export function noteChunk(file: StoredFile, chunk: number, hash: Uint8Array): void {
  file.hashes.set(hash, chunk * HASH_BYTES);
  file.isStored[chunk] = 1;
}

/** The manifest without some chunks. Their hashes stay, so that the same bytes are asked for. */
export function withoutChunks(
  manifest: Manifest,
  lost: readonly { readonly path: string; readonly chunk: number }[],
): Manifest {
  return {
    ...manifest,
    files: manifest.files.map((file) => {
      const isStored = file.isStored.slice();
      for (const { path, chunk } of lost) if (path === file.path) isStored[chunk] = 0;
      return { ...file, isStored };
    }),
  };
}

/** The manifest with what another state of it knows of the chunks' hashes. */
export function withHashes(manifest: Manifest, from: Manifest): Manifest {
  return {
    ...manifest,
    files: manifest.files.map((file) => {
      const same = from.files.find(({ path }) => path === file.path);
      return same?.hashes.length === file.hashes.length ? { ...file, hashes: same.hashes } : file;
    }),
  };
}

/** The database may hold anything: another version's records, or a broken one. */
function parseManifest(value: unknown): Manifest | undefined {
  const record = (value ?? {}) as { readonly version?: unknown };
  if (record.version === 1) return migrate(value);
  return isManifest(value) ? value : undefined;
}

function isManifest(value: unknown): value is Manifest {
  const { version, id, chunkBytes, files, storedAt, usedAt } = (value ?? {}) as Partial<Manifest>;
  return (
    version === 2 &&
    typeof id === 'string' &&
    Number.isSafeInteger(chunkBytes) &&
    typeof storedAt === 'number' &&
    typeof usedAt === 'number' &&
    Array.isArray(files) &&
    files.every((file) => isStoredFile(file, chunkBytes as number))
  );
}

function isStoredFile(value: unknown, chunkBytes: number): value is StoredFile {
  const { path, sizeBytes, isStored, hashes, isConfirmed } = (value ?? {}) as Partial<StoredFile>;
  const chunks = Math.ceil((sizeBytes ?? 0) / chunkBytes);
  return (
    typeof path === 'string' &&
    Number.isSafeInteger(sizeBytes) &&
    isStored instanceof Uint8Array &&
    isStored.length === chunks &&
    hashes instanceof Uint8Array &&
    hashes.length === HASH_BYTES * chunks &&
    typeof isConfirmed === 'boolean'
  );
}

function isLaterVersion(value: unknown): boolean {
  const { version } = (value ?? {}) as { readonly version?: unknown };
  return typeof version === 'number' && version > 2;
}

/** Version 1 knew of each file only whether it is whole. The hashes of its chunks are learnt when it is verified. */
function migrate(value: unknown): Manifest | undefined {
  const { id, files, storedAt, usedAt } = value as Partial<Manifest>;
  if (!Array.isArray(files)) return undefined;
  const manifest = {
    version: 2,
    id,
    chunkBytes: CHUNK_BYTES,
    files: files.map((file) => {
      const empty = emptyFile(file, CHUNK_BYTES);
      return { ...empty, isStored: empty.isStored.fill(file.isWhole === true ? 1 : 0) };
    }),
    storedAt,
    usedAt,
  };
  return isManifest(manifest) ? manifest : undefined;
}
