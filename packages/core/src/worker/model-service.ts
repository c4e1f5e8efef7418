import type { Message } from '@ossicle/harmony';
import * as Comlink from 'comlink';
import type { Engine } from '../engine/engine.ts';
import { createEngine } from '../engine/load/create-engine.ts';
import { examineSupport } from '../engine/load/support.ts';
import { OssicleError } from '../errors.ts';
import type { StepInput } from '../generation/transcript.ts';
import { requestDevice } from '../gpu/device.ts';
import { exportStoredModel } from '../store/export-model.ts';
import { importModel } from '../store/import-model.ts';
import { type VerifyResult, verifyStoredModel } from '../store/verification.ts';
import type { Diagnosis } from '../types/diagnosis.ts';
import type {
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  ToolLoopOptions,
} from '../types/generate.ts';
import type { LoadOptions, LoadProgress, ModelInfo, ModelSource } from '../types/load.ts';
import type { SavedSession, SessionStart } from '../types/session.ts';
import type { SupportOptions, SupportReport } from '../types/support.ts';
import { ModelSessions } from './model-sessions.ts';

/** Options that can be cloned. */
export type PlainLoadOptions = Omit<LoadOptions, 'onProgress' | 'signal' | 'worker'>;

/** Options that can be cloned. */
export type PlainSupportOptions = Omit<SupportOptions, 'signal' | 'worker'>;

/** Options that can be cloned. */
export type PlainGenerateOptions = Omit<GenerateOptions, 'signal' | keyof ToolLoopOptions>;

/** Sends a report on a task to the page. */
export type Report<T> = ((report: T) => void) & Comlink.ProxyMarked;

/** The first arguments of every task: an id by which the page can abort it, and the callback for its reports. */
export type TaskArguments<T = never> = readonly [id: number, report: Report<T>];

/** The progress of a task. */
export interface BytesDone {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** The worker's side of the library: runs one model, and works on stored files. The page calls it with plain data. */
export class ModelService {
  #engine: Engine | undefined;
  #sessions: ModelSessions | undefined;
  #device: GPUDevice | undefined;
  readonly #tasks = new Map<number, AbortController>();

  /** Loads the model. Call it once. */
  load(
    id: number,
    report: Report<LoadProgress>,
    source: ModelSource,
    options: PlainLoadOptions,
  ): Promise<ModelInfo> {
    return this.#run(id, report, async (onProgress, signal) => {
      this.#device = await requestDevice();
      signal.throwIfAborted();
      const device = this.#device;
      const all = { store: true, ...options, device, source, onProgress, signal };
      this.#engine = await createEngine(all);
      this.#sessions = new ModelSessions(this.#engine);
      return this.#engine.info;
    });
  }

  /**
   * Generates a step, and reports its events except `finish`. Ends with the reason `aborted` if it is aborted.
   *
   * @param session - Its number.
   * @param input - `resume` to go on with the session's unfinished answer.
   * @param steps - Those of the same generation that have ended before.
   */
  generate(
    id: number,
    report: Report<GenerateEvent>,
    session: number,
    input: StepInput,
    options: PlainGenerateOptions,
    steps: readonly GenerateResult[],
  ): Promise<GenerateResult> {
    return this.#run(id, report, async (push, signal) => {
      const one = this.#ready().sessions.get(session);
      const generation = one.generateStep(input, { ...options, signal }, steps);
      for await (const event of generation) {
        if (event.type !== 'finish') push(event); // the page makes that one from the result
      }
      return generation.result;
    });
  }

  /** Counts the tokens of a prompt. */
  countTokens(input: string | readonly Message[], options: PlainGenerateOptions): number {
    return this.#ready().engine.tokenizer.encodeConversation(input, options).length;
  }

  /** Copies a session. @param to - The number of the copy. */
  async forkSession(session: number, to: number, messages?: number): Promise<SessionStart> {
    return this.#ready().sessions.fork(session, to, messages);
  }

  /** Restores a saved session. @param to - Its number. */
  async openSession(to: number, id: string): Promise<SessionStart> {
    return this.#ready().sessions.open(to, id);
  }

  /** Takes the results of tools that the page has run. */
  addResults(session: number, results: readonly Message[]): void {
    this.#ready().sessions.get(session).addResults(results);
  }

  /** Saves a session. */
  async saveSession(session: number, id: string): Promise<void> {
    return this.#ready().sessions.save(session, id);
  }

  /** Lists the saved sessions. */
  async listSessions(): Promise<SavedSession[]> {
    return this.#ready().sessions.list();
  }

  /** Removes a saved session. */
  async removeSession(id: string): Promise<void> {
    return this.#ready().sessions.remove(id);
  }

  /** Releases a session's memory. */
  disposeSession(session: number): void {
    this.#ready().sessions.dispose(session);
  }

  /** Describes the GPU and the kernels in use. */
  async diagnose(): Promise<Diagnosis> {
    return this.#ready().engine.diagnose();
  }

  /** Checks whether a model would run here. */
  checkSupport(
    id: number,
    report: Report<never>,
    source: ModelSource | undefined,
    options: PlainSupportOptions,
  ): Promise<SupportReport> {
    return this.#run(id, report, (_, signal) => examineSupport(source, { ...options, signal }));
  }

  /** Stores a model from files and returns its id. */
  importModel(
    id: number,
    report: Report<BytesDone>,
    files: Exclude<ModelSource, string | URL>,
    model: string | undefined,
  ): Promise<string> {
    return this.#run(id, report, (push, signal) =>
      importModel(files, model, { onProgress: bytesTo(push), signal }),
    );
  }

  /** Writes a stored model into a folder. */
  exportModel(
    id: number,
    report: Report<BytesDone>,
    model: string,
    directory: FileSystemDirectoryHandle,
  ): Promise<void> {
    return this.#run(id, report, (push, signal) =>
      exportStoredModel(model, directory, { onProgress: bytesTo(push), signal }),
    );
  }

  /** Checks a stored model against its hashes. */
  verifyModel(id: number, report: Report<BytesDone>, model: string): Promise<VerifyResult> {
    return this.#run(id, report, (push, signal) =>
      verifyStoredModel(model, { onProgress: bytesTo(push), signal }),
    );
  }

  /** Answers at once, unless the worker is busy or dead. */
  ping(): void {}

  /** Aborts a task; does nothing if it has ended. */
  abort(id: number): void {
    this.#tasks.get(id)?.abort();
  }

  /** Releases all GPU memory. */
  dispose(): void {
    this.#engine?.dispose();
    this.#device?.destroy();
  }

  async #run<T, R>(
    id: number,
    report: Report<R>,
    work: (push: (value: R) => void, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const controller = new AbortController();
    this.#tasks.set(id, controller);
    const remote = report as unknown as Comlink.Remote<(value: R) => void>; // what arrives in the worker
    let delivered: Promise<unknown> = Promise.resolve();
    try {
      return await work((value) => {
        delivered = remote(value as never);
      }, controller.signal);
    } finally {
      await delivered; // reports have their own channel: otherwise the answer could overtake them
      remote[Comlink.releaseProxy]();
      this.#tasks.delete(id);
    }
  }

  #ready(): { engine: Engine; sessions: ModelSessions } {
    if (!this.#engine || !this.#sessions) throw new OssicleError('disposed', 'No model is loaded.');
    return { engine: this.#engine, sessions: this.#sessions };
  }
}

function bytesTo(push: (report: BytesDone) => void): (done: number, total: number) => void {
  return (doneBytes, totalBytes) => push({ doneBytes, totalBytes });
}
