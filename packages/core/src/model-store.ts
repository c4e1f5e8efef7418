import {
  listStoredModels,
  readUsage,
  removeStoredModel,
  requestPersistence,
  type StoredModel,
  type StoreUsage,
} from './weights/stored-models.ts';

export type { StoredModel, StoreUsage };

/** The models in the browser's private file system, for the page to show and to remove. */
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
   * @throws DOMException `NoModificationAllowedError` where it is being downloaded or loaded, here or in another tab.
   */
  remove(id: string): Promise<void>;
}

/** The models in the browser's private file system. */
export const store: ModelStore = {
  list: listStoredModels,
  usage: readUsage,
  persist: requestPersistence,
  remove: removeStoredModel,
};
