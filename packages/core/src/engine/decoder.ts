import { OssicleError } from '../errors.ts';
import { readBuffer } from '../gpu/buffers.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { encode } from '../gpu/recorder.ts';
import type { Context } from './context.ts';
import type { Runtime } from './runtime.ts';
import { encodeSamplingOptions, type SamplingOptions } from './sampling-options.ts';
import { TokenReader } from './token-reader.ts';

/** Samples tokens after a prefill, each fed back on the GPU. */
export class Decoder {
  readonly #runtime: Runtime;
  readonly #context: Context;
  readonly #reader: TokenReader;

  constructor(runtime: Runtime, context: Context) {
    this.#runtime = runtime;
    this.#context = context;
    this.#reader = new TokenReader(runtime.gpu);
  }

  /** Tells the sampling kernels their options, and which tokens have occurred. */
  prepare(options: SamplingOptions, prompt: ArrayLike<number>): void {
    const { gpu, shape, activations } = this.#runtime;
    const seen = new Uint32Array(Math.ceil(shape.vocabularySize / 32));
    for (let i = 0; i < prompt.length; i++) {
      const token = prompt[i] as number;
      seen[token >> 5] = (seen[token >> 5] as number) | (1 << (token & 31));
    }
    gpu.device.queue.writeBuffer(activations.sampling.options, 0, encodeSamplingOptions(options));
    gpu.device.queue.writeBuffer(activations.sampling.seen, 0, seen);
  }

  /**
   * Samples tokens, each fed back on the GPU. Later steps are submitted before earlier tokens have arrived, unless
   * logits are wanted, too.
   *
   * @param accepted - What the caller has taken so far; recorded in the context when the iteration ends.
   * @throws {@link OssicleError} `gpu-error` where the logits are no numbers.
   */
  async *decode(
    maxTokens: number,
    withLogits: boolean,
    accepted: readonly number[],
  ): AsyncGenerator<{ token: number; logits: Float32Array | undefined }, void, undefined> {
    const { kernels, activations, shape } = this.#runtime;
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
        const token = (await arriving.shift()) as number;
        if (token >= shape.vocabularySize) throw noNumbers();
        yield { token, logits: logitsOfToken };
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

  /** Releases its buffers. */
  dispose(): void {
    this.#reader.dispose();
  }
}

function noNumbers(): OssicleError {
  return new OssicleError(
    'gpu-error',
    "The model's logits are not numbers. Its weights are damaged, or they take values that float16 cannot hold: check the " +
      "stored model, or load it with kvCache: 'f32' and dense: 'bf16'.",
  );
}
