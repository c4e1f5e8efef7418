import type { Message } from '@ossicle/harmony';
import type { Engine } from '../engine/engine.ts';
import { createEngine } from '../engine/load/create-engine.ts';
import { examineSupport } from '../engine/load/support.ts';
import type { Session } from '../engine/session.ts';
import { OssicleError } from '../errors.ts';
import { requestDevice } from '../gpu/device.ts';
import { exportStoredModel } from '../store/export-model.ts';
import { importModel } from '../store/import-model.ts';
import { type VerifyResult, verifyStoredModel } from '../store/verification.ts';
import type {
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
} from '../types/generate.ts';
import type { LoadOptions, LoadProgress, ModelInfo, ModelSource } from '../types/load.ts';
import type { SupportOptions, SupportReport } from '../types/support.ts';

/** What happened in a generation since the last question; the last answer carries the result. */
export interface GenerationUpdate {
  readonly events: readonly GenerateEvent[];
  readonly result?: GenerateResult;
}

/** Options without what cannot be cloned. */
export type PlainLoadOptions = Omit<LoadOptions, 'onProgress' | 'signal'>;

/** Options without what cannot be cloned. */
export type PlainSupportOptions = Omit<SupportOptions, 'signal'>;

/** Options without what cannot be cloned. */
export type PlainGenerateOptions = Omit<GenerateOptions, 'signal'>;

/** Tells how far a task has come. */
export type ReportBytes = (doneBytes: number, totalBytes: number) => void;

/** A generation, and what of it the page has not fetched yet. */
class Running {
  readonly controller = new AbortController();
  readonly #events: GenerateEvent[] = [];
  #outcome: { readonly result: GenerateResult } | { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;

  async follow(generation: Generation): Promise<void> {
    try {
      for await (const event of generation) {
        this.#events.push(event);
        this.#wake();
      }
      this.#outcome = { result: await generation.result };
    } catch (error) {
      this.#outcome = { error };
    }
    this.#wake();
  }

  async update(): Promise<GenerationUpdate> {
    if (this.#events.length === 0 && !this.#outcome) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const events = this.#events.splice(0);
    if (!this.#outcome) return { events };
    if ('result' in this.#outcome) return { events, result: this.#outcome.result };
    if (events.length > 0) return { events }; // the failure comes with the next update
    throw this.#outcome.error;
  }
}

/**
 * One model in the worker, as the page calls it. Calls carry plain data: a generation has a number, by which the page
 * asks for its updates and aborts it.
 */
export class ModelService {
  #engine: Engine | undefined;
  #session: Session | undefined;
  #device: GPUDevice | undefined;
  readonly #task = new AbortController();
  readonly #generations = new Map<number, Running>();

  /** Loads the model. Called once. */
  async load(
    source: ModelSource,
    options: PlainLoadOptions,
    onProgress: (progress: LoadProgress) => void,
  ): Promise<ModelInfo> {
    const { signal } = this.#task;
    this.#device = await requestDevice();
    signal.throwIfAborted();
    this.#engine = await createEngine({
      store: true,
      ...options,
      device: this.#device,
      source,
      onProgress,
      signal,
    });
    this.#session = this.#engine.createSession();
    return this.#engine.info;
  }

  /** Looks whether a model would run. Called once, in a worker that loads none. */
  async checkSupport(
    source: ModelSource | undefined,
    options: PlainSupportOptions,
  ): Promise<SupportReport> {
    return examineSupport(source, { ...options, signal: this.#task.signal });
  }

  /** Stores a model from files. Called once, in a worker that loads none. */
  async importModel(
    files: Exclude<ModelSource, string | URL>,
    id: string | undefined,
    onProgress: ReportBytes,
  ): Promise<string> {
    return importModel(files, id, { onProgress, signal: this.#task.signal });
  }

  /** Writes a stored model into a folder. Called once, in a worker that loads none. */
  async exportModel(
    id: string,
    directory: FileSystemDirectoryHandle,
    onProgress: ReportBytes,
  ): Promise<void> {
    return exportStoredModel(id, directory, { onProgress, signal: this.#task.signal });
  }

  /** Checks a stored model. Called once, in a worker that loads none. */
  async verifyModel(id: string, onProgress: ReportBytes): Promise<VerifyResult> {
    return verifyStoredModel(id, { onProgress, signal: this.#task.signal });
  }

  /** Aborts what this worker was started for: a load, a look beforehand, an import, an export or a check. */
  abortTask(): void {
    this.#task.abort();
  }

  /** Starts a generation. */
  start(id: number, input: string | readonly Message[], options: PlainGenerateOptions): void {
    const { session } = this.#ready();
    const running = new Running();
    this.#generations.set(id, running);
    const { signal } = running.controller;
    void running.follow(session.generate(input, { ...options, signal }));
  }

  /** Waits for events of a generation, and hands out all there are. Throws what the generation failed with. */
  async update(id: number): Promise<GenerationUpdate> {
    const running = this.#generations.get(id);
    if (!running) throw new Error(`there is no generation ${id}`);
    try {
      const update = await running.update();
      if (update.result) this.#generations.delete(id);
      return update;
    } catch (error) {
      this.#generations.delete(id);
      throw error;
    }
  }

  /** Stops a generation before its next token. */
  abort(id: number): void {
    this.#generations.get(id)?.controller.abort();
  }

  /** Counts the tokens of a prompt. */
  countTokens(input: string | readonly Message[], options: PlainGenerateOptions): number {
    return this.#ready().engine.tokenizer.encodeConversation(input, options).length;
  }

  /** Releases all GPU memory. */
  dispose(): void {
    this.#engine?.dispose();
    this.#device?.destroy();
  }

  #ready(): { engine: Engine; session: Session } {
    if (!this.#engine || !this.#session) throw new OssicleError('disposed', 'No model is loaded.');
    return { engine: this.#engine, session: this.#session };
  }
}
