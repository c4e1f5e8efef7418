import type { SamplingOptions } from './sampling-options.ts';

/** Marks tokens that no penalty applies to: occurrences that stay negative however often they are counted. */
const EXEMPT = -(2 ** 31);

/** The tokens on which {@link encodeAdjustments} depends. */
export interface Occurrences {
  readonly prompt: ArrayLike<number>;
  readonly answer?: readonly number[];
  /** Those that no penalty applies to. */
  readonly exempt?: readonly number[];
}

/**
 * Encodes the `Adjustment`s of `shaders/lib/sampling.wgsl`, [vocabulary]. Sampling counts the tokens that follow.
 *
 * @throws RangeError if a token with a bias is not in the vocabulary.
 */
export function encodeAdjustments(
  vocabularySize: number,
  { logitBias }: SamplingOptions,
  { prompt, answer = [], exempt = [] }: Occurrences,
): ArrayBuffer {
  const biases = new Float32Array(2 * vocabularySize);
  const occurrences = new Int32Array(biases.buffer);
  for (const [id, bias] of logitBias) {
    if (id >= vocabularySize) {
      throw new RangeError(
        `logitBias has the token ${id}; ids of this model run from 0 to ${vocabularySize - 1}`,
      );
    }
    biases[2 * id] = bias;
  }
  for (const id of exempt) occurrences[2 * id + 1] = EXEMPT;
  for (let i = 0; i < prompt.length; i++) {
    const at = 2 * (prompt[i] as number) + 1;
    occurrences[at] = (occurrences[at] as number) | 1;
  }
  for (const id of answer) {
    const at = 2 * id + 1;
    occurrences[at] = ((occurrences[at] as number) + 2) | 1;
  }
  return biases.buffer;
}
