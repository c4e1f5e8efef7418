import { checkTaskOptions, isObject, mustBe } from '../check-values.ts';
import { notify } from '../notify.ts';
import { resolveSource } from '../sources/resolve-source.ts';
import { checkStorage, storageFailure } from '../store/storage-failure.ts';
import {
  listStoredModels,
  readUsage,
  reclaimOrphans,
  removeStoredModel,
  requestPersistence,
  type StoredModel,
  type StoreUsage,
} from '../store/stored-models.ts';
import type { DamagedChunk, VerifyResult } from '../store/verification.ts';
import type { TaskOptions } from '../types/task.ts';
import type { BytesDone, TaskArguments } from '../worker/model-service.ts';
import { type RemoteService, runInWorker } from './worker-client.ts';

export type { DamagedChunk, StoredModel, StoreUsage, VerifyResult };

/** Options of {@link ModelStore.import}. */
export interface ImportOptions extends TaskOptions {
  /**
   * What the files are, for example `openai/gpt-oss-20b`. Default: what {@link ModelStore.export} wrote into the folder.
   */
  readonly id?: string;
}

/**
 * Lists, checks, moves and removes the models in the browser's private file system. Every method rejects with an
 * {@link OssicleError}: `storage-unavailable` if the browser denies access to its storage or fails, `storage-full` if
 * there is no space to write to.
 */
export interface ModelStore {
  /** Lists the stored models, complete and partial, most recently used first. */
  list(): Promise<StoredModel[]>;
  /** Measures how much is stored. */
  usage(): Promise<StoreUsage>;
  /** Asks the browser not to evict the models if space runs short. Only pages can ask: resolves to false in workers. */
  persist(): Promise<boolean>;
  /**
   * Removes a model; does nothing if it is not stored.
   *
   * @param id - As in {@link ModelStore.list}.
   * @throws {@link OssicleError} `model-in-use` if it is being downloaded or loaded, here or in another tab.
   */
  remove(id: string): Promise<void>;
  /**
   * Checks all stored chunks of a model against their SHA-256. Damaged chunks count as missing afterwards: the next
   * load downloads them again, and nothing else.
   *
   * @param id - As in {@link ModelStore.list}.
   * @throws RangeError if the model is not stored. `signal.reason` if aborted.
   */
  verify(id: string, options?: TaskOptions): Promise<VerifyResult>;
  /**
   * Writes a model's files into a folder as they were published, with an `ossicle.json` that says what they are. Checks
   * each chunk on the way.
   *
   * @param id - As in {@link ModelStore.list}.
   * @param directory - A writable folder, for example from `showDirectoryPicker({ mode: 'readwrite' })`.
   * @throws RangeError if the model is not stored completely. {@link OssicleError} `integrity` if it is damaged.
   * `signal.reason` if aborted.
   */
  export(id: string, directory: FileSystemDirectoryHandle, options?: TaskOptions): Promise<void>;
  /**
   * Stores a model from picked files. The library knows the hashes of `openai/gpt-oss-20b`: files that have them are
   * stored as that model, and loads of it read them. Others could be anything: they are stored under `import:` and what
   * they claim to be, and only `load('import:owner/name')` reads them. An import that fails leaves nothing.
   *
   * @returns The model's id, as in {@link ModelStore.list}.
   * @throws TypeError if neither `id` nor the folder says which model it is, or the id is wrong. RangeError if other
   * files were imported under that id. {@link OssicleError} `format-invalid` if the files are no checkpoint, `integrity`
   * if they do not have the known hashes. `signal.reason` if aborted.
   */
  import(
    files: Iterable<File> | FileSystemDirectoryHandle,
    options?: ImportOptions,
  ): Promise<string>;
  /**
   * Removes files that belong to no model, such as those left by a crash. Downloads do so, too, when they start.
   *
   * @returns The number of bytes freed.
   */
  reclaim(): Promise<number>;
}

/** The models in the browser's private file system. */
export const store: ModelStore = {
  list: () => stored(listStoredModels),
  usage: () => stored(readUsage),
  persist: () => stored(requestPersistence),
  remove: async (id) => {
    checkId(id);
    return stored(() => removeStoredModel(id));
  },
  verify: async (id, options) => {
    checkId(id);
    return storedInWorker((service, task) => service.verifyModel(...task, id), options);
  },
  export: async (id, directory, options) => {
    checkId(id);
    checkDirectory(directory);
    return storedInWorker((service, task) => service.exportModel(...task, id, directory), options);
  },
  import: async (files, options) => {
    const plain = checkFiles(files);
    return storedInWorker(
      (service, task) => service.importModel(...task, plain, options?.id),
      options,
    );
  },
  reclaim: () => stored(reclaimOrphans),
};

function checkId(id: unknown): void {
  if (typeof id !== 'string') throw mustBe('The id of a stored model', 'a string', id);
}

function checkDirectory(directory: unknown): void {
  if (isObject(directory) && directory.kind === 'directory') return;
  throw mustBe('The folder', 'a FileSystemDirectoryHandle', directory);
}

function checkFiles(files: unknown): readonly File[] | FileSystemDirectoryHandle {
  if (typeof files !== 'object' || files === null) {
    throw mustBe('The files', 'files or a FileSystemDirectoryHandle', files);
  }
  return resolveSource(files as Iterable<File>) as readonly File[] | FileSystemDirectoryHandle;
}

/** Uses the storage, and turns failures of the browser into {@link OssicleError}. */
async function stored<T>(use: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  checkStorage();
  try {
    return await use();
  } catch (error) {
    throw signal?.aborted ? error : storageFailure(error);
  }
}

/** Uses the storage in a worker: only workers can read and write parts of stored files. */
async function storedInWorker<T>(
  use: (service: RemoteService, task: TaskArguments<BytesDone>) => Promise<T>,
  options: TaskOptions = {},
): Promise<T> {
  checkTaskOptions(options);
  const { signal, worker, onProgress } = options;
  const onReport = ({ doneBytes, totalBytes }: BytesDone): void =>
    notify(onProgress, doneBytes, totalBytes);
  return stored(() => runInWorker(use, { signal, worker, onReport }), signal);
}
