import { OssicleError } from '../errors.ts';
import { readBuffer } from '../gpu/buffers.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { Operations } from '../kernels/operations.ts';
import type { Context } from './context.ts';
import { encodeAdjustments, type Occurrences } from './control/adjustments.ts';
import {
  adjustsLogits,
  encodeSamplingOptions,
  type SamplingOptions,
} from './control/sampling-options.ts';
import type { Runtime } from './runtime.ts';
import { TokenReader } from './token-reader.ts';

/** A token and the logits that it was sampled from. */
export interface SampledToken {
  readonly token: number;
  /** f32 [vocabulary], before penalties and temperature. */
  readonly logits: Float32Array;
}

/**
 * Samples tokens after a prefill; each becomes the input of the next step without leaving the GPU. The context is left
 * as it is: the caller records the tokens that it accepts, together with {@link Decoder.steps}.
 */
export class Decoder {
  readonly #runtime: Runtime;
  readonly #context: Context;
  readonly #reader: TokenReader;
  readonly #sample: readonly Dispatch[];
  #decode: readonly Dispatch[] = [];
  #decodeAndSample: readonly Dispatch[] = [];
  /** Tokens whose sampling has been submitted. */
  #sampled = 0;

  constructor(runtime: Runtime, context: Context) {
    const { gpu, kernels, activations } = runtime;
    this.#runtime = runtime;
    this.#context = context;
    this.#reader = new TokenReader(gpu);
    const { logits, sampling, tokens } = activations;
    this.#sample = new Operations(kernels, 1).sample(logits, sampling, tokens);
  }

  /** Decode steps submitted since {@link Decoder.start}; each evaluates one generated token. */
  get steps(): number {
    return Math.max(0, this.#sampled - 1);
  }

  /**
   * Starts a generation: uploads its sampling options and, if they change logits by token, what they depend on.
   *
   * @throws RangeError if a token with a bias is not in the vocabulary.
   */
  start(options: SamplingOptions, occurrences: Occurrences): void {
    const { gpu, shape, activations } = this.#runtime;
    const { queue } = gpu.device;
    const { sampling } = activations;
    if (adjustsLogits(options)) {
      const adjustments = encodeAdjustments(shape.vocabularySize, options, occurrences);
      queue.writeBuffer(sampling.adjustments, 0, adjustments);
    }
    queue.writeBuffer(sampling.options, 0, encodeSamplingOptions(options));
    this.#sampled = 0;
  }

  /**
   * Yields up to `maxTokens` tokens. Submits later steps before earlier tokens have arrived, so that the GPU never
   * waits for the CPU. When iteration ends early, first waits for the steps in flight: they write to buffers that the
   * next call uses.
   *
   * @throws {@link OssicleError} `gpu-error` if the logits are not numbers.
   */
  async *pipelined(maxTokens: number): AsyncGenerator<number, void, undefined> {
    const inFlight: Promise<number>[] = [];
    try {
      while (this.#sampled < maxTokens || inFlight.length > 0) {
        while (this.#sampled < maxTokens && this.#reader.isFree) {
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
   * Yields up to `maxTokens` tokens with their logits, one step at a time: a step is submitted only when its token is
   * asked for.
   *
   * @throws {@link OssicleError} `gpu-error` if the logits are not numbers.
   */
  async *stepwise(maxTokens: number): AsyncGenerator<SampledToken, void, undefined> {
    const { gpu, scheduler, shape, activations } = this.#runtime;
    while (this.#sampled < maxTokens) {
      await this.#context.reserve(this.#context.evaluated + this.#sampled);
      if (this.#sampled > 0) {
        scheduler.submit('decode', this.#context.decodeDispatches(this.#sampled), this.#keys());
      }
      const bytes = await readBuffer(gpu, activations.logits, 0, 4 * shape.vocabularySize);
      const token = this.#checked(await this.#submitSampling(this.#sample));
      yield { token, logits: new Float32Array(bytes) };
    }
  }

  /** Releases its buffers. */
  dispose(): void {
    this.#reader.dispose();
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
    throw new OssicleError(
      'gpu-error',
      "The model's logits are not numbers. Either its weights are damaged, or its values exceed the range of float16: " +
        "verify the stored model, or load it with kvCache: 'f32' and dense: 'bf16'.",
    );
  }
}
