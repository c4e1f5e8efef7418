import type { Message } from '@ossicle/harmony';
import { OssicleError } from '../errors.ts';
import { unembed } from '../model/gpt-oss.ts';
import type {
  FinishReason,
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
} from '../types.ts';
import { Context, checkTokens } from './context.ts';
import { Decoder } from './decoder.ts';
import { EventStream } from './event-stream.ts';
import { GenerationRecord } from './generation-record.ts';
import { tokenLogprobs } from './logprobs.ts';
import { HarmonyOutput } from './output.ts';
import type { Queue } from './queue.ts';
import type { Runtime } from './runtime.ts';
import { parseSamplingOptions } from './sampling-options.ts';
import { type CheckpointTokenizer, noTokenizer } from './tokenizer.ts';
import { generateWithTools } from './tool-loop.ts';

/** One conversation: its tokens, with their keys and values on the GPU. Calls are answered one at a time. */
export interface Session {
  /** All tokens: what was evaluated, and what was generated. */
  readonly tokens: readonly number[];
  /**
   * Appends tokens, and evaluates them.
   *
   * @returns The logits after the last token, [vocabulary], or after each of them, [tokens, vocabulary].
   * @throws {@link OssicleError} `context-overflow`, `device-lost`, `disposed`… RangeError where there is no token, or
   * one is no id of the vocabulary.
   */
  evaluate(
    tokens: ArrayLike<number>,
    options?: { readonly logits?: 'last' | 'all' },
  ): Promise<Float32Array>;
  /**
   * Generates an answer. The session takes on the prompt, and reuses the keys and values of what the prompt shares with
   * its tokens.
   *
   * @param input - A user's message, a conversation, or the ids of a prompt. Ids are answered as Harmony where the
   * checkpoint has the tokenizer of a Harmony model, else token by token until `maxTokens`.
   */
  generate(input: string | readonly Message[] | Uint32Array, options?: GenerateOptions): Generation;
  /** Releases the conversation's memory. What runs ends with `disposed`. */
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

  evaluate(
    tokens: ArrayLike<number>,
    { logits = 'last' }: { readonly logits?: 'last' | 'all' } = {},
  ): Promise<Float32Array> {
    return this.#run(async () => {
      if (!(tokens.length > 0)) throw new RangeError('evaluate() needs at least one token');
      this.#context.checkFits(tokens);
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
    if (input instanceof Uint32Array) return this.#generateOnce(input.slice(), options);
    return generateWithTools(
      (messages, once) => this.#generateOnce(messages, once),
      input,
      options,
    );
  }

  #generateOnce(input: readonly Message[] | Uint32Array, options: GenerateOptions): Generation {
    return new EventStream(async (push, signal) => {
      const record = new GenerationRecord();
      try {
        return await this.#run(() => this.#generate(input, options, record, push, signal), signal);
      } catch (error) {
        if (!isAbort(error, signal)) throw error;
        const { event, result } = record.finish('aborted'); // before its turn came
        push(event);
        return result;
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
    signal: AbortSignal,
  ): Promise<GenerateResult> {
    const tokenizer = this.#tokenizer;
    checkOptions(options);
    const sampling = parseSamplingOptions(options);
    const prompt = this.#encode(input, options);
    const room = this.#checkRoom(prompt);
    const maxTokens = Math.min(options.maxTokens ?? room, room);
    const output = tokenizer?.isHarmony ? new HarmonyOutput(tokenizer.harmony, options) : undefined;

    const context = this.#context;
    const reusedTokens = context.rewind(prompt);
    context.append(Array.from(prompt).slice(context.tokens.length));
    this.#decoder.prepare(sampling, prompt);
    record.startPrefill(prompt.length, reusedTokens);

    const report = (): void => {
      this.#checkDisposed();
      push({ type: 'prefill', processedTokens: context.evaluated, totalTokens: prompt.length });
    };
    let reason: FinishReason = 'length';
    try {
      report();
      const { kernels, weights, activations } = this.#runtime;
      await context.prefill(
        () => unembed(kernels.forTokens(1), weights, activations),
        report,
        signal,
      );
      await context.takeSnapshot();
      const withLogits = options.logprobs !== undefined;
      for await (const { token, logits } of this.#decoder.decode(
        maxTokens,
        withLogits,
        record.tokens,
      )) {
        record.addToken(token);
        if (logits) {
          const decode = (id: number): string => tokenizer?.decode([id]) ?? '';
          record.logprobs.push(tokenLogprobs(logits, token, options.logprobs ?? 0, decode));
        }
        for (const event of output?.push(token) ?? []) push(event);
        if (output?.isStopped) {
          reason = 'stop';
          break;
        }
        this.#checkDisposed();
        signal.throwIfAborted();
      }
    } catch (error) {
      if (!isAbort(error, signal)) throw error;
      reason = 'aborted';
    }
    for (const event of output?.finish() ?? []) push(event);
    const summary = output?.summary();
    if (reason === 'stop' && (summary?.toolCalls.length ?? 0) > 0) reason = 'tool-calls';
    const { event, result } = record.finish(reason, summary);
    push(event);
    const json = options.responseFormat && parseJson(result.text);
    return {
      ...result,
      ...(json !== undefined && { json }),
      ...(options.logprobs !== undefined && { logprobs: record.logprobs }),
    };
  }

  #encode(input: readonly Message[] | Uint32Array, options: GenerateOptions): ArrayLike<number> {
    if (!(input instanceof Uint32Array)) {
      if (!this.#tokenizer) throw noTokenizer();
      return this.#tokenizer.encodeConversation(input, options);
    }
    if (!this.#tokenizer?.isHarmony && (options.stop || options.tools || options.responseFormat)) {
      throw new TypeError(
        'stop, tools and responseFormat need a checkpoint with the tokenizer of a Harmony model',
      );
    }
    checkTokens(input, this.#runtime.shape.vocabularySize);
    return input;
  }

  /** How many tokens may follow the prompt. */
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

/** Checks what has nothing to do with sampling. */
function checkOptions({ maxTokens = 1, logprobs = 0, stop = [] }: GenerateOptions): void {
  if (!(Number.isInteger(maxTokens) && maxTokens > 0)) {
    throw new RangeError(`maxTokens must be a whole number above 0, not ${maxTokens}`);
  }
  if (!(Number.isInteger(logprobs) && logprobs >= 0 && logprobs <= 20)) {
    throw new RangeError(`logprobs must be a whole number from 0 to 20, not ${logprobs}`);
  }
  if (!Array.isArray(stop) || stop.some((text) => typeof text !== 'string' || text === '')) {
    throw new TypeError('stop must be strings that are not empty');
  }
}

/** Whether an error is the signal's way of ending what runs. */
function isAbort(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && error === signal.reason;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the answer stands as text
  }
}
