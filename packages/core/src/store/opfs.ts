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

/**
 * Whether a folder is still there: users can clear a site's data at any time. Files that are gone must not be closed,
 * because Chrome can hang in that for ever.
 */
export async function isPresent(directory: FileSystemDirectoryHandle): Promise<boolean> {
  const patience = new Promise<boolean>((resolve) => setTimeout(resolve, LOOK_MS, false));
  const look = directory
    .keys()
    .next()
    .then(
      () => true,
      (error: unknown) => !(error instanceof DOMException && error.name === 'NotFoundError'),
    );
  return Promise.race([look, patience]);
}

/** Ignores the error that a file or folder does not exist. */
export function ignoreNotFound(error: unknown): undefined {
  if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw error;
}

/** How often the holder of a lock shows that it runs. */
const BEAT_MS = 1000;

/** How long a look at a folder may take: browsers answer late if the disk is busy. */
const LOOK_MS = 30_000;

/** After how many beats that do not come a lock is taken from its holder; timers that stand still count none. */
const MISSED_BEATS = 12;

/**
 * Takes a model's lock: shared to read its files, exclusive to change them. All tabs share these locks. A holder that
 * shows no life for some seconds loses it: a worker can hang in the browser's storage, even after its page has gone.
 *
 * @param onStolen - Called if the lock is lost to another tab.
 * @returns A function that releases it. So does the end of the tab or worker.
 */
export async function lockModel(
  id: string,
  mode: LockMode,
  signal?: AbortSignal,
  onStolen?: () => void,
): Promise<() => void> {
  const name = `${ROOT}/${id}`;
  const silence = new AbortController();
  const channel = new BroadcastChannel(name);
  const patience = MISSED_BEATS * (1 + Math.random() / 2); // so that tabs that wait do not steal at once
  let missed = 0;
  channel.onmessage = () => {
    missed = 0;
  };
  const timer = setInterval(() => {
    missed++;
    if (missed > patience) silence.abort();
  }, BEAT_MS);
  try {
    const either = signal ? AbortSignal.any([signal, silence.signal]) : silence.signal;
    return await requestLock(name, { mode, signal: either }, onStolen);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (!silence.signal.aborted) throw error;
  } finally {
    clearInterval(timer);
    channel.close();
  }
  const release = await requestLock(name, { steal: true }, onStolen);
  if (mode === 'exclusive') return release;
  release();
  return requestLock(name, { mode, ...(signal && { signal }) }, onStolen);
}

function requestLock(
  name: string,
  options: LockOptions,
  onStolen?: () => void,
): Promise<() => void> {
  return new Promise((resolve, reject) => {
    let stopBeats: (() => void) | undefined;
    const hold = (): Promise<void> =>
      new Promise((release) => {
        stopBeats = startBeats(name);
        resolve(() => {
          stopBeats?.();
          release();
        });
      });
    navigator.locks.request(name, options, hold).catch((error: unknown) => {
      if (stopBeats) onStolen?.();
      stopBeats?.();
      reject(error);
    });
  });
}

/** Tells the tabs that wait for a lock that its holder runs. */
function startBeats(name: string): () => void {
  const channel = new BroadcastChannel(name);
  const beat = (): void => channel.postMessage(null);
  beat();
  const timer = setInterval(beat, BEAT_MS);
  return () => {
    clearInterval(timer);
    channel.close();
  };
}
