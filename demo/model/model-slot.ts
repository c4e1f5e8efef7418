import type { LoadProgress, Model, SupportReport } from 'ossicle';
import type { CheckpointSource } from './checkpoint-source.ts';
import { type LoadSettings, readLoadSettings, writeLoadSettings } from './cost/load-settings.ts';
import { keepMemorySpeed } from './cost/memory-speed.ts';
import { loadLibrary } from './library.ts';
import { findStored } from './stored-checkpoint.ts';

/** The state of the page's one model. `model`, if there is one, can answer in the meantime. */
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

/** A model that can answer, and the checkpoint it was loaded from. */
export interface LoadedModel {
  readonly model: Model;
  readonly checkpoint: CheckpointSource;
}

/** A paused download; what has arrived is stored. */
export interface PausedDownload {
  readonly checkpoint: CheckpointSource;
  /** Bytes stored so far. */
  readonly storedBytes: number;
  /** Bytes of all files. */
  readonly totalBytes: number;
}

/** What a model slot needs from the page. */
export interface SlotSurroundings {
  /** Shows what a load needs; false if the user declines or the model will not run. */
  readonly agree: (checkpoint: CheckpointSource, report: SupportReport) => Promise<boolean>;
  /** The access token for Hugging Face, if the user gave one. */
  readonly token: () => string | undefined;
}

/** A model of at most this many GPU bytes stays until the next one is ready; a larger one is disposed of first. */
const SMALL_MODEL_BYTES = 256e6;

/** A download of at least this many bytes needs consent. */
const LARGE_DOWNLOAD_BYTES = 100e6;

const PAUSE = new DOMException('The download is paused.', 'AbortError');

/** Holds the page's one model and loads others in its place. */
export class ModelSlot {
  #state: ModelState = { status: 'empty' };
  #abort: AbortController | undefined;
  readonly #listeners = new Set<(state: ModelState) => void>();
  readonly #surroundings: SlotSurroundings;

  constructor(surroundings: SlotSurroundings) {
    this.#surroundings = surroundings;
  }

  /** The current state. */
  get state(): ModelState {
    return this.#state;
  }

  /** Calls the listener now and on each change. */
  subscribe(listener: (state: ModelState) => void): void {
    this.#listeners.add(listener);
    listener(this.#state);
  }

  /**
   * Loads a checkpoint and cancels any load under way. Failures become the state, not a rejection.
   *
   * @param isAgreed whether the user has already agreed to the download.
   * @param chosen other choices for the model in use: kept if it can run with them, else it stays as it was.
   */
  async load(checkpoint: CheckpointSource, isAgreed = false, chosen?: LoadSettings): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    const { signal } = abort;
    this.#abort = abort;
    const before = this.#state.model;
    let current = before;
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
    const settings = chosen ?? readLoadSettings(checkpoint.source);
    try {
      if (!isAgreed && checkpoint.origin !== 'embedded') {
        let report = await this.#check(checkpoint, settings, signal);
        if (!report.isSupported && (await makeRoom()))
          report = await this.#check(checkpoint, settings, signal);
        keepMemorySpeed(report);
        const isAccepted = await this.#isAgreed(checkpoint, report);
        if (!isAccepted && before && !current && !signal.aborted)
          return await this.load(before.checkpoint, true); // it had made room
        if (!isAccepted) abort.abort();
      }
      signal.throwIfAborted();
      if (chosen) writeLoadSettings(checkpoint.source, chosen);
      await makeRoom();
      const { load } = await loadLibrary();
      const model = await load(checkpoint.files ?? checkpoint.source, {
        ...this.#huggingFace(checkpoint),
        ...settings,
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
      // Choices that do not fit would fail again, and without a model there is no panel to take them back.
      if (isTooLarge(error)) writeLoadSettings(checkpoint.source, {});
      if (!signal.aborted) this.#set({ status: 'failed', checkpoint, error, ...withCurrent() });
      else if (signal.reason !== PAUSE) this.#rest(current);
      else {
        const paused = await this.#pausedDownload(checkpoint);
        if (this.#abort === abort) this.#rest(current, paused);
      }
    }
  }

  /** Cancels a load under way; what is stored stays. */
  cancel(): void {
    this.#abort?.abort();
  }

  /** Pauses a download so that it can be resumed. */
  pause(): void {
    this.#abort?.abort(PAUSE);
  }

  /** Shows a download that was interrupted earlier. */
  showPaused(paused: PausedDownload): void {
    const { status, model } = this.#state;
    if (status === 'ready' || status === 'empty') this.#rest(model, paused);
  }

  /** Dismisses a failure or a paused download and returns to the model in use, if any. */
  dismiss(): void {
    const { status, model } = this.#state;
    if (status !== 'loading') this.#rest(model);
  }

  async #check(
    checkpoint: CheckpointSource,
    settings: LoadSettings,
    signal: AbortSignal,
  ): Promise<SupportReport> {
    const options = { ...this.#huggingFace(checkpoint), ...settings, signal };
    const { checkSupport } = await loadLibrary();
    return checkSupport(checkpoint.files ?? checkpoint.source, options);
  }

  /** Asks the user, unless the model can run and is local, stored or small. */
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

  async #pausedDownload(checkpoint: CheckpointSource): Promise<PausedDownload> {
    const progress = this.#state.status === 'loading' ? this.#state.progress : undefined;
    const stored = await findStored(checkpoint);
    return {
      checkpoint,
      storedBytes: stored?.sizeBytes ?? 0,
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

function isTooLarge(error: unknown): boolean {
  const code = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return code === 'out-of-memory' || code === 'device-unsuitable';
}
