/** A set of tokens: one bit for each id of the model's vocabulary, lowest bits first. */
export type Mask = Uint32Array<ArrayBuffer>;

/** What may come next in an answer. */
export type Guide =
  | {
      /** The model decides, and steps are pipelined: the same guide must hold until a token changes it. */
      readonly kind: 'free';
      /** The tokens that may come; another set is another object. Default: all. */
      readonly mask?: Mask;
    }
  | {
      /** The next token decides what may come after it, so the next step waits for it. */
      readonly kind: 'mask';
      /** Computes the tokens that may come, at least one, while the GPU computes the logits. */
      readonly mask: () => Mask;
    }
  | {
      /** Only these may come: they are evaluated in one pass, and not sampled. */
      readonly kind: 'force';
      readonly tokens: readonly number[];
    };

/** Guides the tokens of one answer. */
export interface Constraint {
  /** What may come next. It is asked after every token, so a free guide must be cheap. */
  next(): Guide;
  /** Takes the next token of the answer, sampled or forced. */
  push(token: number): void;
}

/** The mask of some tokens. */
export function maskOf(tokens: Iterable<number>, vocabularySize: number): Mask {
  const mask = new Uint32Array(Math.ceil(vocabularySize / 32));
  for (const token of tokens)
    mask[token >>> 5] = (mask[token >>> 5] as number) | (1 << (token & 31));
  return mask;
}

/** Anything may come. */
export const FREE: Guide = { kind: 'free' };
