import type { Message } from '@ossicle/harmony';
import { OssicleError } from '../errors.ts';
import { EventStream, startGeneration } from '../generation/event-stream.ts';
import { parseJson } from '../generation/parse-json.ts';
import { generateWithTools } from '../generation/tool-loop.ts';
import type { Runtime } from '../model/runtime.ts';
import type {
  FinishReason,
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
} from '../types/generate.ts';
import { samplingOptions } from './control/sampling-options.ts';
import { Context, checkTokens } from './conversation/context.ts';
import { Decoder } from './decoder.ts';
import { GenerationRecord } from './generation-record.ts';
import { tokenLogprobs } from './logprobs.ts';
import type { Queue } from './queue.ts';
import { type CheckpointTokenizer, noTokenizer } from './tokenizer.ts';

/** One conversation: its tokens, with their keys and values on the GPU. Calls run one at a time. */
export interface Session {
  /** All tokens, evaluated and generated. */
  readonly tokens: readonly number[];
  /**
   * Appends tokens and evaluates them.
   *
   * @returns The logits after the last token, [vocabulary], or after each token, [tokens, vocabulary].
   * @throws {@link OssicleError} `context-overflow`, `device-lost`, `disposed`, … RangeError if there are no tokens, or
   * if one is not in the vocabulary.
   */
  evaluate(
    tokens: ArrayLike<number>,
    options?: { readonly logits?: 'last' | 'all' },
  ): Promise<Float32Array>;
  /**
   * Generates an answer. The prompt replaces the session's tokens; the keys and values of the prefix that they share
   * are reused. For messages, tools that have an `execute` are run, and the model goes on with their results.
   *
   * @param input - A user's message, a conversation, or the token ids of a prompt. The answer to token ids is read as
   * Harmony if the checkpoint has a Harmony tokenizer; otherwise, tokens are generated up to `maxTokens`. It is kept to
   * well-formed headers only if the options have `tools`, `toolChoice` or `responseFormat`.
   */
  generate(input: string | readonly Message[] | Uint32Array, options?: GenerateOptions): Generation;
  /** Releases the conversation's memory. Calls in progress reject with `disposed`. */
  dispose(): void;
}

/** A {@link Session} on a loaded model. */
export class EngineSession implements Session {
  readonly #runtime: Runtime;
  readonly #tokenizer: CheckpointTokenizer | undefined;
  readonly #queue: Queue;
  readonly #context: Context;
  readonly #decoder: Decoder;
  readonly #onDispose: (session: EngineSession) => void;
  #isDisposed = false;

  /** @param onDispose - Called when the session is disposed of. */
  constructor(
    runtime: Runtime,
    tokenizer: CheckpointTokenizer | undefined,
    queue: Queue,
    onDispose: (session: EngineSession) => void,
  ) {
    this.#runtime = runtime;
    this.#tokenizer = tokenizer;
    this.#queue = queue;
    this.#onDispose = onDispose;
    this.#context = new Context(runtime);
    this.#decoder = new Decoder(runtime, this.#context);
  }

  get tokens(): readonly number[] {
    return this.#context.tokens;
  }

