import type { Message } from '@ossicle/harmony';
import { checkGenerateOptions } from '../generation/check-generate-options.ts';
import type { Diagnosis } from '../types/diagnosis.ts';
import type { GenerateOptions, Generation } from '../types/generate.ts';
import type { ModelInfo } from '../types/load.ts';
import type { SavedSession } from '../types/session.ts';
import { type ModelSession, WorkerSession } from './model-session.ts';
import { toPlain } from './plain-options.ts';
import type { WorkerClient } from './worker-client.ts';

/** A loaded model in its own worker. Calls run one at a time. */
export interface Model {
  /** The model that was loaded. */
  readonly info: ModelInfo;
  /**
   * Generates an answer in a session of the model's own. Tools that have an `execute`, built-in ones included, are run on the
   * page, and the model goes on with their results; calls of other tools end the generation with the reason `tool-calls`.
   *
   * @param input - A user's message, or a conversation. Append the messages of each result to the conversation, so that
   * their keys and values are reused.
   * @returns Iterate it for its events, or await its `result`. Both reject with {@link OssicleError}, or with TypeError
   * or RangeError if an option is wrong. An aborted generation does not reject: it ends with the reason `aborted`,
   * within seconds. If the worker is then too busy to notice, it is terminated, and later calls reject with
   * `worker-failed`.
   */
  generate(input: string | readonly Message[], options?: GenerateOptions): Generation;
  /** Creates a session: a conversation with its own keys and values. It takes memory when it is used. */
  createSession(): ModelSession;
  /** The saved sessions. */
  readonly sessions: SavedSessions;
  /** Counts the tokens in the prompt that {@link Model.generate} would evaluate, if the conversation stays whole. */
  countTokens(input: string | readonly Message[], options?: GenerateOptions): Promise<number>;
  /**
   * Describes the GPU, the kernels in use, their times and the result of a self-test, as data and as text to paste into a
   * report. Waits for a generation in progress. Contains nothing of any conversation.
   *
   * @throws {@link OssicleError} `out-of-memory`, `device-lost`, `disposed`.
   */
  diagnose(): Promise<Diagnosis>;
  /** Releases all memory. Calls in progress reject with `disposed`. */
  dispose(): Promise<void>;
}

/** The sessions that are saved in the browser's private file system, those of other models included. */
export interface SavedSessions {
  /** Lists the saved sessions, latest first. @throws {@link OssicleError} `storage-unavailable`. */
  list(): Promise<SavedSession[]>;
  /**
   * Opens a saved session with its keys and values: nothing is evaluated again. If they are of no use here,
   * {@link ModelSession.restoredTokens} is 0.
   *
   * @throws RangeError if no session is saved under the id. {@link OssicleError} `integrity` if its messages are damaged,
   * `storage-unavailable`, `device-lost`.
   */
  open(id: string): Promise<ModelSession>;
  /** Removes a saved session, if there is one. @throws {@link OssicleError} `storage-unavailable`. */
  remove(id: string): Promise<void>;
}

/** The page's side of a model. */
export class WorkerModel implements Model {
  readonly info: ModelInfo;
  readonly sessions: SavedSessions;
  readonly #worker: WorkerClient;
  readonly #own: ModelSession;
  #lastSession = 0;

  constructor(worker: WorkerClient, info: ModelInfo) {
    this.#worker = worker;
    this.info = info;
    this.#own = this.createSession();
    this.sessions = {
      list: () => worker.call((service) => service.listSessions()),
      open: (id) => this.#open(id),
      remove: (id) => worker.call((service) => service.removeSession(id)),
    };
  }

  generate(input: string | readonly Message[], options?: GenerateOptions): Generation {
    return this.#own.generate(input, options);
  }

  createSession(): ModelSession {
    return new WorkerSession(this.#worker, () => ++this.#lastSession);
  }

  diagnose(): Promise<Diagnosis> {
    return this.#worker.call((service) => service.diagnose());
  }

  async countTokens(
    input: string | readonly Message[],
    options: GenerateOptions = {},
  ): Promise<number> {
    checkGenerateOptions(options);
    return this.#worker.call((service) => service.countTokens(input, toPlain(options)));
  }

  async dispose(): Promise<void> {
    await this.#worker.dispose((service) => service.dispose());
  }

  async #open(id: string): Promise<ModelSession> {
    const number = ++this.#lastSession;
    const start = await this.#worker.call((service) => service.openSession(number, id));
    return new WorkerSession(this.#worker, () => ++this.#lastSession, { start, id, number });
  }
}
