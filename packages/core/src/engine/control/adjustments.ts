import type { SamplingOptions } from './sampling-options.ts';

/** Marks tokens that no penalty applies to: occurrences that stay negative however often they are counted. */
const EXEMPT = -(2 ** 31);

/** The tokens on which {@link Adjustments} depend. */
export interface Occurrences {
  readonly prompt: ArrayLike<number>;
  /** What the answer has already, if a generation goes on. */
  readonly answer?: ArrayLike<number>;
  /** Tokens that no penalty applies to. */
  readonly exempt?: readonly number[];
}

/** What changes the logits of tokens in one generation. The GPU counts what it samples; this counts what the answer has. */
export class Adjustments {
  /** `Adjustment`s of `shaders/lib/sampling.wgsl`, [vocabulary]. */
  readonly bytes: ArrayBuffer;
  readonly #occurrences: Int32Array;

  /** @throws RangeError if a token with a bias is not in the vocabulary. */
  constructor(
    vocabularySize: number,
    { logitBias }: SamplingOptions,
    { prompt, answer = [], exempt = [] }: Occurrences,
  ) {
    this.bytes = new ArrayBuffer(8 * vocabularySize);
    this.#occurrences = new Int32Array(this.bytes);
    const biases = new Float32Array(this.bytes);
    for (const [id, bias] of logitBias) {
      if (id >= vocabularySize) {
        throw new RangeError(
          `logitBias has the token ${id}; ids of this model run from 0 to ${vocabularySize - 1}`,
        );
      }
      biases[2 * id] = bias;
    }
    for (const id of exempt) this.#occurrences[2 * id + 1] = EXEMPT;
    for (let i = 0; i < prompt.length; i++) this.#add(prompt[i] as number, 0);
    for (let i = 0; i < answer.length; i++) this.count(answer[i] as number);
  }

  /** Counts a token of the answer. */
  count(token: number): void {
    this.#add(token, 2);
  }

  #add(token: number, count: number): void {
    const at = 2 * token + 1;
    this.#occurrences[at] = ((this.#occurrences[at] as number) + count) | 1;
  }
}
