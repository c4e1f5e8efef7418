// The origin private file system: one folder per model, below one root, and a Web Lock for each model.
import { shortHash } from '../sha256.ts';

/** The name of the folder of all models, and the prefix of their locks. */
const ROOT = 'ossicle';

/** A `FileSystemSyncAccessHandle`: a file open in a worker. Reads and writes return the number of bytes. */
export interface SyncFile {
  read(into: Uint8Array, options: { at: number }): number;
  write(from: Uint8Array, options: { at: number }): number;
  truncate(sizeBytes: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

type SyncMode = 'readwrite' | 'read-only';

interface SyncAccess {
  createSyncAccessHandle(options: { mode: SyncMode }): Promise<SyncFile>;
}

/** Opens a file; browsers without modes open it for this worker alone. */
export function openSync(file: FileSystemFileHandle, mode: SyncMode): Promise<SyncFile> {
  return (file as unknown as SyncAccess).createSyncAccessHandle({ mode });
}

/** Opens the folder of all models. */
export async function openRoot(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(ROOT, { create: true });
}

/** The name of a model's folder: readable, and valid in any file system. */
export function directoryName(id: string): string {
  return `${id.replace(/\W+/g, '-').slice(-48)}-${shortHash(id)}`;
}

/** Opens a model's folder; `undefined` if there is none. */
export async function openModelDirectory(
  id: string,
): Promise<FileSystemDirectoryHandle | undefined> {
  const root = await openRoot();
  return root.getDirectoryHandle(directoryName(id)).catch(ignoreNotFound);
}

/** The name of a stored file: its path, with the characters escaped that file systems forbid. */
export function fileName(path: string): string {
  return encodeURIComponent(path);
}

/** The size of a stored file; `undefined` if it is not there. */
export async function fileSize(
  directory: FileSystemDirectoryHandle,
  path: string,
): Promise<number | undefined> {
  const file = await directory.getFileHandle(fileName(path)).catch(ignoreNotFound);
  return (await file?.getFile())?.size;
}

/** Ignores the error that a file or folder does not exist. */
export function ignoreNotFound(error: unknown): undefined {
  if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw error;
}

/**
 * Takes a model's lock: shared to read its files, exclusive to change them. All tabs share these locks.
 *
 * @returns A function that releases it. So does the end of the tab or worker.
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
