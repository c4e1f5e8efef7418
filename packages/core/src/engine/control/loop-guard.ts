/** The longest cycle that counts, in tokens. */
const MAX_CYCLE = 256;

/**
 * How many tokens at the end of an answer must repeat a cycle. Tables, lists and code have repeated lines, too, and
 * small matrices of zeros are cycles: a loop is told from those by its length alone.
 */
const LOOP_TOKENS = 2048;

/** Detects an answer that repeats itself word for word, as models do that cannot find the end of their reasoning. */
export class LoopGuard {
  /** The last tokens, each at its index modulo {@link MAX_CYCLE}. */
  readonly #recent = new Int32Array(MAX_CYCLE).fill(-1);
  /** For each length of a cycle, less one: how many of the last tokens are the same as those that many before. */
  readonly #repeated = new Int32Array(MAX_CYCLE);
  #count = 0;

  /** Takes the next token. Returns whether the last {@link LOOP_TOKENS} repeat a cycle of at most {@link MAX_CYCLE}. */
  push(token: number): boolean {
    let isLoop = false;
    for (let length = 1; length <= MAX_CYCLE; length++) {
      const isSame = this.#recent[(this.#count + MAX_CYCLE - length) % MAX_CYCLE] === token;
      const repeated = isSame ? (this.#repeated[length - 1] as number) + 1 : 0;
      this.#repeated[length - 1] = repeated;
      if (repeated + length >= LOOP_TOKENS) isLoop = true;
    }
    this.#recent[this.#count++ % MAX_CYCLE] = token;
    return isLoop;
  }
}
