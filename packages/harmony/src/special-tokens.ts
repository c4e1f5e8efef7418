import type { Tokenizer } from './tokenizer.ts';

/** The ids of the tokens that give a Harmony conversation its form. They differ between vocabularies. */
export interface SpecialTokens {
  /** `<|start|>`: a message begins with its header. */
  readonly start: number;
  /** `<|message|>`: the header ends, the content begins. */
  readonly message: number;
  /** `<|end|>`: the message ends. */
  readonly end: number;
  /** `<|call|>`: the message ends, and calls a tool. */
  readonly call: number;
  /** `<|return|>`: the message ends, and the model is done. */
  readonly return: number;
  /** `<|channel|>`: the channel's name follows. */
  readonly channel: number;
  /** `<|constrain|>`: the content's type follows. */
  readonly constrain: number;
  /** `<|endoftext|>`, where the vocabulary has it. */
  readonly endOfText: number | undefined;
}

/**
 * Looks up the special tokens by name.
 *
 * @throws Error where the vocabulary lacks one that Harmony needs.
 */
export function specialTokens(tokenizer: Tokenizer): SpecialTokens {
  const find = (name: string): number => {
    const id = tokenizer.tokenId(name);
    if (id === undefined) {
      throw new Error(
        `The tokenizer has no token ${name}; it is not the tokenizer of a Harmony model.`,
      );
    }
    return id;
  };
  return {
    start: find('<|start|>'),
    message: find('<|message|>'),
    end: find('<|end|>'),
    call: find('<|call|>'),
    return: find('<|return|>'),
    channel: find('<|channel|>'),
    constrain: find('<|constrain|>'),
    endOfText: tokenizer.tokenId('<|endoftext|>'),
  };
}

/**
 * The tokens at which to stop sampling: `<|return|>`, `<|call|>` and, where there is one, `<|endoftext|>`. The model
 * goes on with another message after `<|end|>`.
 */
export function stopTokens(tokenizer: Tokenizer): number[] {
  const special = specialTokens(tokenizer);
  const tokens = [special.return, special.call];
  if (special.endOfText !== undefined) tokens.push(special.endOfText);
  return tokens;
}
