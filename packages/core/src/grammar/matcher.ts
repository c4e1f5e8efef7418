import { DEAD, GrammarAutomaton } from './automaton.ts';
import type { Grammar } from './grammar.ts';
import type { Vocabulary } from './vocabulary.ts';

/** The automaton forgets its states when it takes more: what is needed of them is made again. */
const MAX_AUTOMATON_BYTES = 16 * 2 ** 20;

/** Masks that are kept: 25 kB each for 200,000 tokens. */
const MAX_MASKS = 64;

/** Follows a text of a grammar, token by token. */
export class GrammarMatcher {
  readonly #vocabulary: Pick<Vocabulary, 'mask' | 'longest'>;
  readonly #masks = new Map<number, Uint32Array<ArrayBuffer>>();
  readonly #grammar: Grammar;
  #automaton: GrammarAutomaton;
  /** The state at the beginning of a text; `undefined` if it has been forgotten. */
  #start: number | undefined;
  #state: number;

  constructor(grammar: Grammar, vocabulary: Pick<Vocabulary, 'mask' | 'longest'>) {
    this.#vocabulary = vocabulary;
    this.#grammar = grammar;
    this.#automaton = new GrammarAutomaton(grammar);
    this.#start = this.#automaton.start;
    this.#state = this.#automaton.start;
  }

  /** Begins another text; what is known of the grammar's states stays. */
  restart(): void {
    if (this.#start === undefined) {
      this.#automaton = new GrammarAutomaton(this.#grammar);
      this.#start = this.#automaton.start;
      this.#masks.clear();
    }
    this.#state = this.#start;
  }

  /** About how many bytes it takes, with its masks, each of which may have an extended copy; without the grammar. */
  get sizeBytes(): number {
    const [mask] = this.#masks.values();
    return this.#automaton.sizeBytes + 2 * this.#masks.size * (mask?.byteLength ?? 0);
  }

  /** Whether the text may end here, and cannot go on. */
  get isComplete(): boolean {
    return this.isAccepting && this.#bytesAfter(this.#state, 1).length === 0;
  }

  /** Whether the text may end here. */
  get isAccepting(): boolean {
    return this.#automaton.isAccepting(this.#state);
  }

  /** The tokens that may come, one bit for each id, lowest bits first. It is valid until the next call. */
  mask(): Uint32Array<ArrayBuffer> {
    const state = this.#automaton.shared(this.#state, this.#vocabulary.longest);
    const found = this.#masks.get(state);
    if (found) return found;
    const mask = this.#vocabulary.mask(this.#automaton, state);
    if (this.#masks.size >= MAX_MASKS)
      this.#masks.delete(this.#masks.keys().next().value as number);
    this.#masks.set(state, mask);
    return mask;
  }

  /**
   * Takes the bytes of a token.
   *
   * @returns Whether they are allowed; if not, nothing is taken.
   */
  accept(bytes: Uint8Array): boolean {
    let state = this.#state;
    for (const byte of bytes) state = this.#automaton.next(state, byte);
    if (state === DEAD) return false;
    this.#state = state;
    if (this.#automaton.sizeBytes > MAX_AUTOMATON_BYTES) {
      this.#state = this.#automaton.forget(state);
      this.#start = undefined;
      this.#masks.clear();
    }
    return true;
  }

  /** The bytes that must come next, at most so many; none if there is a choice, or if the text may end. */
  forced(most = 256): Uint8Array {
    const bytes: number[] = [];
    for (let state = this.#state; bytes.length < most && !this.#automaton.isAccepting(state); ) {
      const byte = this.#onlyByte(state);
      if (byte === undefined) break;
      bytes.push(byte);
      state = this.#automaton.next(state, byte);
    }
    return Uint8Array.from(bytes);
  }

  #onlyByte(state: number): number | undefined {
    const [only, ...others] = this.#bytesAfter(state, 2);
    return others.length === 0 ? only : undefined;
  }

  /** The first bytes, at most so many, that may follow a state. */
  #bytesAfter(state: number, most: number): number[] {
    const found: number[] = [];
    for (let byte = 0; byte < 256 && found.length < most; byte++) {
      if (this.#automaton.next(state, byte) !== DEAD) found.push(byte);
    }
    return found;
  }
}
