import type { Message } from '@ossicle/harmony';
import { OssicleError } from '../errors.ts';
import { readBuffer } from '../gpu/buffers.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { encode } from '../gpu/recorder.ts';
import { unembed } from '../model/gpt-oss.ts';
import type {
  FinishReason,
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
  TokenLogprobs,
} from '../types.ts';
import { Context } from './context.ts';
import { EventStream } from './event-stream.ts';
import { tokenLogprobs } from './logprobs.ts';
import { HarmonyOutput } from './output.ts';
import type { Queue } from './queue.ts';
import type { Runtime } from './runtime.ts';
import { encodeSamplingOptions, parseSamplingOptions } from './sampling-options.ts';
import { TokenReader } from './token-reader.ts';
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
   * checkpoint has a tokenizer, else token by token until `maxTokens`.
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
  readonly #reader: TokenReader;
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
    this.#reader = new TokenReader(runtime.gpu);
  }

  get tokens(): readonly number[] {
    return this.#context.tokens;
  }

  /** Bytes held on the GPU. */
  get sizeBytes(): number {
    return this.#context.sizeBytes;
  }

  evaluate(
    tokens: ArrayLike<number>,
    { logits = 'last' }: { readonly logits?: 'last' | 'all' } = {},
  ): Promise<Float32Array> {
    return this.#run(async () => {
      if (tokens.length === 0) throw new RangeError('evaluate() needs at least one token');
      this.#context.append(tokens);
      const rows = await this.#context.logits(logits === 'all' ? tokens.length : 1);
      this.#checkDisposed();
      return rows;
    });
  }

  generate(
    input: string | readonly Message[] | Uint32Array,
    options: GenerateOptions = {},
  ): Generation {
    if (input instanceof Uint32Array) return this.#generateOnce(input, options);
    return generateWithTools(
      (messages, once) => this.#generateOnce(messages, once),
      input,
      options,
    );
  }

  #generateOnce(input: readonly Message[] | Uint32Array, options: GenerateOptions): Generation {
    return new EventStream((push, signal) => {
      const startMs = performance.now();
      return this.#run(() => this.#generate(input, options, push, signal, startMs));
    }, options.signal);
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#onDispose(this);
    void this.#queue.run(async () => {
      this.#context.dispose();
      this.#reader.dispose();
    });
  }

  #run<T>(task: () => Promise<T>): Promise<T> {
    return this.#queue.run(async () => {
      this.#checkDisposed();
      this.#runtime.gpu.check();
      await this.#context.allocated();
      return task();
    });
  }

  #checkDisposed(): void {
    if (!this.#isDisposed) return;
    throw new OssicleError('disposed', 'The session was disposed of. Create another one.');
  }

  async #generate(
    input: readonly Message[] | Uint32Array,
    options: GenerateOptions,
    push: (event: GenerateEvent) => void,
    signal: AbortSignal,
    startMs: number,
  ): Promise<GenerateResult> {
    const tokenizer = this.#tokenizer;
    const isText = !(input instanceof Uint32Array);
    if (isText && !tokenizer) throw noTokenizer();
    const prompt = isText
      ? (tokenizer as CheckpointTokenizer).encodeConversation(input, options)
      : input;
    const context = this.#context;
    const maxTokens = this.#checkOptions(prompt, options);
    const sampling = parseSamplingOptions(options);
    const output = tokenizer && new HarmonyOutput(tokenizer.harmony, options);

    const reusedTokens = context.rewind(prompt);
    context.append(Array.from(prompt).slice(context.tokens.length));
    this.#writeSampling(encodeSamplingOptions(sampling), prompt);

    const accepted: number[] = [];
    const logprobs: TokenLogprobs[] = [];
    const report = (): void => {
      this.#checkDisposed();
      push({ type: 'prefill', processedTokens: context.evaluated, totalTokens: prompt.length });
    };
    let firstTokenMs: number | undefined;
    let reason: FinishReason = 'length';
    const prefillStartMs = performance.now();
    let prefillEndMs = prefillStartMs;
    try {
      report();
      const { kernels, weights, activations } = this.#runtime;
      await context.prefill(() => unembed(kernels, weights, activations, 1), report, signal);
      context.takeSnapshot();
      for await (const { token, logits } of this.#decode(
        maxTokens,
        options.logprobs !== undefined,
        accepted,
      )) {
        if (firstTokenMs === undefined) {
          firstTokenMs = performance.now();
          prefillEndMs = firstTokenMs;
        }
        accepted.push(token);
        if (logits) {
          const decode = (id: number): string => tokenizer?.decode([id]) ?? '';
          logprobs.push(tokenLogprobs(logits, token, options.logprobs ?? 0, decode));
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
      if (!signal.aborted || error !== signal.reason) throw error;
      reason = 'aborted';
    }
    for (const event of output?.finish() ?? []) push(event);
    const summary = output?.summary() ?? { text: '', reasoning: '', toolCalls: [], messages: [] };
    if (reason === 'stop' && summary.toolCalls.length > 0) reason = 'tool-calls';

    const endMs = performance.now();
    const completionTokens = accepted.length;
    const usage = { promptTokens: prompt.length, reusedTokens, completionTokens };
    const prefillMs = prefillEndMs - prefillStartMs;
    const decodeMs = endMs - (firstTokenMs ?? endMs);
    const timings = {
      timeToFirstTokenMs: (firstTokenMs ?? endMs) - startMs,
      prefillMs,
      decodeMs,
      prefillTokensPerSecond: perSecond(prompt.length - reusedTokens, prefillMs),
      decodeTokensPerSecond: perSecond(Math.max(0, completionTokens - 1), decodeMs),
    };
    push({ type: 'finish', reason, usage, timings });
    const json = options.responseFormat && parseJson(summary.text);
    return {
      ...summary,
      ...(json !== undefined && { json }),
      reason,
      usage,
      timings,
      ...(options.logprobs !== undefined && { logprobs }),
    };
  }

  /** Checks what has nothing to do with sampling; returns how many tokens may be generated. */
  #checkOptions(prompt: ArrayLike<number>, options: GenerateOptions): number {
    const { contextLength } = this.#runtime.shape;
    const { maxTokens = Infinity, logprobs = 0, stop = [] } = options;
    if (maxTokens !== Infinity && !(Number.isInteger(maxTokens) && maxTokens > 0)) {
      throw new RangeError(`maxTokens must be a whole number above 0, not ${maxTokens}`);
    }
    if (!(Number.isInteger(logprobs) && logprobs >= 0 && logprobs <= 20)) {
      throw new RangeError(`logprobs must be a whole number from 0 to 20, not ${logprobs}`);
    }
    if (stop.some((text) => typeof text !== 'string' || text === '')) {
      throw new TypeError('stop must be strings that are not empty');
    }
    if (prompt.length === 0) throw new RangeError('The prompt must have at least one token');
    if (prompt.length >= contextLength) {
      throw new OssicleError(
        'context-overflow',
        `The prompt has ${prompt.length} tokens, which leaves no room for an answer in a context of ${contextLength}. ` +
          'Shorten the conversation, or load the model with a larger contextLength.',
      );
    }
    return Math.min(maxTokens, contextLength - prompt.length);
  }

  #writeSampling(options: ArrayBuffer, prompt: ArrayLike<number>): void {
    const { gpu, shape, activations } = this.#runtime;
    const seen = new Uint32Array(Math.ceil(shape.vocabularySize / 32));
    for (let i = 0; i < prompt.length; i++) {
      const token = prompt[i] as number;
      seen[token >> 5] = (seen[token >> 5] as number) | (1 << (token & 31));
    }
    gpu.device.queue.writeBuffer(activations.sampling.options, 0, options);
    gpu.device.queue.writeBuffer(activations.sampling.seen, 0, seen);
  }

  /**
   * Samples tokens, each fed back on the GPU. Later steps are submitted before earlier tokens have arrived, unless
   * logits are wanted, too.
   *
   * @param accepted - What the caller has taken so far; recorded in the context when the iteration ends.
   */
  async *#decode(
    maxTokens: number,
    withLogits: boolean,
    accepted: readonly number[],
  ): AsyncGenerator<{ token: number; logits: Float32Array | undefined }, void, undefined> {
    const { kernels, activations } = this.#runtime;
    const { logits, sampling, tokens } = activations;
    const sample = kernels.sample(logits, sampling, tokens);
    let decode: readonly Dispatch[] = [];
    let step: readonly Dispatch[] = [];
    const arriving: Promise<number>[] = [];
    let sampled = 0;
    try {
      while (sampled < maxTokens || arriving.length > 0) {
        let logitsOfToken: Float32Array | undefined;
        if (withLogits) {
          if (sampled > 0) this.#submit(this.#context.decodeDispatches(sampled));
          logitsOfToken = await this.#readLogits(); // sampling may change them
          arriving.push(this.#submit(sample, true));
          sampled++;
        } else {
          while (sampled < maxTokens && this.#reader.isFree) {
            if (sampled > 0 && decode !== this.#context.decodeDispatches(sampled)) {
              decode = this.#context.decodeDispatches(sampled);
              step = [...decode, ...sample];
            }
            arriving.push(this.#submit(sampled === 0 ? sample : step, true));
            sampled++;
          }
        }
        yield { token: (await arriving.shift()) as number, logits: logitsOfToken };
      }
    } finally {
      // Steps under way write to buffers that the next call uses, too.
      await Promise.allSettled(arriving);
      this.#context.recordDecode(accepted, Math.max(0, sampled - 1));
    }
  }

  #submit(dispatches: readonly Dispatch[], withToken: true): Promise<number>;
  #submit(dispatches: readonly Dispatch[], withToken?: false): undefined;
  #submit(dispatches: readonly Dispatch[], withToken = false): Promise<number> | undefined {
    const { gpu, activations } = this.#runtime;
    gpu.check();
    const encoder = gpu.device.createCommandEncoder({ label: 'decode' });
    encode(encoder, dispatches);
    const read = withToken ? this.#reader.copy(encoder, activations.tokens) : undefined;
    gpu.device.queue.submit([encoder.finish()]);
    const token = read?.();
    token?.catch(() => undefined); // awaited in order; a later one may fail first
    return token;
  }

  async #readLogits(): Promise<Float32Array> {
    const { gpu, shape, activations } = this.#runtime;
    return new Float32Array(await readBuffer(gpu, activations.logits, 0, 4 * shape.vocabularySize));
  }
}

function perSecond(count: number, milliseconds: number): number {
  return milliseconds > 0 ? (count / milliseconds) * 1000 : 0;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the answer stands as text
  }
}
