import { OssicleError } from '../errors.ts';
import { readBuffer } from '../gpu/buffers.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { Operations } from '../kernels/operations.ts';
import type { Runtime } from '../model/runtime.ts';
import { type Constraint, FREE, type Guide, type Mask, maskOf } from './constraint/constraint.ts';
import { Adjustments, type Occurrences } from './control/adjustments.ts';
import {
  adjustsLogits,
  EXCLUDED,
  encodeSamplingOptions,
  MASKED_OFFSET,
  type SamplingOptions,
} from './control/sampling-options.ts';
import type { Context, DecodeProgress } from './conversation/context.ts';
import { SLOTS, TokenReader } from './token-reader.ts';

/** A token of an answer. */
export interface AnswerToken {
  readonly token: number;
  /** Whether it was not sampled. */
  readonly isForced?: boolean;
  /** The logits before it, f32 [vocabulary], without penalties and temperature; if they were asked for. */
  readonly logits?: Float32Array;
}

/** What {@link Decoder.decode} makes. */
export interface DecodeOptions {
  /** The most tokens. */
  readonly maxTokens: number;
  /** Guides the tokens. Default: all are free. */
  readonly constraint?: Constraint | undefined;
  /** Whether to read the logits of each token; then each step waits for the one before it. Default: false. */
  readonly withLogits?: boolean;
  /** Stops while forced tokens are evaluated; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/** Generates tokens after a prefill; each sampled one becomes the input of the next step without leaving the GPU. */
export class Decoder {
  readonly #runtime: Runtime;
  readonly #context: Context;
  readonly #reader: TokenReader;
  readonly #sample: readonly Dispatch[];
  #decode: readonly Dispatch[] = [];
  #decodeAndSample: readonly Dispatch[] = [];
  /** Of the generation so far, if its options change logits by token. */
  #adjustments: Adjustments | undefined;
  #logitBias: SamplingOptions['logitBias'] = new Map();
  /** Tokens whose sampling has been submitted since the last prefill. */
  #sampled = 0;
  /** Those of them that have been yielded, until the context has them. */
  readonly #yielded: number[] = [];
  /** The mask that sampling uses; `undefined` if any token may be sampled. */
  #mask: Mask | undefined;
  /** The mask that the GPU has. */
  #uploadedMask: Mask | undefined;
  /** Whether the logits after the last token are those of a prefill, or will be once the next step is submitted. */
  #isReady = true;

  constructor(runtime: Runtime, context: Context) {
    const { gpu, kernels, activations } = runtime;
    this.#runtime = runtime;
    this.#context = context;
    this.#reader = new TokenReader(gpu);
    const { logits, sampling, tokens } = activations;
    this.#sample = new Operations(kernels, 1).sample(logits, sampling, tokens);
  }

