import type { GrammarMatcher } from '../../grammar/matcher.ts';
import { type Constraint, FREE, type Guide } from './constraint.ts';
import type { HarmonyVocabulary } from './harmony-vocabulary.ts';

/** A message's content that follows a grammar, up to the token that ends the message. */
export class GrammarContent implements Constraint {
  readonly #vocabulary: HarmonyVocabulary;
  readonly #matcher: GrammarMatcher;
  readonly #end: number;
  #hasLeft = false;

  /**
   * @param matcher - Begins a text.
   * @param end - The control token that ends the message where the grammar allows it.
   */
  constructor(vocabulary: HarmonyVocabulary, matcher: GrammarMatcher, end: number) {
    this.#vocabulary = vocabulary;
    this.#matcher = matcher;
    this.#end = end;
  }

  /** Whether tokens have come that the grammar does not allow. */
  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  next(): Guide {
    const [matcher, end] = [this.#matcher, this.#end];
    if (this.#hasLeft) return FREE;
    if (matcher.isComplete) return { kind: 'force', tokens: [end] };
    const tokens = this.#forced();
    if (tokens.length > 0) return { kind: 'force', tokens };
    const mask = (): ReturnType<HarmonyVocabulary['and']> =>
      matcher.isAccepting ? this.#vocabulary.and(matcher.mask(), end) : matcher.mask();
    return { kind: 'mask', mask };
  }

  push(token: number): void {
    const bytes = this.#vocabulary.tokenizer.tokenBytes(token);
    if (bytes.length === 0 || !this.#matcher.accept(bytes)) this.#hasLeft = true;
  }

  /**
   * The tokens of the only text that may come, as the tokenizer writes it; the last one is left to the model, which may
   * choose a longer one.
   */
  #forced(): number[] {
    const bytes = this.#matcher.forced();
    // The rest of a character has no tokens of its own.
    if (((bytes[0] ?? 0) & 0xc0) === 0x80) return [];
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes, { stream: true });
    return this.#vocabulary.tokenizer.encode(text).slice(0, -1);
  }
}
