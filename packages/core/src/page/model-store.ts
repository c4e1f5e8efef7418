import { notify } from '../notify.ts';
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
import type { DamagedChunk, TaskOptions, VerifyResult } from '../store/verification.ts';
import type { BytesDone, TaskArguments } from '../worker/model-service.ts';
import { type RemoteService, runInWorker } from './worker-client.ts';

export type { DamagedChunk, StoredModel, StoreUsage, TaskOptions, VerifyResult };

/** Options of {@link ModelStore.import}. */
export interface ImportOptions extends TaskOptions {
  /**
   * The source that will load the model from now on, for example `openai/gpt-oss-20b`. Default: what
   * {@link ModelStore.export} wrote into the folder.
   */
  readonly id?: string;
}

/**
 * The models in the browser's private file system, for the page to show, to check and to remove. Where the browser gives
 * none, or fails, all of it rejects with an {@link OssicleError} `storage-unavailable`; `storage-full` where there is no
 * room to write to.
 */
export interface ModelStore {
  /** Lists the stored models, whole and partial, last used first. */
  list(): Promise<StoredModel[]>;
  /** Tells how much is stored. */
  usage(): Promise<StoreUsage>;
  /** Asks the browser not to evict the models when it runs short of space. Only a page may ask: false in workers. */
  persist(): Promise<boolean>;
  /**
   * Removes a model; does nothing where it is not stored.
   *
   * @param id - As {@link ModelStore.list} tells it.
   * @throws {@link OssicleError} `model-in-use` where it is being downloaded or loaded, here or in another tab.
   */
  remove(id: string): Promise<void>;
  /**
   * Reads all that is stored of a model, and compares it with the SHA-256 of its chunks. What is damaged counts as missing
   * from then on: the next load fetches those chunks again, and nothing else.
   *
   * @param id - As {@link ModelStore.list} tells it.
   * @throws RangeError where it is not stored. `signal.reason`.
   */
  verify(id: string, options?: TaskOptions): Promise<VerifyResult>;
  /**
   * Writes a model's files, as they were published, into a folder, and `ossicle.json`, which says what they are. Each chunk is
   * checked on its way.
   *
   * @param id - As {@link ModelStore.list} tells it.
   * @param directory - A folder to write to, for example of `showDirectoryPicker({ mode: 'readwrite' })`.
   * @throws RangeError where the model is not stored whole. {@link OssicleError} `integrity` where it is damaged. `signal.reason`.
   */
  export(id: string, directory: FileSystemDirectoryHandle, options?: TaskOptions): Promise<void>;
  /**
   * Stores a model from files that a person picked, as a download would have: from then on its source loads it from there.
   *
   * @returns The model's id, as {@link ModelStore.list} tells it.
   * @throws TypeError where neither `id` nor the folder tells what the files are. {@link OssicleError} `format-invalid` where
   * they are no checkpoint, `integrity` where they are not the published ones, `storage-full`. `signal.reason`.
   */
  import(
    files: Iterable<File> | FileSystemDirectoryHandle,
    options?: ImportOptions,
  ): Promise<string>;
  /**
   * Removes what belongs to no model, such as what a crash has left; downloads do so by themselves when they begin.
   *
   * @returns The bytes that it freed.
   */
  reclaim(): Promise<number>;
}

/** The models in the browser's private file system. */
export const store: ModelStore = {
  list: () => stored(listStoredModels),
  usage: () => stored(readUsage),
  persist: () => stored(requestPersistence),
  remove: (id) => stored(() => removeStoredModel(id)),
  verify: (id, options) =>
    storedInWorker((service, task) => service.verifyModel(...task, id), options),
  export: (id, directory, options) =>
    storedInWorker((service, task) => service.exportModel(...task, id, directory), options),
  import: (files, options) =>
    storedInWorker((service, task) => {
      const plain = 'kind' in files ? files : [...files];
      return service.importModel(...task, plain, options?.id);
    }, options),
  reclaim: () => stored(reclaimOrphans),
};

/** Uses the storage; what the browser fails with becomes an {@link OssicleError}. */
async function stored<T>(use: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  checkStorage();
  try {
    return await use();
  } catch (error) {
    throw signal?.aborted ? error : storageFailure(error);
  }
}

/** The same in a worker: only workers read and write stored files piece by piece. */
function storedInWorker<T>(
  use: (service: RemoteService, task: TaskArguments<BytesDone>) => Promise<T>,
  { signal, onProgress }: TaskOptions = {},
): Promise<T> {
  const onReport = ({ doneBytes, totalBytes }: BytesDone): void =>
    notify(onProgress, doneBytes, totalBytes);
  return stored(() => runInWorker(use, { signal, onReport }), signal);
}
