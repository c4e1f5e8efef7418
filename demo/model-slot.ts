import { checkSupport, type LoadProgress, load, type Model, type SupportReport } from 'ossicle';
import type { CheckpointSource } from './checkpoint-source.ts';
import { findStored } from './stored-checkpoint.ts';

/** What the page's one model is doing. `model` is what can answer meanwhile. */
export type ModelState =
  | {
      readonly status: 'empty';
      readonly model?: undefined;
      readonly paused?: PausedDownload;
    }
  | {
      readonly status: 'loading';
      readonly checkpoint: CheckpointSource;
      readonly progress?: LoadProgress;
      readonly model?: LoadedModel;
    }
  | {
      readonly status: 'ready';
      readonly model: LoadedModel;
      readonly paused?: PausedDownload;
    }
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

/** A download that was paused; what came of it is stored. */
export interface PausedDownload {
  readonly checkpoint: CheckpointSource;
  /** Bytes that are stored. */
  readonly keptBytes: number;
  /** Bytes of all files. */
  readonly totalBytes: number;
}

/** What a model slot asks the page for. */
export interface SlotSurroundings {
  /** Shows what a load comes to; false where the person, or the machine, declines. */
  readonly agree: (checkpoint: CheckpointSource, report: SupportReport) => Promise<boolean>;
  /** The access token for Hugging Face, if the person gave one. */
  readonly token: () => string | undefined;
}

/** A model of at most this many GPU bytes stays until the next one is ready; a larger one makes room first. */
const SMALL_MODEL_BYTES = 256e6;

/** A download of at least this many bytes is asked about first. */
const LARGE_DOWNLOAD_BYTES = 100e6;

const PAUSE = new DOMException('The download is paused.', 'AbortError');

/** Holds the page's one model, and loads another in its place. */
export class ModelSlot {
  #state: ModelState = { status: 'empty' };
  #abort: AbortController | undefined;
  readonly #listeners = new Set<(state: ModelState) => void>();
  readonly #surroundings: SlotSurroundings;

  constructor(surroundings: SlotSurroundings) {
    this.#surroundings = surroundings;
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

  /**
   * Loads a checkpoint; a load under way is cancelled. Failures become the state, not a rejection.
   *
   * @param isAgreed whether the person has agreed to the download before.
   */
  async load(checkpoint: CheckpointSource, isAgreed = false): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    const { signal } = abort;
    this.#abort = abort;
    let current = this.#state.model;
    const withCurrent = (): { model?: LoadedModel } => (current ? { model: current } : {});
    this.#set({ status: 'loading', checkpoint, ...withCurrent() });
    const makeRoom = async (): Promise<boolean> => {
      const large = current;
      if (!large || large.model.info.gpuBytes <= SMALL_MODEL_BYTES) return false;
      current = undefined;
      if (this.#abort === abort) this.#set({ status: 'loading', checkpoint });
      await large.model.dispose();
      return true;
    };
    try {
      if (!isAgreed && checkpoint.origin !== 'embedded') {
        let report = await this.#check(checkpoint, signal);
        if (!report.isSupported && (await makeRoom()))
          report = await this.#check(checkpoint, signal);
        if (!(await this.#isAgreed(checkpoint, report))) abort.abort();
      }
      signal.throwIfAborted();
      await makeRoom();
      const model = await load(checkpoint.files ?? checkpoint.source, {
        ...this.#huggingFace(checkpoint),
        signal,
        onProgress: (progress) => {
          if (this.#abort === abort && !signal.aborted)
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
      if (!signal.aborted) this.#set({ status: 'failed', checkpoint, error, ...withCurrent() });
      else if (signal.reason !== PAUSE) this.#rest(current);
      else {
        const paused = await this.#whatIsKept(checkpoint);
        if (this.#abort === abort) this.#rest(current, paused);
      }
    }
  }

  /** Gives up a load under way; what is stored stays. */
  cancel(): void {
    this.#abort?.abort();
  }

  /** Interrupts a download, to be resumed. */
  pause(): void {
    this.#abort?.abort(PAUSE);
  }

  /** Shows a download that was interrupted before. */
  showPaused(paused: PausedDownload): void {
    const { status, model } = this.#state;
    if (status === 'ready' || status === 'empty') this.#rest(model, paused);
  }

  /** Forgets a failure or a paused download, and goes on with the model that there is. */
  dismiss(): void {
    const { status, model } = this.#state;
    if (status !== 'loading') this.#rest(model);
  }

  #check(checkpoint: CheckpointSource, signal: AbortSignal): Promise<SupportReport> {
    const options = { ...this.#huggingFace(checkpoint), signal };
    return checkSupport(checkpoint.files ?? checkpoint.source, options);
  }

  /** Asks the person, but where the checkpoint is here or small and nothing speaks against it. */
  async #isAgreed(checkpoint: CheckpointSource, report: SupportReport): Promise<boolean> {
    const { isSupported, model } = report;
    const isHere = checkpoint.files !== undefined || model?.isStored === true;
    if (isSupported && (isHere || !model || model.totalBytes < LARGE_DOWNLOAD_BYTES)) return true;
    return this.#surroundings.agree(checkpoint, report);
  }

  #huggingFace({ origin, mirror }: CheckpointSource) {
    const token = this.#surroundings.token();
    if (origin !== 'huggingface') return {};
    return {
      huggingFace: {
        ...(token !== undefined && { token }),
        ...(mirror !== undefined && { baseUrl: mirror }),
      },
    };
  }

  async #whatIsKept(checkpoint: CheckpointSource): Promise<PausedDownload> {
    const progress = this.#state.status === 'loading' ? this.#state.progress : undefined;
    const stored = await findStored(checkpoint);
    return {
      checkpoint,
      keptBytes: stored?.sizeBytes ?? 0,
      totalBytes: stored?.totalBytes ?? progress?.totalBytes ?? 0,
    };
  }

  #rest(model: LoadedModel | undefined, paused?: PausedDownload): void {
    const withPaused = paused && { paused };
    this.#set(
      model ? { status: 'ready', model, ...withPaused } : { status: 'empty', ...withPaused },
    );
  }

  #set(state: ModelState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}
