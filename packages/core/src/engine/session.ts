import type { Message } from '@ossicle/harmony';
import { isOssicleError, OssicleError } from '../errors.ts';
import { EventStream, startGeneration } from '../generation/event-stream.ts';
import { parseJson } from '../generation/parse-json.ts';
import {
  type GenerateOnce,
  generateWithTools,
  resumeOptions,
  withResults,
} from '../generation/tool-loop.ts';
import type { Runtime } from '../model/runtime.ts';
import type {
  FinishReason,
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
} from '../types/generate.ts';
import { LoopGuard } from './control/loop-guard.ts';
import { samplingOptions } from './control/sampling-options.ts';
import { Context, type DecodeProgress } from './conversation/context.ts';
import { identityOf } from './conversation/identity.ts';
import { contextOf } from './conversation/restore-context.ts';
import { type Write, writeConversation } from './conversation/saved-conversation.ts';
import { Decoder } from './decoder.ts';
import { GenerationRecord } from './generation-record.ts';
import { tokenLogprobs } from './logprobs.ts';
import { encodePrompt } from './prompt.ts';
import type { Queue } from './queue.ts';
import type { CheckpointTokenizer } from './tokenizer.ts';

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
  /**
   * The conversation of the last prompt, with its answer unless that is unfinished. Empty if the prompt was token ids.
   */
  readonly messages: readonly Message[];
  /**
   * Appends the results of tools to `messages` if those end in calls, so that they are saved with the session. `generate()`
   * appends those of the tools that it runs.
   */
  addResults(results: readonly Message[]): void;
  /** Whether the last answer was cut short: by an abort, an error, the end of its tokens, or the end of the program. */
  readonly isUnfinished: boolean;
  /**
   * Goes on with the answer that was cut short. Its events and its result begin with what was generated before. Tools are
   * not run: a call ends the generation.
   *
   * @param options - Those of the generation that was cut short. The generation rejects with RangeError if no answer is
   * unfinished.
   */
  resume(options?: GenerateOptions): Generation;
  /**
   * Creates a session with the same tokens. Their keys and values are copied; if there is no memory for them, they will be
   * evaluated again.
   *
   * @param messages - How many of the messages the new session has. Default: all.
   * @throws RangeError if the session has fewer messages.
   */
  fork(messages?: number): Promise<Session>;
  /**
   * Writes the session, so that `openSession()` of an engine can restore it. The session stays as it is. While an answer is generated, waits for the
   * next token, and writes what there is.
   *
   * @param write - Takes the next bytes; waited for.
   * @throws {@link OssicleError} `device-lost`, `disposed`, and what `write` throws.
   */
  save(write: Write): Promise<void>;
  /** Releases the conversation's memory. Calls in progress reject with `disposed`. */
  dispose(): void;
}

/** The engine, as its sessions know it. */
export interface SessionOwner {
  /** The model's id. */
  readonly model: string;
  /** Adds a session to the engine. */
  create(state: SessionState): Session;
  /** Called when a session is disposed of. */
  onDispose(session: EngineSession): void;
}

/** What makes a session differ from a new one. */
export interface SessionState {
  readonly context: Context;
  readonly messages: readonly Message[];
  /** Where the tokens of an answer begin that has not ended. */
  readonly answerStart: number | undefined;
}

/** A {@link Session} on a loaded model. */
export class EngineSession implements Session {
  readonly #runtime: Runtime;
  readonly #tokenizer: CheckpointTokenizer | undefined;
  readonly #queue: Queue;
  readonly #context: Context;
  readonly #decoder: Decoder;
  readonly #owner: SessionOwner;
  #messages: readonly Message[];
  #answerStart: number | undefined;
  #isGenerating = false;
  /** What waits for the next token. */
  readonly #pauses: ((progress?: DecodeProgress) => Promise<void>)[] = [];
  #isDisposed = false;

  /** @param state - Default: of a session without tokens. */
  constructor(
    runtime: Runtime,
    tokenizer: CheckpointTokenizer | undefined,
    queue: Queue,
    owner: SessionOwner,
    state?: SessionState,
  ) {
    this.#runtime = runtime;
    this.#tokenizer = tokenizer;
    this.#queue = queue;
    this.#owner = owner;
    this.#context = state?.context ?? new Context(runtime);
    this.#messages = state?.messages ?? [];
    this.#answerStart = state?.answerStart;
    this.#decoder = new Decoder(runtime, this.#context);
  }

  get tokens(): readonly number[] {
    return this.#context.tokens;
  }

  get messages(): readonly Message[] {
    return this.#messages;
  }

  get isUnfinished(): boolean {
    return this.#answerStart !== undefined;
  }

