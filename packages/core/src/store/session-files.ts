// Saved sessions in the origin private file system: one file each, which a save replaces as a whole.
import { fileName, ignoreNotFound } from './opfs.ts';
import { checkStorage, storageFailure } from './storage-failure.ts';

/** The folder of all saved sessions. */
const FOLDER = 'ossicle-sessions';

const SUFFIX = '.session';

/** A saved session. */
export interface SessionFile {
  readonly id: string;
  readonly file: File;
}

/**
 * Writes a session's file. Until it is complete, the file that was there before stays, even if the browser is closed.
 *
 * @param produce - Hands the bytes to `write`, in order.
 * @throws {@link OssicleError} `storage-full`, `storage-unavailable`, and what `produce` throws.
 */
export function writeSessionFile(
  id: string,
  produce: (write: (bytes: BufferSource) => Promise<void>) => Promise<void>,
): Promise<void> {
  return stored(async () => {
    const folder = await openFolder();
    const name = nameOf(id);
    const handle = await folder.getFileHandle(name, { create: true });
    let writable: FileSystemWritableFileStream | undefined;
    try {
      const open = await handle.createWritable();
      writable = open;
      await produce((bytes) => open.write(bytes));
      await open.close();
    } catch (error) {
      await writable?.abort().catch(() => undefined); // the first error counts
      const isNew = await handle.getFile().then(
        ({ size }) => size === 0,
        () => false,
      );
      if (isNew) await folder.removeEntry(name).catch(() => undefined);
      throw error;
    }
  });
}

/** Opens a session's file; `undefined` if there is none. @throws {@link OssicleError} `storage-unavailable`. */
export function openSessionFile(id: string): Promise<File | undefined> {
  return stored(async () => {
    const folder = await openFolder();
    const handle = await folder.getFileHandle(nameOf(id)).catch(ignoreNotFound);
    const file = await handle?.getFile();
    return file && file.size > 0 ? file : undefined;
  });
}

/** Lists the files of all sessions, and removes what a killed browser has left of others. @throws {@link OssicleError} `storage-unavailable`. */
export function listSessionFiles(): Promise<SessionFile[]> {
  return stored(async () => {
    const found: SessionFile[] = [];
    const folder = await openFolder();
    for await (const [name, entry] of folder.entries()) {
      if (!name.endsWith(SUFFIX)) {
        await folder.removeEntry(name).catch(() => undefined); // those that are being written are locked
        continue;
      }
      const file = await (entry as FileSystemFileHandle).getFile().catch(ignoreNotFound);
      const id = decodeURIComponent(name.slice(0, -SUFFIX.length));
      if (file && file.size > 0) found.push({ id, file }); // an empty one is being written for the first time
    }
    return found;
  });
}

/** Removes a session's file, if there is one. @throws {@link OssicleError} `storage-unavailable`. */
export function removeSessionFile(id: string): Promise<void> {
  return stored(async () => {
    const folder = await openFolder();
    await folder.removeEntry(nameOf(id)).catch(ignoreNotFound);
  });
}

/** Not among the folders of models: those that belong to no model are removed. */
async function openFolder(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(FOLDER, { create: true });
}

function nameOf(id: string): string {
  return fileName(id) + SUFFIX;
}

async function stored<T>(use: () => Promise<T>): Promise<T> {
  checkStorage();
  try {
    return await use();
  } catch (error) {
    throw storageFailure(error);
  }
}
