// The database record of each stored model: the journal of its download, and the hashes to check it by.
import { createStore, del, get, keys, set, type UseStore, update, values } from 'idb-keyval';
import type { SourceFile } from '../sources/byte-source.ts';
import type { FileVersion } from '../sources/published-source.ts';

/** Bytes that are requested, hashed and journaled together; a multiple of SHA-256's block. */
export const CHUNK_BYTES: number = 16 * 2 ** 20;

/** The size of a SHA-256. */
const HASH_BYTES = 32;

/** The stored part of a file. Chunk `i` begins at `i * chunkBytes`. */
export interface ManifestFile extends SourceFile {
  /** The published version of its chunks, as far as it is known. */
  readonly version?: FileVersion | undefined;
  /** For each chunk, 1 if all of it is stored, else 0. */
  readonly isStored: Uint8Array;
  /** The SHA-256 of each chunk, concatenated; zeros if unknown. */
  readonly hashes: Uint8Array;
  /** The SHA-256 that the whole file must have, in hexadecimal digits, if it is known. */
  readonly sha256?: string | undefined;
  /** Whether the SHA-256 of the whole file has been verified. */
  readonly isConfirmed: boolean;
  /** The progress of the whole file's hash: its state after that many chunks. */
  readonly hashed?: { readonly chunks: number; readonly state: Uint8Array } | undefined;
}

/** What is stored of a model. Written only once it is true of the files. */
export interface Manifest {
  /** The layout of this record and of the model's folder. */
  readonly version: 2;
  /** `owner/name@revision`, or a folder's address. */
  readonly id: string;
  /** The commit of the files, if the source has one. */
  readonly revision?: string | undefined;
  /** The size of all chunks except the last of each file. */
  readonly chunkBytes: number;
  readonly files: readonly ManifestFile[];
  /** When the download began, in milliseconds since 1970. */
  readonly storedAt: number;
  /** When the model was last loaded, in milliseconds since 1970. */
  readonly usedAt: number;
}

let database: UseStore | undefined;

function manifests(): UseStore {
  database ??= createStore('ossicle', 'models');
  return database;
}

/** Reads a model's manifest; `undefined` if there is none that this version understands. */
export async function readManifest(id: string): Promise<Manifest | undefined> {
  const manifest: unknown = await get(id, manifests());
  return isManifest(manifest) && manifest.id === id ? manifest : undefined;
}

/** Reads all manifests that this version understands. */
export async function readManifests(): Promise<Manifest[]> {
  const records: unknown[] = await values(manifests());
  return records.filter(isManifest);
}

/** Writes a model's manifest. */
export async function writeManifest(manifest: Manifest): Promise<void> {
  await set(manifest.id, manifest, manifests());
}

/** Changes a model's manifest in one transaction; does nothing if there is none. */
export async function updateManifest(
  id: string,
  change: (manifest: Manifest) => Manifest,
): Promise<void> {
  if (!(await readManifest(id))) return;
  await update<unknown>(
    id,
    (record) => (isManifest(record) ? change(record) : record),
    manifests(),
  );
}

/** Removes a model's manifest. */
export async function deleteManifest(id: string): Promise<void> {
  await del(id, manifests());
}

/** The ids of all models that own a folder: by their manifests, or by records that a later version wrote. */
export async function readOwners(): Promise<string[]> {
  const ids = (await keys<string>(manifests())).filter((id) => id !== '');
  const records: unknown[] = await Promise.all(ids.map((id) => get(id, manifests())));
  return ids.filter((_, i) => isManifest(records[i]) || isLaterVersion(records[i]));
}

/** A file of which nothing is stored. */
export function emptyFile({ path, sizeBytes }: SourceFile, chunkBytes: number): ManifestFile {
  const chunks = Math.ceil(sizeBytes / chunkBytes);
  return {
    path,
    sizeBytes,
    isStored: new Uint8Array(chunks),
    hashes: new Uint8Array(HASH_BYTES * chunks),
    isConfirmed: false,
  };
}

/** Whether every chunk of a file is stored, and the file has the SHA-256 that it must have. */
export function isWhole({ isStored, sha256, isConfirmed }: ManifestFile): boolean {
  return isStored.every((stored) => stored === 1) && (sha256 === undefined || isConfirmed);
}

/** Whether every file of a model is whole. */
export function isComplete({ files }: Manifest): boolean {
  return files.every(isWhole);
}

/** The place of a chunk in its file. */
export function chunkRange(
  { sizeBytes }: SourceFile,
  chunkBytes: number,
  chunk: number,
): { readonly offsetBytes: number; readonly sizeBytes: number } {
  const offsetBytes = chunk * chunkBytes;
  return { offsetBytes, sizeBytes: Math.min(chunkBytes, sizeBytes - offsetBytes) };
}

/** The bytes of a model that are stored. */
export function storedBytes({ files, chunkBytes }: Manifest): number {
  let bytes = 0;
  for (const file of files) {
    file.isStored.forEach((stored, chunk) => {
      bytes += stored * chunkRange(file, chunkBytes, chunk).sizeBytes;
    });
  }
  return bytes;
}

/** The SHA-256 of a chunk; `undefined` if it is unknown. */
export function chunkHash({ hashes }: ManifestFile, chunk: number): Uint8Array | undefined {
  const hash = hashes.subarray(chunk * HASH_BYTES, (chunk + 1) * HASH_BYTES);
  return hash.some((byte) => byte !== 0) ? hash : undefined;
}

/** Notes the SHA-256 of a chunk, in place. */
export function noteHash(file: ManifestFile, chunk: number, hash: Uint8Array): void {
  file.hashes.set(hash, chunk * HASH_BYTES);
}

/** Returns the manifest without some chunks. Their hashes stay, so that only the same bytes can replace them. */
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

/** The database may contain anything: another version's records, or broken ones. */
function isManifest(value: unknown): value is Manifest {
  const { version, id, revision, chunkBytes, files, storedAt, usedAt } = (value ??
    {}) as Partial<Manifest>;
  return (
    version === 2 &&
    typeof id === 'string' &&
    isCount(chunkBytes) &&
    chunkBytes > 0 &&
    typeof storedAt === 'number' &&
    typeof usedAt === 'number' &&
    Array.isArray(files) &&
    isTextOrAbsent(revision) &&
    Array.from(files).every((file) => isManifestFile(file, chunkBytes))
  );
}

function isManifestFile(value: unknown, chunkBytes: number): value is ManifestFile {
  const { path, sizeBytes, version, isStored, hashes, sha256, isConfirmed, hashed } = (value ??
    {}) as Partial<ManifestFile>;
  if (!isCount(sizeBytes)) return false;
  const chunks = Math.ceil(sizeBytes / chunkBytes);
  return (
    typeof path === 'string' &&
    isStored instanceof Uint8Array &&
    isStored.length === chunks &&
    isStored.every((stored) => stored <= 1) &&
    hashes instanceof Uint8Array &&
    hashes.length === HASH_BYTES * chunks &&
    typeof isConfirmed === 'boolean' &&
    isTextOrAbsent(sha256) &&
    (version === undefined || isCount((version as FileVersion | null)?.sizeBytes)) &&
    (hashed === undefined ||
      (isCount(hashed?.chunks) && hashed.chunks <= chunks && hashed.state instanceof Uint8Array))
  );
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || typeof value === 'string';
}

function isLaterVersion(value: unknown): boolean {
  const { version } = (value ?? {}) as { readonly version?: unknown };
  return typeof version === 'number' && version > 2;
}
