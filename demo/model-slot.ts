import { checkSupport, type LoadProgress, load, type Model } from 'ossicle';
import type { CheckpointSource } from './checkpoint-source.ts';

/** What the page's one model is doing. `model` is what can answer meanwhile. */
export type ModelState =
  | { readonly status: 'empty'; readonly model?: undefined }
  | {
      readonly status: 'loading';
      readonly checkpoint: CheckpointSource;
      readonly progress?: LoadProgress;
      readonly model?: LoadedModel;
    }
  | { readonly status: 'ready'; readonly model: LoadedModel }
  | {
      readonly status: 'failed';
      readonly checkpoint: CheckpointSource;
      readonly error: unknown;
      readonly model?: LoadedModel;
    };

/** A model that can answer, and what it was loaded from. */
export interface LoadedModel {
  readonly model: Model;
  readonly checkpoint: CheckpointSource;
}

/** A model of at most this many GPU bytes stays until the next one is ready; a larger one makes room first. */
const SMALL_MODEL_BYTES = 256e6;

/** A download of at least this many bytes is asked about first. */
const LARGE_DOWNLOAD_BYTES = 100e6;

/** What a large download comes to, to be agreed to. */
export interface DownloadPlan {
  /** What would be downloaded. */
  readonly checkpoint: CheckpointSource;
  /** Bytes of all files. */
  readonly totalBytes: number;
  /** Bytes that the model takes on the GPU. */
  readonly gpuBytes: number;
  /** Bytes that the browser says it would still store, where it says so. */
  readonly freeBytes: number | undefined;
}

/** Holds the page's one model, and loads another in its place. */
export class ModelSlot {
  #state: ModelState = { status: 'empty' };
  #abort: AbortController | undefined;
  readonly #listeners = new Set<(state: ModelState) => void>();
  readonly #agree: (plan: DownloadPlan) => Promise<boolean>;

  /** @param agree asked before a large download. */
  constructor(agree: (plan: DownloadPlan) => Promise<boolean>) {
    this.#agree = agree;
  }

  /** What it is doing now. */
  get state(): ModelState {
    return this.#state;
  }

  /** Calls the listener now and at each change. */
  subscribe(listener: (state: ModelState) => void): void {
    this.#listeners.add(listener);
    listener(this.#state);
  }

  /** Loads a checkpoint; a load under way is cancelled. Failures become the state, not a rejection. */
  async load(checkpoint: CheckpointSource): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    let current = this.#state.model;
    const withCurrent = (): { model?: LoadedModel } => (current ? { model: current } : {});
    this.#set({ status: 'loading', checkpoint, ...withCurrent() });
    try {
      if (!(await this.#isAgreed(checkpoint))) abort.abort();
      abort.signal.throwIfAborted();
      if (current && current.model.info.gpuBytes > SMALL_MODEL_BYTES) {
        const large = current;
        current = undefined;
        this.#set({ status: 'loading', checkpoint });
        await large.model.dispose();
      }
      const model = await load(checkpoint.source, {
        signal: abort.signal,
        onProgress: (progress) => {
          // Progress comes by a way of its own, and may come after the model.
          const isUnderWay = this.#abort === abort && this.#state.status === 'loading';
          if (isUnderWay && !abort.signal.aborted)
            this.#set({ status: 'loading', checkpoint, progress, ...withCurrent() });
        },
      });
      if (this.#abort !== abort) {
        await model.dispose();
        return;
      }
      const previous = current;
      this.#set({ status: 'ready', model: { model, checkpoint } });
      await previous?.model.dispose();
    } catch (error) {
      if (this.#abort !== abort) return;
      if (!abort.signal.aborted)
        this.#set({ status: 'failed', checkpoint, error, ...withCurrent() });
      else this.#set(current ? { status: 'ready', model: current } : { status: 'empty' });
    }
  }

  /** Gives up a load under way; what is stored stays. */
  cancel(): void {
    this.#abort?.abort();
  }

  /** Forgets a failure, and goes on with the model that there is. */
  dismissFailure(): void {
    const { status, model } = this.#state;
    if (status === 'failed') this.#set(model ? { status: 'ready', model } : { status: 'empty' });
  }

  /** Whether the checkpoint is stored, small, or agreed to be downloaded. A machine that cannot run it is `load()`'s to refuse. */
  async #isAgreed(checkpoint: CheckpointSource): Promise<boolean> {
    if (checkpoint.origin === 'embedded') return true;
    const { isSupported, model, storage } = await checkSupport(checkpoint.source);
    if (!isSupported || !model || model.isStored || model.totalBytes < LARGE_DOWNLOAD_BYTES)
      return true;
    const { totalBytes, gpuBytes } = model;
    const freeBytes = storage && storage.quotaBytes - storage.usedBytes;
    return this.#agree({ checkpoint, totalBytes, gpuBytes, freeBytes });
  }

  #set(state: ModelState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}
