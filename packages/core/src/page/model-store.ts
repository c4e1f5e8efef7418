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
import type { ReportBytes } from '../worker/model-service.ts';
import { callback, inWorker, type RemoteService } from './worker-client.ts';

export type { DamagedChunk, StoredModel, StoreUsage, TaskOptions, VerifyResult };

/** Options of {@link ModelStore.import}. */
export interface ImportOptions extends TaskOptions {
  /**
   * The source that will load the model from now on, for example `openai/gpt-oss-20b`. Default: the one in the
   * `ossicle.json` of an {@link ModelStore.export}.
   */
  readonly id?: string;
}

/**
 * The models in the browser's private file system. If the browser offers no storage, or its storage fails, every method
 * rejects with an {@link OssicleError} `storage-unavailable`, or `storage-full` if there is no room to write.
 */
export interface ModelStore {
  /** Lists the stored models, whole and partial, most recently used first. */
  list(): Promise<StoredModel[]>;
  /** Measures how much the site stores. */
  usage(): Promise<StoreUsage>;
  /** Asks the browser not to evict the models when it runs out of space. Only pages may ask: false in workers. */
  persist(): Promise<boolean>;
  /**
   * Removes a model; does nothing if it is not stored.
   *
   * @param id - From {@link ModelStore.list}.
   * @throws {@link OssicleError} `model-in-use` if it is being downloaded or loaded, here or in another tab.
   */
  remove(id: string): Promise<void>;
  /**
   * Reads the stored part of a model, and compares it with the SHA-256 of its chunks. Damaged chunks count as missing
   * from then on: the next load fetches them again, and nothing else.
   *
   * @param id - From {@link ModelStore.list}.
   * @throws RangeError if it is not stored. `signal.reason`.
   */
  verify(id: string, options?: TaskOptions): Promise<VerifyResult>;
  /**
   * Writes a model's files to a folder, as published, and an `ossicle.json` that describes them. Checks each chunk
   * before it is written.
   *
   * @param id - From {@link ModelStore.list}.
   * @param directory - A writable folder, for example from `showDirectoryPicker({ mode: 'readwrite' })`.
   * @throws RangeError if the model is not stored whole. {@link OssicleError} `integrity` if it is damaged.
   * `signal.reason`.
   */
  export(id: string, directory: FileSystemDirectoryHandle, options?: TaskOptions): Promise<void>;
  /**
   * Stores a model from files that a person picked, as a download would: from then on, loading its source needs no
   * network.
   *
   * @returns The model's id, for {@link ModelStore.list} and the other methods.
   * @throws TypeError if neither `id` nor an `ossicle.json` names the model. {@link OssicleError} `format-invalid` if
   * the files are not a checkpoint, `integrity` if they differ from the published ones, `storage-full`.
   * `signal.reason`.
   */
  import(
    files: Iterable<File> | FileSystemDirectoryHandle,
    options?: ImportOptions,
  ): Promise<string>;
  /**
   * Removes folders that belong to no model, such as leftovers of a crash. Downloads do so when they start.
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
  remove: (id) => stored(() => removeStoredModel(id)),
  verify: (id, options) =>
    storedInWorker((service, report) => service.verifyModel(id, report), options),
  export: (id, directory, options) =>
    storedInWorker((service, report) => service.exportModel(id, directory, report), options),
  import: (files, options) =>
    storedInWorker((service, report) => {
      const plain = 'kind' in files ? files : [...files];
      return service.importModel(plain, options?.id, report);
    }, options),
  reclaim: () => stored(reclaimOrphans),
};

/** Uses the browser's storage; converts its failures to an {@link OssicleError}. */
async function stored<T>(
  use: (task: TaskOptions) => Promise<T>,
  { onProgress, signal }: TaskOptions = {},
): Promise<T> {
  checkStorage();
  const report = (done: number, total: number): void => notify(onProgress, done, total);
  try {
    return await use({ onProgress: report, ...(signal && { signal }) });
  } catch (error) {
    throw signal?.aborted ? error : storageFailure(error);
  }
}

/** The same in a worker, which reads and writes files without piling them up in memory. */
function storedInWorker<T>(
  use: (service: RemoteService, report: ReportBytes) => Promise<T>,
  options?: TaskOptions,
): Promise<T> {
  return stored(({ onProgress, signal }) => {
    const report = callback((done: number, total: number) => onProgress?.(done, total));
    return inWorker(signal, (service) => use(service, report));
  }, options);
}
