import type { Message } from '@ossicle/harmony';
import { isOssicleError, OssicleError } from '../errors.ts';
import { EventStream, startGeneration } from '../generation/event-stream.ts';
import { type StepInput, Transcript } from '../generation/transcript.ts';
import type { Runtime } from '../model/runtime.ts';
import type {
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
} from '../types/generate.ts';
import { Answer } from './answer.ts';
import { samplingOptions } from './control/sampling-options.ts';
import { Context, type DecodeProgress } from './conversation/context.ts';
import { identityOf } from './conversation/identity.ts';
import { contextOf } from './conversation/restore-context.ts';
import {
  type BegunAnswer,
  type Write,
  writeConversation,
} from './conversation/saved-conversation.ts';
import { Decoder } from './decoder.ts';
import { GenerationRecord } from './generation-record.ts';
import { checkTokenOptions, encodePrompt } from './prompt.ts';
import type { Queue } from './queue.ts';
import type { Session } from './session.ts';
import type { CheckpointTokenizer } from './tokenizer.ts';

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
  /** The answer that has not ended, if there is one. */
  readonly answer: BegunAnswer | undefined;
}

/** A {@link Session} on a loaded model. */
export class EngineSession implements Session {
  readonly restoredTokens: number;
  readonly #runtime: Runtime;
  readonly #tokenizer: CheckpointTokenizer | undefined;
  readonly #queue: Queue;
  readonly #context: Context;
  readonly #decoder: Decoder;
  readonly #owner: SessionOwner;
  readonly #transcript: Transcript;
  /** The last answer. */
  #answer: { readonly begun: Omit<BegunAnswer, 'steps'> } | undefined;
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
    this.restoredTokens = this.#context.evaluated;
    this.#answer = state?.answer && { begun: state.answer };
    this.#transcript = new Transcript(
      (input, options, steps) => this.generateStep(input, options, steps),
      state && {
        messages: state.messages,
        isUnfinished: state.answer !== undefined,
        steps: state.answer?.steps ?? [],
      },
    );
    this.#decoder = new Decoder(runtime, this.#context);
  }

  get tokens(): readonly number[] {
    return this.#context.tokens;
  }

  get messages(): readonly Message[] {
    return this.#transcript.messages;
  }

  get isUnfinished(): boolean {
    return this.#transcript.isUnfinished;
  }

  get steps(): readonly GenerateResult[] {
    return this.#transcript.steps;
  }

  addResults(results: readonly Message[]): void {
    this.#transcript.addResults(results);
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
      this.#transcript.clear();
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
    return startGeneration(options, () =>
      input instanceof Uint32Array
        ? this.#transcript.complete(input, options)
        : this.#transcript.generate(input, options),
    );
  }

  resume(options: GenerateOptions = {}): Generation {
    return startGeneration(options, () => this.#transcript.resume(options));
  }

  fork(messages?: number): Promise<Session> {
    return this.#run(async () => {
      const all = this.messages.length;
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
        messages: this.messages.slice(0, messages),
        answer: messages === undefined ? this.#unfinished() : undefined,
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
        messages: this.messages,
        answer: this.#unfinished() ?? null,
        state,
      };
      await writeConversation(this.#runtime.gpu, this.#context.parts(state), details, write);
    };
    if (!this.#isGenerating) return this.#run(task);
    return new Promise((resolve, reject) => {
      this.#pauses.push((progress) => task(progress).then(resolve, reject));
    });
  }

  generateStep(
    input: StepInput,
    options: GenerateOptions,
    steps: readonly GenerateResult[],
  ): Generation {
    return new EventStream(async (push, signal) => {
      const own = { ...options, signal }; // the caller may change its object while the call waits
      const record = new GenerationRecord();
      try {
        return await this.#run(() => this.#generate(input, steps, own, record, push), signal);
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
    input: StepInput,
    steps: readonly GenerateResult[],
    options: GenerateOptions,
    record: GenerationRecord,
    push: (event: GenerateEvent) => void,
  ): Promise<GenerateResult> {
    try {
      const result = await this.#runAnswer(input, steps, options, record, push);
      this.#transcript.end(result);
      return result;
    } finally {
      this.#isGenerating = false;
      await this.#pause();
    }
  }

  async #runAnswer(
    input: StepInput,
    steps: readonly GenerateResult[],
    options: GenerateOptions,
    record: GenerationRecord,
    push: (event: GenerateEvent) => void,
  ): Promise<GenerateResult> {
    const { signal } = options;
    const sampling = samplingOptions(options);
    const [context, tokenizer] = [this.#context, this.#tokenizer];
    const { shape } = this.#runtime;
    const begun = input === 'resume' ? this.#toResume() : undefined;
    const hasMessages = begun ? this.#transcript.hasMessages : !(input instanceof Uint32Array);
    if (!hasMessages) checkTokenOptions(options);
    const { tokens, droppedMessages } = begun
      ? { tokens: [...this.tokens], droppedMessages: begun.droppedMessages }
      : encodePrompt(input as Exclude<typeof input, 'resume'>, options, tokenizer, shape);
    const start = begun?.start ?? tokens.length;
    const prompt = tokens.slice(0, start);
    const about = { tokens: prompt, hasMessages, droppedMessages };
    const answer = new Answer(tokenizer, options, about, record, push);
    const exempt = tokenizer?.chat?.headerTokens ?? [];
    this.#decoder.start(sampling, { prompt, answer: tokens.slice(start), exempt });

    const reusedTokens = context.rewind(tokens);
    context.append(tokens.slice(context.tokens.length));
    record.startPrefill(start, reusedTokens, tokens.length - reusedTokens);
    this.#answer = answer;
    this.#transcript.begin(input, steps);
    this.#isGenerating = true;

    const report = (): void => {
      this.#checkDisposed();
      push({ type: 'prefill', processedTokens: context.evaluated, totalTokens: tokens.length });
    };
    try {
      report();
      answer.replay(tokens.slice(start), begun?.logprobs ?? []);
      const room = shape.contextLength - start;
      const maxTokens = Math.min(options.maxTokens ?? room, room) - (tokens.length - start);
      if (answer.end || maxTokens <= 0) return answer.finish('length');
      await context.prefill(report, signal);
      await context.takeSnapshot(isTurnStart(input));
      const withLogits = options.logprobs !== undefined;
      const { constraint } = answer;
      for await (const token of this.#decoder.decode({
        maxTokens,
        constraint,
        withLogits,
        signal,
      })) {
        answer.push(token);
        if (answer.end) break;
        this.#checkDisposed();
        signal?.throwIfAborted();
        if (this.#pauses.length > 0) await this.#pause(this.#decoder.progress);
      }
      return answer.finish('length');
    } catch (error) {
      if (!isAbort(error, signal)) throw error;
      return answer.finish('aborted');
    }
  }

  /** The answer that has not ended, if there is one. */
  #unfinished(): BegunAnswer | undefined {
    if (!this.isUnfinished || !this.#answer) return undefined;
    return { ...this.#answer.begun, steps: this.steps };
  }

  #toResume(): BegunAnswer {
    const begun = this.#unfinished();
    if (begun) return begun;
    throw new RangeError('There is no unfinished answer to resume');
  }

  /** Runs what waits for a token. */
  async #pause(progress?: DecodeProgress): Promise<void> {
    while (this.#pauses.length > 0) await this.#pauses.shift()?.(progress);
  }
}

/** Whether a prompt begins a turn: all do, except those that end in the result of a tool or within an answer. */
function isTurnStart(input: StepInput): boolean {
  if (input === 'resume') return false;
  return input instanceof Uint32Array || input.at(-1)?.role !== 'tool';
}

/** Whether an error was thrown because the signal aborted. */
function isAbort(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && error === signal.reason;
}
