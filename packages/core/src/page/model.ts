import type { Message } from '@ossicle/harmony';
import { EventStream } from '../generation/event-stream.ts';
import { generateWithTools } from '../generation/tool-loop.ts';
import type {
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
} from '../types/generate.ts';
import type { ModelInfo } from '../types/load.ts';
import type { PlainGenerateOptions } from '../worker/model-service.ts';
import type { WorkerClient } from './worker-client.ts';

/** A loaded model, in a worker of its own. It holds one conversation's keys and values; calls are answered in turn. */
export interface Model {
  /** What was loaded. */
  readonly info: ModelInfo;
  /**
   * Generates an answer.
   *
   * @param input - A user's message, or a conversation. Give the conversation the messages of earlier results, so that
   * their keys and values are reused.
   * @returns Iterate it for its events, or await its `result`. Both reject with {@link OssicleError}, or with TypeError or
   * RangeError where an option is wrong. An aborted generation ends with the reason `aborted`.
   */
  generate(input: string | readonly Message[], options?: GenerateOptions): Generation;
  /** Counts the tokens of the prompt that {@link Model.generate} would evaluate. */
  countTokens(input: string | readonly Message[], options?: GenerateOptions): Promise<number>;
  /** Releases all memory. What runs rejects with `disposed`. */
  dispose(): Promise<void>;
}

/** The page's side of a model. */
export class WorkerModel implements Model {
  readonly info: ModelInfo;
  readonly #worker: WorkerClient;

  constructor(worker: WorkerClient, info: ModelInfo) {
    this.#worker = worker;
    this.info = info;
  }

  generate(input: string | readonly Message[], options: GenerateOptions = {}): Generation {
    return generateWithTools((messages, once) => this.#generate(messages, once), input, options);
  }

  #generate(input: readonly Message[], options: GenerateOptions): Generation {
    return new EventStream(
      (push, signal) =>
        this.#worker.run<GenerateResult, GenerateEvent>(
          (service, task) => service.generate(...task, input, toPlain(options)),
          { signal, onReport: push },
        ),
      options.signal,
    );
  }

  countTokens(input: string | readonly Message[], options: GenerateOptions = {}): Promise<number> {
    return this.#worker.call((service) => service.countTokens(input, toPlain(options)));
  }

  async dispose(): Promise<void> {
    await this.#worker.dispose((service) => service.dispose());
  }
}

/** What of the options can be cloned: no signal, and no functions of tools. */
function toPlain({ signal: _, tools, ...options }: GenerateOptions): PlainGenerateOptions {
  if (!tools) return options;
  return { ...options, tools: tools.map(({ execute: _execute, ...tool }) => tool) };
}
