import { type SpecialTokens, specialTokens, type Tokenizer } from '@ossicle/harmony';
import type { GrammarAutomaton } from '../../grammar/automaton.ts';
import { Vocabulary } from '../../grammar/vocabulary.ts';
import { type Mask, maskOf } from './constraint.ts';

/** How many masks of tokens are kept. */
const MAX_MASKS = 64;

/** The tokens of a model that writes Harmony, and sets of them. Equal sets that are kept are the same object. */
export class HarmonyVocabulary {
  readonly tokenizer: Tokenizer;
  readonly ids: SpecialTokens;
  /** Tokens of the model. The tokenizer may have fewer. */
  readonly size: number;
  readonly #masks = new Map<string, Mask>();
  readonly #extended = new WeakMap<Mask, Mask>();
  #vocabulary: Vocabulary | undefined;

  constructor(tokenizer: Tokenizer, size: number) {
    this.tokenizer = tokenizer;
    this.ids = specialTokens(tokenizer);
    this.size = size;
  }

  /** Bytes of the longest token. */
  get longest(): number {
    return this.#texts.longest;
  }

  /** The tokens whose bytes may come in a state of a grammar. */
  mask(automaton: GrammarAutomaton, state: number): Mask {
    return this.#texts.mask(automaton, state);
  }

  /** Made when it is first used, as it takes a moment. */
  get #texts(): Vocabulary {
    const bytesOf = (_: unknown, id: number): Uint8Array | undefined =>
      this.tokenizer.isSpecial(id) ? undefined : this.tokenizer.tokenBytes(id);
    this.#vocabulary ??= new Vocabulary(Array.from({ length: this.size }, bytesOf));
    return this.#vocabulary;
  }

  /** Some tokens. */
  only(tokens: readonly number[]): Mask {
    return this.#keep(`only ${tokens}`, () => maskOf(tokens, this.size));
  }

  /** All text, and some control tokens. */
  textAnd(controls: readonly number[]): Mask {
    return this.#keep(`text and ${controls}`, () => {
      const all = Array.from({ length: this.size }, (_, id) => id);
      const isAllowed = (id: number) => !this.tokenizer.isSpecial(id) || controls.includes(id);
      return maskOf(all.filter(isAllowed), this.size);
    });
  }

  /** The tokens of a mask, and one more, which is the same for each mask. */
  and(mask: Mask, token: number): Mask {
    const found = this.#extended.get(mask);
    if (found) return found;
    const extended = mask.slice();
    extended[token >>> 5] = (extended[token >>> 5] as number) | (1 << (token & 31));
    this.#extended.set(mask, extended);
    return extended;
  }

  #keep(key: string, make: () => Mask): Mask {
    const found = this.#masks.get(key);
    if (found) return found;
    if (this.#masks.size === MAX_MASKS) this.#masks.clear();
    const mask = make();
    this.#masks.set(key, mask);
    return mask;
  }
}