  async evaluate(
    ids: ArrayLike<number>,
    { logits = 'last' }: { readonly logits?: 'last' | 'all' } = {},
  ): Promise<Float32Array> {
    // The caller may reuse its array while the call waits.
    const tokens = Array.isArray(ids) || ids instanceof Uint32Array ? ids.slice() : ids;
    return this.#run(async () => {
      if (!(tokens.length > 0)) throw new RangeError('evaluate() needs at least one token');
      this.#context.checkFits(tokens);
      await this.#context.reserve(this.#context.tokens.length + tokens.length);
      const rows = logits === 'all' ? tokens.length : 1;
      const into = new Float32Array(rows * this.#runtime.shape.vocabularySize);
      this.#context.append(tokens);
      await this.#context.readLogits(into);
      this.#checkDisposed();
      return into;
    });
  }

  generate(
    input: string | readonly Message[] | Uint32Array,
    options: GenerateOptions = {},
  ): Generation {
    return startGeneration(options, () => {
      const own = { ...options }; // the caller may change its object while the call waits
      if (input instanceof Uint32Array) return this.#generateOnce(input.slice(), own);
      return generateWithTools((messages, once) => this.#generateOnce(messages, once), input, own);
    });
  }

  #generateOnce(input: readonly Message[] | Uint32Array, options: GenerateOptions): Generation {
    return new EventStream(async (push, signal) => {
      const record = new GenerationRecord();
      try {
        const task = () => this.#generate(input, { ...options, signal }, record, push);
        return await this.#run(task, signal);
      } catch (error) {
        if (!isAbort(error, signal)) throw error;
        return record.finish('aborted'); // before its turn came
      }
    }, options.signal);
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#onDispose(this);
    void this.#queue.run(async () => {
      this.#context.dispose();
      this.#decoder.dispose();
    });
  }

  #run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#queue.run(async () => {
      this.#checkDisposed();
      this.#runtime.gpu.check();
      await this.#context.allocated();
      return task();
    }, signal);
  }

  #checkDisposed(): void {
    if (!this.#isDisposed) return;
    throw new OssicleError('disposed', 'The session was disposed of. Create another one.');
  }

  async #generate(
    input: readonly Message[] | Uint32Array,
    options: GenerateOptions,
    record: GenerationRecord,
    push: (event: GenerateEvent) => void,
  ): Promise<GenerateResult> {
    const { signal, logprobs } = options;
    const sampling = samplingOptions(options);
    const prompt = this.#encode(input, options);
    const room = this.#checkRoom(prompt);
    const maxTokens = Math.min(options.maxTokens ?? room, room);
    const output = this.#tokenizer?.chat?.read(options, prompt);
    const isGuided = !(input instanceof Uint32Array) || asksForGuidance(options);
    const constraint = isGuided ? this.#tokenizer?.chat?.constrain(options, prompt) : undefined;

    const context = this.#context;
    const reusedTokens = context.rewind(prompt);
    context.append(Array.from(prompt).slice(context.tokens.length));
    const exempt = this.#tokenizer?.chat?.headerTokens ?? [];
    this.#decoder.start(sampling, { prompt, exempt });
    record.startPrefill(prompt.length, reusedTokens);

    const report = (): void => {
      this.#checkDisposed();
      push({ type: 'prefill', processedTokens: context.evaluated, totalTokens: prompt.length });
    };
    const decode = (id: number): string => this.#tokenizer?.decode([id]) ?? '';
    let reason: FinishReason = 'length';
    try {
      report();
      await context.prefill(report, signal);
      await context.takeSnapshot(isTurnStart(input));
      const withLogits = logprobs !== undefined;
      const answer = this.#decoder.decode({ maxTokens, constraint, withLogits, signal });
      for await (const { token, isForced, logits } of answer) {
        record.addToken(token, isForced);
        if (logits) record.logprobs.push(tokenLogprobs(logits, token, logprobs ?? 0, decode));
        for (const event of output?.push(token) ?? []) push(event);
        if (output?.isStopped) {
          reason = 'stop';
          break;
        }
        this.#checkDisposed();
        signal?.throwIfAborted();
      }
    } catch (error) {
      if (!isAbort(error, signal)) throw error;
      reason = 'aborted';
    }
    for (const event of output?.finish() ?? []) push(event);
    const summary = output?.summary();
    if (reason === 'stop' && (summary?.toolCalls.length ?? 0) > 0) reason = 'tool-calls';
    const result = record.finish(reason, summary);
    const isJson = options.responseFormat?.type === 'json';
    const json = isJson ? parseJson(result.text) : undefined;
    return {
      ...result,
      ...(json !== undefined && { json }),
      ...(logprobs !== undefined && { logprobs: record.logprobs }),
    };
  }

  #encode(input: readonly Message[] | Uint32Array, options: GenerateOptions): ArrayLike<number> {
    if (!(input instanceof Uint32Array)) {
      if (!this.#tokenizer) throw noTokenizer();
      return this.#tokenizer.encodeConversation(input, options);
    }
    const { stop, tools, toolChoice, responseFormat } = options;
    if (!this.#tokenizer?.chat && (stop || tools || toolChoice || responseFormat)) {
      throw new TypeError(
        'stop, tools, toolChoice and responseFormat require a checkpoint with a Harmony tokenizer',
      );
    }
    checkTokens(input, this.#runtime.shape.vocabularySize);
    return input;
  }

  /** Returns how many tokens can follow the prompt. */
  #checkRoom(prompt: ArrayLike<number>): number {
    const { contextLength } = this.#runtime.shape;
    if (prompt.length === 0) throw new RangeError('The prompt must have at least one token');
    if (prompt.length >= contextLength) {
      throw new OssicleError(
        'context-overflow',
        `The prompt has ${prompt.length} tokens, which leaves no room for an answer in a context of ${contextLength}. ` +
          'Shorten the conversation, or load the model with a larger contextLength.',
      );
    }
    return contextLength - prompt.length;
  }
}

/**
 * Whether the answer to token ids, too, keeps to what the options allow. Otherwise, its prompt may declare tools that the
 * options do not know.
 */
function asksForGuidance({ tools, toolChoice, responseFormat }: GenerateOptions): boolean {
  return tools !== undefined || toolChoice !== undefined || responseFormat !== undefined;
}

/** Whether a prompt begins a turn: all do, except those that end in the result of a tool. */
function isTurnStart(input: readonly Message[] | Uint32Array): boolean {
  return input instanceof Uint32Array || input.at(-1)?.role !== 'tool';
}

/** Whether an error was thrown because the signal aborted. */
function isAbort(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && error === signal.reason;
}
