import { DEAD, type GrammarAutomaton } from './automaton.ts';

/** The bytes of a vocabulary's tokens, in an order in which neighbors share their beginnings. */
export class Vocabulary {
  /** Tokens in the vocabulary, control tokens included. */
  readonly size: number;
  /** Bytes of the longest token. */
  readonly longest: number;
  readonly #ids: Uint32Array;
  /** The bytes of all tokens, one after the other in their order. */
  readonly #bytes: Uint8Array;
  /** Where each token's bytes begin; one more than there are tokens. */
  readonly #offsets: Uint32Array;
  /** How many bytes each token shares with the one before it. */
  readonly #shared: Uint16Array;

  /** @param bytesOf - The bytes of each token by its id; `undefined` for control tokens, which texts do not have. */
  constructor(bytesOf: readonly (Uint8Array | undefined)[]) {
    this.size = bytesOf.length;
    const tokens = bytesOf
      .flatMap((bytes, id) => (bytes && bytes.length > 0 ? [{ id, bytes }] : []))
      .sort((a, b) => compare(a.bytes, b.bytes));
    this.#ids = Uint32Array.from(tokens, ({ id }) => id);
    this.#offsets = new Uint32Array(tokens.length + 1);
    this.#shared = new Uint16Array(tokens.length);
    let total = 0;
    let longest = 0;
    for (const [i, { bytes }] of tokens.entries()) {
      total += bytes.length;
      longest = Math.max(longest, bytes.length);
      this.#offsets[i + 1] = total;
      this.#shared[i] = i === 0 ? 0 : sharedLength(tokens[i - 1]!.bytes, bytes);
    }
    this.longest = longest;
    this.#bytes = new Uint8Array(total);
    for (const [i, { bytes }] of tokens.entries()) this.#bytes.set(bytes, this.#offsets[i]);
  }

  /** The tokens that may come in a state, one bit for each id, lowest bits first. */
  mask(automaton: GrammarAutomaton, state: number): Uint32Array<ArrayBuffer> {
    const [ids, bytes, offsets, shared] = [this.#ids, this.#bytes, this.#offsets, this.#shared];
    const mask = new Uint32Array(Math.ceil(this.size / 32));
    /** The states after the first bytes of the current token. */
    const path = new Int32Array(this.longest + 1);
    path[0] = state;
    let dead = Infinity; // how many bytes it takes to the dead state
    for (let i = 0; i < ids.length; i++) {
      let length = shared[i] as number;
      if (length >= dead) continue;
      dead = Infinity;
      const begin = offsets[i] as number;
      const end = (offsets[i + 1] as number) - begin;
      let at = path[length] as number;
      while (length < end) {
        at = automaton.next(at, bytes[begin + length] as number);
        length++;
        path[length] = at;
        if (at === DEAD) {
          dead = length;
          break;
        }
      }
      if (at !== DEAD) {
        const id = ids[i] as number;
        mask[id >>> 5]! |= 1 << (id & 31);
      }
    }
    return mask;
  }
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const shared = sharedLength(a, b);
  return (a[shared] ?? -1) - (b[shared] ?? -1);
}

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}
