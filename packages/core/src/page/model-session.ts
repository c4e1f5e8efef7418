import type { Message } from '@ossicle/harmony';
import { isOssicleError, OssicleError } from '../errors.ts';
import { EventStream, startGeneration } from '../generation/event-stream.ts';
import { type StepInput, Transcript } from '../generation/transcript.ts';
import type {
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
} from '../types/generate.ts';
import type { SessionStart } from '../types/session.ts';
import { abortedResult } from './aborted-result.ts';
import { toPlain } from './plain-options.ts';
import type { RemoteService, WorkerClient } from './worker-client.ts';

/**
 * A conversation of a model, with its own keys and values. The sessions of a model take turns. A session that is neither
 * disposed of nor saved goes with its model.
 */
export interface ModelSession {
  /** Names the session when it is saved. Forks have ids of their own. */
  readonly id: string;
  /** The conversation of the last prompt, with its answer unless that is unfinished. */
  readonly messages: readonly Message[];
  /** Whether the last answer was cut short: by an abort, an error, `maxTokens`, or the end of the page. */
  readonly isUnfinished: boolean;
  /**
   * Tokens whose keys and values the session began with. 0 in a new session; and if a saved one belongs to other weights or
   * another version of the library, or is damaged: then the next generation evaluates the conversation again.
   */
  readonly restoredTokens: number;
  /** As the model's `generate()`, in this session. */
  generate(input: string | readonly Message[], options?: GenerateOptions): Generation;
  /**
   * Goes on with the answer that was cut short, as if it had not been: events begin with what its unfinished step had generated,
   * and options such as `maxTokens`, `reasoningBudget` and `stopWhen` apply to all of it. The result also has the text, the
   * calls and the counts of the steps that ended before; its messages follow those of the session. Waits for the generations that
   * were called before, so do not await it in a tool or a hook of the same session.
   *
   * @param options - Those of the generation that was cut short; after the reason `length`, with more `maxTokens`. Rejects
   * with RangeError if no answer is unfinished.
   */
  resume(options?: GenerateOptions): Generation;
  /**
   * Saves the session in the browser's private file system, in place of what was saved of it before: if this fails, or the
   * browser is closed meanwhile, that stays. While an answer is generated, waits for the next token, and saves what there is.
   *
   * @throws {@link OssicleError} `storage-full`, `storage-unavailable`, `device-lost`, `disposed`.
   */
  save(): Promise<void>;
  /**
   * Creates a session that begins with the same conversation. Its keys and values are copied on the GPU; if there is no
   * memory for them, the next generation evaluates the conversation again.
   *
   * @param messages - How many messages the new session has, without an unfinished answer. Default: all, with the unfinished
   * answer.
   * @throws RangeError if the session has fewer.
   */
  fork(messages?: number): Promise<ModelSession>;
  /** Releases the session's memory. What is saved stays. Calls in progress reject with `disposed`. */
  dispose(): Promise<void>;
}

/** What makes a {@link WorkerSession} differ from a new one. */
interface SessionOptions {
  readonly start?: SessionStart;
  readonly id?: string;
  readonly number?: number;
}

/** The page's side of a session. */
export class WorkerSession implements ModelSession {
  readonly id: string;
  readonly restoredTokens: number;
  readonly #worker: WorkerClient;
  readonly #numbers: () => number;
  /** By which the worker knows the session. */
  readonly #number: number;
  readonly #transcript: Transcript;
  #isDisposed = false;

  /** @param numbers - Returns another number at each call. */
  constructor(
    worker: WorkerClient,
    numbers: () => number,
    { start, id = crypto.randomUUID(), number = numbers() }: SessionOptions = {},
  ) {
    this.#worker = worker;
    this.#numbers = numbers;
    this.#number = number;
    this.id = id;
    this.restoredTokens = start?.restoredTokens ?? 0;
    this.#transcript = new Transcript(
      (input, options, steps) => this.#generate(input, options, steps),
      start,
      (results) => this.#sendResults(results),
    );
  }

  get messages(): readonly Message[] {
    return this.#transcript.messages;
  }

  get isUnfinished(): boolean {
    return this.#transcript.isUnfinished;
  }

  generate(input: string | readonly Message[], options: GenerateOptions = {}): Generation {
    return startGeneration(options, () => this.#transcript.generate(input, options));
  }

  resume(options: GenerateOptions = {}): Generation {
    return startGeneration(options, () => this.#transcript.resume(options));
  }

  save(): Promise<void> {
    return this.#call((service) => service.saveSession(this.#number, this.id));
  }

  async fork(messages?: number): Promise<ModelSession> {
    const number = this.#numbers();
    const start = await this.#call((service) =>
      service.forkSession(this.#number, number, messages),
    );
    return new WorkerSession(this.#worker, this.#numbers, { start, number });
  }

  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    try {
      await this.#worker.call((service) => service.disposeSession(this.#number));
    } catch (error) {
      // Without its worker, the session is gone.
      const isGone =
        isOssicleError(error) && (error.code === 'disposed' || error.code === 'worker-failed');
      if (!isGone) throw error;
    }
  }

  /** Hands the results of tools to the worker before it hears of a save or a fork. */
  #sendResults(results: readonly Message[]): void {
    // A worker that has ended has nothing to save: the call that follows rejects.
    this.#call((service) => service.addResults(this.#number, results)).catch(() => undefined);
  }

  #generate(
    input: StepInput,
    options: GenerateOptions,
    steps: readonly GenerateResult[],
  ): Generation {
    return new EventStream(async (push, signal) => {
      this.#check();
      const events: GenerateEvent[] = [];
      const startMs = performance.now();
      const onReport = (event: GenerateEvent): void => {
        if (events.length === 0) this.#transcript.begin(input, steps);
        events.push(event);
        push(event);
      };
      try {
        const result = await this.#worker.run<GenerateResult, GenerateEvent>(
          (service, task) =>
            service.generate(...task, this.#number, input, toPlain(options), steps),
          { signal, onReport },
        );
        this.#transcript.end(result);
        return result;
      } catch (error) {
        const isBroken = isOssicleError(error) && error.code === 'worker-failed';
        if (!signal.aborted || !isBroken) throw error;
        return abortedResult(events, options, performance.now() - startMs);
      }
    }, options.signal);
  }

  async #call<T>(use: (service: RemoteService) => Promise<T>): Promise<T> {
    this.#check();
    return this.#worker.call(use);
  }

  #check(): void {
    if (!this.#isDisposed) return;
    throw new OssicleError('disposed', 'The session was disposed of. Create another one.');
  }
}
