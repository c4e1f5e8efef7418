// What the origin private file system keeps of which model. Works on the page and in workers.
import { OssicleError } from '../errors.ts';
import { shortHash } from '../sha256.ts';
import {
  deleteManifest,
  isComplete,
  modelBytes,
  ROOT,
  readManifests,
  readOwners,
} from './manifest.ts';

/** How long removing waits for whoever uses the model. */
const REMOVAL_PATIENCE_MS = 3000;

/** A model in the browser's private file system. */
export interface StoredModel {
  /** What it was loaded from: `owner/name@revision`, or a folder's address. */
  readonly id: string;
  /** The commit that it was loaded from, where the source tells it. */
  readonly revision?: string;
  /** Bytes of it that are stored: less than {@link StoredModel.totalBytes} while its download is under way or was stopped. */
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

/** The folder that holds the folders of all models. */
export async function openRoot(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(ROOT, { create: true });
}

/** The name of a model's folder: readable, and fit for any file system. */
export async function directoryName(id: string): Promise<string> {
  return `${id.replace(/\W+/g, '-').slice(-48)}-${shortHash(id)}`;
}

/** A model's folder; `undefined` where there is none. */
export async function openModelDirectory(
  root: FileSystemDirectoryHandle,
  id: string,
): Promise<FileSystemDirectoryHandle | undefined> {
  return root.getDirectoryHandle(await directoryName(id)).catch(ignoreNotFound);
}

/**
 * Takes a model's lock: shared to read its files, exclusive to change them. All tabs share these locks.
 *
 * @returns A function that gives it back. The browser does so too when the tab or worker ends.
 */
export function lockModel(
  id: string,
  mode: LockMode,
  signal?: AbortSignal | undefined,
): Promise<() => void> {
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
  return (await readManifests())
    .map((manifest) => ({
      id: manifest.id,
      ...(manifest.revision !== undefined && { revision: manifest.revision }),
      sizeBytes: modelBytes(manifest),
      totalBytes: manifest.files.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0),
      complete: isComplete(manifest),
      storedAt: manifest.storedAt,
      usedAt: manifest.usedAt,
    }))
    .sort((a, b) => b.usedAt - a.usedAt);
}

/**
 * Removes a model, whole or partial; does nothing where there is none.
 *
 * @throws {@link OssicleError} `model-in-use` where it is being downloaded or loaded, here or in another tab.
 */
export async function removeStoredModel(id: string): Promise<void> {
  const release = await lockModel(id, 'exclusive', AbortSignal.timeout(REMOVAL_PATIENCE_MS)).catch(
    () => {
      throw new OssicleError(
        'model-in-use',
        `${id} is being downloaded or loaded, here or in another tab. Stop that, or wait, then remove it.`,
      );
    },
  );
  try {
    const root = await openRoot();
    await root.removeEntry(await directoryName(id), { recursive: true }).catch(ignoreNotFound);
    await deleteManifest(id);
  } finally {
    release();
  }
}

/**
 * Removes folders that belong to no model that is known: of manifests that were lost, or that nobody understands.
 *
 * @returns The bytes that it freed.
 */
export async function reclaimOrphans(): Promise<number> {
  const root = await openRoot();
  const folders: FileSystemDirectoryHandle[] = [];
  for await (const entry of root.values()) {
    if (entry.kind === 'directory') folders.push(entry as FileSystemDirectoryHandle);
  }
  // Downloads write their manifest before they make their folder: what has an owner by now is not touched.
  const owned = new Set(await Promise.all((await readOwners()).map(directoryName)));
  let freedBytes = 0;
  for (const folder of folders) {
    if (owned.has(folder.name)) continue;
    const sizeBytes = await folderBytes(folder);
    const isRemoved = await root.removeEntry(folder.name, { recursive: true }).then(
      () => true,
      () => false, // another tab has removed it, or has a file of it open
    );
    if (isRemoved) freedBytes += sizeBytes;
  }
  return freedBytes;
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

async function folderBytes(folder: FileSystemDirectoryHandle): Promise<number> {
  let bytes = 0;
  for await (const entry of folder.values()) {
    if (entry.kind !== 'file') continue;
    bytes += (await (entry as FileSystemFileHandle).getFile()).size;
  }
  return bytes;
}
