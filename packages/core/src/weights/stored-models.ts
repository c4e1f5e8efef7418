// What the origin private file system keeps of which model. Works on the page and in workers.
import { createStore, del, get, set, type UseStore, values } from 'idb-keyval';
import { shortHash } from './byte-source.ts';

const ROOT = 'ossicle';

/** How long removing waits for whoever uses the model. */
const REMOVAL_PATIENCE_MS = 3000;

/** A model in the browser's private file system. */
export interface StoredModel {
  /** What it was loaded from: `owner/name@revision`, or a folder's address. */
  readonly id: string;
  /** Bytes of its files that are stored whole. */
  readonly sizeBytes: number;
  /** Bytes of all its files. */
  readonly totalBytes: number;
  /** Whether it can be loaded without the network. */
  readonly complete: boolean;
  /** When its download began; milliseconds since 1970. */
  readonly storedAt: number;
  /** When it was last loaded; milliseconds since 1970. */
  readonly usedAt: number;
}

/** How much the site keeps in the browser. */
export interface StoreUsage {
  /** Bytes that the site holds, models and anything else. */
  readonly usedBytes: number;
  /** Bytes that the browser says the site may hold. Browsers may allow more than they say. */
  readonly quotaBytes: number;
  /** Whether the browser keeps them when it runs short of space. */
  readonly persisted: boolean;
}

/** What is stored of one model. Written only when what it says is true of the files. */
export interface Manifest {
  /** The layout of this record and of the folder that it speaks of. */
  readonly version: 1;
  /** See {@link StoredModel.id}. */
  readonly id: string;
  /** Every file of the checkpoint. */
  readonly files: readonly {
    /** The path within the source. */
    readonly path: string;
    /** The size of the whole file. */
    readonly sizeBytes: number;
    /** Whether all of it is stored. */
    readonly isWhole: boolean;
  }[];
  /** See {@link StoredModel.storedAt}. */
  readonly storedAt: number;
  /** See {@link StoredModel.usedAt}. */
  readonly usedAt: number;
}

let database: UseStore | undefined;

function manifests(): UseStore {
  database ??= createStore(ROOT, 'models');
  return database;
}

/** Reads a model's manifest; `undefined` where there is none that can be understood. */
export async function readManifest(id: string): Promise<Manifest | undefined> {
  const value: unknown = await get(id, manifests());
  return isManifest(value) && value.id === id ? value : undefined;
}

/** Writes a model's manifest. */
export async function writeManifest(manifest: Manifest): Promise<void> {
  await set(manifest.id, manifest, manifests());
}

/** Says whether every file of a model is stored. */
export function isComplete({ files }: Manifest): boolean {
  return files.every(({ isWhole }) => isWhole);
}

/** The folder that holds the folders of all models. */
export async function openRoot(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(ROOT, { create: true });
}

/** The name of a model's folder: readable, and fit for any file system. */
export async function directoryName(id: string): Promise<string> {
  return `${id.replace(/\W+/g, '-').slice(-48)}-${await shortHash(id)}`;
}

/**
 * Takes a model's lock: shared to read its files, exclusive to change them. All tabs share these locks.
 *
 * @returns A function that gives it back. The browser does so too when the tab or worker ends.
 */
export function lockModel(id: string, mode: LockMode, signal?: AbortSignal): Promise<() => void> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(
        `${ROOT}/${id}`,
        { mode, ...(signal && { signal }) },
        () => new Promise<void>((release) => resolve(release)),
      )
      .catch((error: unknown) => reject(signal?.aborted ? signal.reason : error));
  });
}

/** Lists the stored models, last used first. */
export async function listStoredModels(): Promise<StoredModel[]> {
  const found: unknown[] = await values(manifests());
  return found
    .filter(isManifest)
    .map((manifest) => ({
      id: manifest.id,
      sizeBytes: sum(manifest.files.filter(({ isWhole }) => isWhole)),
      totalBytes: sum(manifest.files),
      complete: isComplete(manifest),
      storedAt: manifest.storedAt,
      usedAt: manifest.usedAt,
    }))
    .sort((a, b) => b.usedAt - a.usedAt);
}

/**
 * Removes a model, whole or partial; does nothing where there is none.
 *
 * @throws DOMException `NoModificationAllowedError` where it is being downloaded or loaded, here or in another tab.
 */
export async function removeStoredModel(id: string): Promise<void> {
  const release = await lockModel(id, 'exclusive', AbortSignal.timeout(REMOVAL_PATIENCE_MS)).catch(
    () => {
      throw new DOMException(
        `${id} is being downloaded or loaded, here or in another tab. Stop that, or wait, then remove it.`,
        'NoModificationAllowedError',
      );
    },
  );
  try {
    const root = await openRoot();
    await root.removeEntry(await directoryName(id), { recursive: true }).catch(ignoreNotFound);
    await del(id, manifests());
  } finally {
    release();
  }
}

/** Tells how much the site stores. */
export async function readUsage(): Promise<StoreUsage> {
  const { usage = 0, quota = 0 } = await navigator.storage.estimate();
  return { usedBytes: usage, quotaBytes: quota, persisted: await navigator.storage.persisted() };
}

/** Asks the browser to keep what the site stores; false where it will not, and in workers, which may not ask. */
export async function requestPersistence(): Promise<boolean> {
  return (await navigator.storage.persist?.()) ?? false;
}

/** Passes over the error that there is no such file or folder. */
export function ignoreNotFound(error: unknown): undefined {
  if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw error;
}

function sum(files: Manifest['files']): number {
  return files.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
}

/** The database may hold anything: another version's records, or a broken one. */
function isManifest(value: unknown): value is Manifest {
  const { version, id, files, storedAt, usedAt } = (value ?? {}) as Partial<Manifest>;
  return (
    version === 1 &&
    typeof id === 'string' &&
    typeof storedAt === 'number' &&
    typeof usedAt === 'number' &&
    Array.isArray(files) &&
    files.every(
      (file) =>
        typeof file?.path === 'string' &&
        Number.isSafeInteger(file.sizeBytes) &&
        typeof file.isWhole === 'boolean',
    )
  );
}
