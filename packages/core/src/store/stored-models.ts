// What the page shows and changes of the store. Runs on the page and in workers.
import { OssicleError } from '../errors.ts';
import { totalBytes } from '../sources/byte-source.ts';
import { HUGGING_FACE, IMPORT } from '../sources/repo.ts';
import { withPresentChunks } from './complete-model.ts';
import { deleteManifest, isComplete, readManifests, readOwners, storedBytes } from './manifest.ts';
import { directoryName, ignoreNotFound, lockModel, openRoot } from './opfs.ts';

/** How long removal waits for whoever uses the model. */
const REMOVAL_TIMEOUT_MS = 3000;

/** A model in the browser's private file system. */
export interface StoredModel {
  /**
   * Its source: `owner/name@revision`, or the address of a folder or GGUF file; with ` via ` and the address of the
   * mirror that it was read through, or `import:` and what imported files claim to be.
   */
  readonly id: string;
  /** Where its bytes came from: an origin such as `https://huggingface.co`, or `import`. */
  readonly origin: string;
  /** The commit of its files, if the source has one. */
  readonly revision?: string;
  /** Bytes stored so far: less than {@link StoredModel.totalBytes} until its download is complete. */
  readonly sizeBytes: number;
  /** Bytes of all its files. */
  readonly totalBytes: number;
  /** Whether it can be loaded without the network. */
  readonly complete: boolean;
  /** When its download began, in milliseconds since 1970. */
  readonly storedAt: number;
  /** When it was last loaded, in milliseconds since 1970. */
  readonly usedAt: number;
}

/** Where the bytes under an id came from. */
function originOf(id: string): string {
  if (id.startsWith(IMPORT)) return 'import';
  const [, mirror = ''] = / via (https?:\/\/\S+)$/.exec(id) ?? [];
  const address = [mirror, id].find((text) => URL.canParse(text));
  return address === undefined ? HUGGING_FACE : new URL(address).origin;
}

/** How much the site stores in the browser. */
export interface StoreUsage {
  /** Bytes that the site stores, models and everything else. */
  readonly usedBytes: number;
  /** Bytes that the site may store, according to the browser. Browsers may allow more. */
  readonly quotaBytes: number;
  /** Whether the browser keeps them when it runs out of space. */
  readonly persisted: boolean;
}

/** Lists the stored models, most recently used first. */
export async function listStoredModels(): Promise<StoredModel[]> {
  const manifests = (await readManifests()).map(withPresentChunks);
  return (await Promise.all(manifests))
    .map((manifest) => ({
      id: manifest.id,
      origin: originOf(manifest.id),
      ...(manifest.revision !== undefined && { revision: manifest.revision }),
      sizeBytes: storedBytes(manifest),
      totalBytes: totalBytes(manifest.files),
      complete: isComplete(manifest),
      storedAt: manifest.storedAt,
      usedAt: manifest.usedAt,
    }))
    .sort((a, b) => b.usedAt - a.usedAt);
}

/**
 * Removes a model, whole or partial; does nothing if there is none.
 *
 * @throws {@link OssicleError} `model-in-use` if it is being downloaded or loaded, here or in another tab.
 */
export async function removeStoredModel(id: string): Promise<void> {
  const timeout = AbortSignal.timeout(REMOVAL_TIMEOUT_MS);
  const release = await lockModel(id, 'exclusive', timeout).catch(() => {
    throw new OssicleError(
      'model-in-use',
      `${id} is being downloaded or loaded, here or in another tab. Stop that, or wait, then remove it.`,
    );
  });
  try {
    await deleteModel(id);
  } finally {
    release();
  }
}

/** Removes a model's files and its manifest. The caller holds its exclusive lock. */
export async function deleteModel(id: string): Promise<void> {
  const root = await openRoot();
  await root.removeEntry(directoryName(id), { recursive: true }).catch(ignoreNotFound);
  await deleteManifest(id);
}

/**
 * Removes folders that belong to no known model: those whose manifests were lost or are broken.
 *
 * @returns The number of bytes freed.
 */
export async function reclaimOrphans(): Promise<number> {
  const root = await openRoot();
  const folders: FileSystemDirectoryHandle[] = [];
  for await (const entry of root.values()) {
    if (entry.kind === 'directory') folders.push(entry as FileSystemDirectoryHandle);
  }
  // Downloads write their manifest before they create their folder: every folder listed above has its owner here.
  const owned = new Set((await readOwners()).map(directoryName));
  let freedBytes = 0;
  for (const folder of folders) {
    if (owned.has(folder.name)) continue;
    const sizeBytes = await folderBytes(folder);
    const isRemoved = await root.removeEntry(folder.name, { recursive: true }).then(
      () => true,
      () => false, // another tab has removed it, or has one of its files open
    );
    if (isRemoved) freedBytes += sizeBytes;
  }
  return freedBytes;
}

/** Reads how much the site stores. */
export async function readUsage(): Promise<StoreUsage> {
  const { usage = 0, quota = 0 } = await navigator.storage.estimate();
  return { usedBytes: usage, quotaBytes: quota, persisted: await navigator.storage.persisted() };
}

/** Asks the browser not to evict what the site stores; false if it refuses, and in workers, which may not ask. */
export async function requestPersistence(): Promise<boolean> {
  return (await navigator.storage.persist?.()) ?? false;
}

async function folderBytes(folder: FileSystemDirectoryHandle): Promise<number> {
  let bytes = 0;
  for await (const entry of folder.values()) {
    if (entry.kind !== 'file') continue;
    bytes += (await (entry as FileSystemFileHandle).getFile()).size;
  }
  return bytes;
}

/** The error for a model that is not stored. */
export function notStored(id: string): RangeError {
  return new RangeError(
    `No model is stored under the id ${JSON.stringify(id)}; store.list() returns the ids of stored models`,
  );
}