  /** What has been generated, but not yet recorded in the context. */
  get progress(): DecodeProgress {
    return { accepted: [...this.#yielded], steps: this.steps };
  }

  /** Decode steps submitted since the last prefill; each evaluates one sampled token. */
  get steps(): number {
    return Math.max(0, this.#sampled - 1);
  }

  /**
   * Starts a generation from the logits of a prefill, before or after it: uploads its sampling options and, if they
   * change logits by token, what they depend on.
   *
   * @throws RangeError if a token with a bias is not in the vocabulary.
   */
  start(options: SamplingOptions, occurrences: Occurrences): void {
    const { gpu, shape, activations } = this.#runtime;
    this.#adjustments = adjustsLogits(options)
      ? new Adjustments(shape.vocabularySize, options, occurrences)
      : undefined;
    this.#logitBias = options.logitBias;
    this.#uploadAdjustments();
    gpu.device.queue.writeBuffer(activations.sampling.options, 0, encodeSamplingOptions(options));
    this.#mask = undefined;
    this.#uploadedMask = undefined; // another session's may have taken its place
    this.#sampled = 0;
    this.#isReady = true;
  }

  /**
   * Yields the tokens of an answer, and appends them to the context. Forced tokens are evaluated in one pass, unless
   * logits are asked for; then the step samples from the one that is forced.
   *
   * @throws {@link OssicleError} `gpu-error` if the logits are not numbers. RangeError if logitBias excludes all tokens.
   */
  async *decode({
    maxTokens,
    constraint,
    withLogits = false,
    signal,
  }: DecodeOptions): AsyncGenerator<AnswerToken, void, undefined> {
    let left = maxTokens;
    const next = (): Guide => constraint?.next() ?? FREE;
    const take = (token: number): void => {
      this.#adjustments?.count(token);
      constraint?.push(token);
      left--;
    };
    try {
      while (left > 0) {
        const guide = next();
        if (guide.kind === 'force' && !withLogits) {
          this.#settle();
          this.#isReady = false;
          for (const token of guide.tokens.slice(0, left)) {
            this.#context.append([token]);
            take(token);
            yield { token, isForced: true };
          }
          continue;
        }
        await this.#prepare(signal);
        if (guide.kind === 'free' && !withLogits) {
          this.#setMask(guide.mask);
          for await (const token of this.pipelined(left)) {
            this.#yielded.push(token);
            take(token);
            yield { token };
            const after = next();
            if (after.kind !== 'free' || after.mask !== guide.mask) break;
          }
          if (this.#sampled > this.#yielded.length) this.#settle(); // steps in flight came too early
        } else {
          const sampled = await this.step({ withLogits, mask: () => this.#maskOf(guide) });
          this.#yielded.push(sampled.token);
          take(sampled.token);
          yield sampled;
        }
      }
    } finally {
      this.#settle();
    }
  }

  /**
   * Samples up to `count` tokens. Submits later steps before earlier tokens have arrived, so that the GPU never waits for
   * the CPU; no more of them than can be read back, however slowly the tokens are taken. When iteration ends early, first
   * waits for the steps in flight: they write to buffers that the next call uses.
   *
   * @throws {@link OssicleError} `gpu-error` if the logits are not numbers. RangeError if logitBias excludes all tokens.
   */
  async *pipelined(count: number): AsyncGenerator<number, void, undefined> {
    const inFlight: Promise<number>[] = [];
    const end = this.#sampled + count;
    try {
      while (this.#sampled < end || inFlight.length > 0) {
        while (this.#sampled < end && inFlight.length < SLOTS) {
          await this.#context.reserve(this.#context.evaluated + this.#sampled);
          inFlight.push(this.#submitSampling(this.#sampled === 0 ? this.#sample : this.#step()));
        }
        yield this.#checked(await (inFlight.shift() as Promise<number>));
      }
    } finally {
      await Promise.allSettled(inFlight);
    }
  }

  /**
   * Samples one token, after the token before it has been evaluated.
   *
   * @param mask - Computes the tokens that may come while the GPU computes the logits. Default: all.
   * @throws {@link OssicleError} `gpu-error` if the logits are not numbers. RangeError if logitBias excludes all tokens.
   */
  async step({
    withLogits = false,
    mask,
  }: {
    readonly withLogits?: boolean;
    readonly mask?: () => Mask | undefined;
  }): Promise<AnswerToken> {
    const { gpu, scheduler, shape, activations } = this.#runtime;
    await this.#context.reserve(this.#context.evaluated + this.#sampled);
    if (this.#sampled > 0) {
      scheduler.submit('decode', this.#context.decodeDispatches(this.#sampled), this.#keys());
    }
    const bytes = withLogits
      ? await readBuffer(gpu, activations.logits, 0, 4 * shape.vocabularySize)
      : undefined;
    this.#setMask(mask?.());
    const token = this.#checked(await this.#submitSampling(this.#sample));
    return { token, ...(bytes && { logits: new Float32Array(bytes) }) };
  }

  /** Releases its buffers. */
  dispose(): void {
    this.#reader.dispose();
  }

  /** Appends the tokens of the steps since the last prefill to the context. */
  #settle(): void {
    if (this.#sampled > 0) this.#isReady = false;
    this.#context.recordDecode(this.#yielded.splice(0), this.steps);
    this.#sampled = 0;
  }

  /** Evaluates the tokens that have not been evaluated since the last step, at least the last one, for its logits. */
  async #prepare(signal: AbortSignal | undefined): Promise<void> {
    if (this.#isReady) return;
    this.#context.reopen();
    await this.#context.prefill(undefined, signal);
    this.#uploadAdjustments(); // steps whose tokens were dropped have counted them
    this.#isReady = true;
  }

  /** The tokens that a guide allows as the next one; `undefined` for all. */
  #maskOf(guide: Guide): Mask | undefined {
    if (guide.kind === 'free') return guide.mask;
    return guide.kind === 'mask'
      ? guide.mask()
      : maskOf(guide.tokens.slice(0, 1), this.#runtime.shape.vocabularySize);
  }

  /** Has the next steps sample from the tokens of a mask. Does not affect earlier submits. */
  #setMask(mask: Mask | undefined): void {
    const { gpu, activations } = this.#runtime;
    const { queue } = gpu.device;
    const { sampling } = activations;
    const isMasked = mask !== undefined;
    if (isMasked !== (this.#mask !== undefined)) {
      queue.writeBuffer(sampling.options, MASKED_OFFSET, Uint32Array.of(Number(isMasked)));
    }
    if (mask && mask !== this.#uploadedMask) {
      queue.writeBuffer(sampling.mask, 0, mask);
      this.#uploadedMask = mask;
    }
    this.#mask = mask;
  }

  /** Whether no token is left that the mask allows. */
  #isAllExcluded(): boolean {
    const { vocabularySize } = this.#runtime.shape;
    for (let id = 0; id < vocabularySize; id++) {
      const isAllowed = !this.#mask || (((this.#mask[id >>> 5] as number) >>> (id & 31)) & 1) === 1;
      if (isAllowed && (this.#logitBias.get(id) ?? 0) > EXCLUDED) return false;
    }
    return true;
  }

  #uploadAdjustments(): void {
    const { gpu, activations } = this.#runtime;
    if (!this.#adjustments) return;
    gpu.device.queue.writeBuffer(activations.sampling.adjustments, 0, this.#adjustments.bytes);
  }

  /** Evaluates the last token and samples the next. */
  #step(): readonly Dispatch[] {
    const decode = this.#context.decodeDispatches(this.#sampled);
    if (decode !== this.#decode) {
      this.#decode = decode;
      this.#decodeAndSample = [...decode, ...this.#sample];
    }
    return this.#decodeAndSample;
  }

  /** Submits dispatches that end in sampling, and reads the token back. */
  #submitSampling(dispatches: readonly Dispatch[]): Promise<number> {
    const { scheduler, activations } = this.#runtime;
    let read: (() => Promise<number>) | undefined;
    const measure = scheduler.submit('decode', dispatches, this.#keys(), (encoder) => {
      read = this.#reader.copy(encoder, activations.tokens);
    });
    this.#sampled++;
    const token = (read as () => Promise<number>)();
    void measure(token);
    return token;
  }

  /** Keys that the next step's attention sees. */
  #keys(): number {
    return this.#context.evaluated + this.#sampled;
  }

  #checked(token: number): number {
    if (token < this.#runtime.shape.vocabularySize) return token;
    if (this.#isAllExcluded()) {
      throw new RangeError(
        'logitBias excludes every token that may come next, given tools and responseFormat; exclude fewer',
      );
    }
    throw new OssicleError(
      'gpu-error',
      "The model's logits are not numbers. Either its weights are damaged, or its values exceed the range of float16: " +
        "verify the stored model, or load it with kvCache: 'f32' and dense: 'bf16'.",
    );
  }
}