  addResults(results: readonly Message[]): void {
    if (!this.isUnfinished) this.#messages = withResults(this.#messages, results);
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
      this.#answerStart = undefined;
      this.#messages = [];
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
      const once: GenerateOnce = (messages, step) => this.#generateOnce(messages, step);
      return generateWithTools(once, input, own, (results) => this.addResults(results));
    });
  }

  resume(options: GenerateOptions = {}): Generation {
    return startGeneration(options, () =>
      this.#generateOnce('resume', { ...resumeOptions(options, this.#messages) }),
    );
  }

  fork(messages?: number): Promise<Session> {
    return this.#run(async () => {
      const all = this.#messages.length;
      if (
        messages !== undefined &&
        !(Number.isInteger(messages) && messages >= 0 && messages <= all)
      ) {
        throw new RangeError(`messages must be a whole number from 0 to ${all}, not ${messages}`);
      }
      const context = await this.#context.fork().catch((error: unknown) => {
        if (!isOssicleError(error) || error.code !== 'out-of-memory') throw error;
        return contextOf(this.#runtime, this.tokens);
      });
      return this.#owner.create({
        context,
        messages: this.#messages.slice(0, messages),
        answerStart: messages === undefined ? this.#answerStart : undefined,
      });
    });
  }

  save(write: Write): Promise<void> {
    const task = async (progress?: DecodeProgress): Promise<void> => {
      const state = this.#context.state(progress);
      const details = {
        savedAt: Date.now(),
        model: this.#owner.model,
        identity: await identityOf(this.#runtime),
        messages: this.#messages,
        answerStart: this.#answerStart ?? null,
        state,
      };
      await writeConversation(this.#runtime.gpu, this.#context.parts(state), details, write);
    };
    if (!this.#isGenerating) return this.#run(task);
    return new Promise((resolve, reject) => {
      this.#pauses.push((progress) => task(progress).then(resolve, reject));
    });
  }

  /** @param input - `resume` to go on with the unfinished answer. */
  #generateOnce(
    input: readonly Message[] | Uint32Array | 'resume',
    options: GenerateOptions,
  ): Generation {
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
    this.#owner.onDispose(this);
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
    input: readonly Message[] | Uint32Array | 'resume',
    options: GenerateOptions,
    record: GenerationRecord,
    push: (event: GenerateEvent) => void,
  ): Promise<GenerateResult> {
    try {
      return await this.#answer(input, options, record, push);
    } finally {
      this.#isGenerating = false;
      await this.#pause();
    }
  }

  async #answer(
    input: readonly Message[] | Uint32Array | 'resume',
    options: GenerateOptions,
    record: GenerationRecord,
    push: (event: GenerateEvent) => void,
  ): Promise<GenerateResult> {
    const { signal, logprobs } = options;
    const sampling = samplingOptions(options);
    const { shape } = this.#runtime;
    const answered = input === 'resume' ? this.#unfinished() : 0;
    const given = input === 'resume' ? Uint32Array.from(this.tokens) : input;
    const { tokens: prompt, droppedMessages } = encodePrompt(
      given,
      options,
      this.#tokenizer,
      shape,
    );
    const answerStart = prompt.length - answered;
    const room = shape.contextLength - prompt.length;
    const maxTokens = Math.min(options.maxTokens ?? room, room);
    const head = prompt.slice(0, answerStart);
    const output = this.#tokenizer?.chat?.read(options, head);
    const hasMessages =
      input === 'resume' ? this.#messages.length > 0 : !(input instanceof Uint32Array);
    const constraint =
      output && this.#tokenizer?.chat?.constrain(options, head, hasMessages);
    const loopGuard = output && options.loopGuard !== false ? new LoopGuard() : undefined;

    const exempt = this.#tokenizer?.chat?.headerTokens ?? [];
    this.#decoder.start(sampling, { prompt: head, answer: prompt.slice(answerStart), exempt });

    const context = this.#context;
    const reusedTokens = context.rewind(prompt);
    context.append(prompt.slice(context.tokens.length));
    record.startPrefill(prompt.length, reusedTokens);
    this.#answerStart = answerStart;
    if (input !== 'resume') this.#messages = input instanceof Uint32Array ? [] : [...input];
    this.#isGenerating = true;

    const report = (): void => {
      this.#checkDisposed();
      push({ type: 'prefill', processedTokens: context.evaluated, totalTokens: prompt.length });
    };
    const decode = (id: number): string => this.#tokenizer?.decode([id]) ?? '';
    let reason: FinishReason = 'length';
    try {
      report();
      for (const token of prompt.slice(answerStart)) {
        constraint?.push(token);
        for (const event of output?.push(token) ?? []) push(event);
      }
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
        if (loopGuard?.push(token)) {
          reason = 'loop';
          break;
        }
        this.#checkDisposed();
        signal?.throwIfAborted();
        if (this.#pauses.length > 0) await this.#pause(this.#decoder.progress);
      }
    } catch (error) {
      if (!isAbort(error, signal)) throw error;
      reason = 'aborted';
    }
    for (const event of output?.finish() ?? []) push(event);
    const summary = output?.summary();
    const hasEnded = reason === 'stop' || reason === 'loop';
    if (reason === 'stop' && (summary?.toolCalls.length ?? 0) > 0) reason = 'tool-calls';
    const result = record.finish(reason, summary, output?.reasoningTokens);
    if (hasEnded) {
      this.#answerStart = undefined;
      this.#messages = [...this.#messages, ...result.messages];
    }
    const isJson = options.responseFormat?.type === 'json';
    const json = isJson ? parseJson(result.text) : undefined;
    return {
      ...result,
      ...(droppedMessages > 0 && { droppedMessages }),
      ...(json !== undefined && { json }),
      ...(logprobs !== undefined && { logprobs: record.logprobs }),
    };
  }

  /** How many tokens there are of the answer that has not ended. */
  #unfinished(): number {
    if (this.#answerStart !== undefined) return this.tokens.length - this.#answerStart;
    throw new RangeError('There is no unfinished answer to resume');
  }

  /** Runs what waits for a token. */
  async #pause(progress?: DecodeProgress): Promise<void> {
    while (this.#pauses.length > 0) await this.#pauses.shift()?.(progress);
  }
}

/** Whether a prompt begins a turn: all do, except those that end in the result of a tool or within an answer. */
function isTurnStart(input: readonly Message[] | Uint32Array | 'resume'): boolean {
  if (input === 'resume') return false;
  return input instanceof Uint32Array || input.at(-1)?.role !== 'tool';
}

/** Whether an error was thrown because the signal aborted. */
function isAbort(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && error === signal.reason;
}
