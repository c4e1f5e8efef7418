import type { Tokenizer } from './tokenizer/tokenizer.ts';

/** Ids of the control tokens that structure a Harmony conversation. They differ between vocabularies. */
export interface SpecialTokens {
  /** `<|start|>`: starts a message; the header follows. */
  readonly start: number;
  /** `<|message|>`: ends the header; the content follows. */
  readonly message: number;
  /** `<|end|>`: ends a message. */
  readonly end: number;
  /** `<|call|>`: ends a message that calls a tool. */
  readonly call: number;
  /** `<|return|>`: ends the last message of the model's turn. */
  readonly return: number;
  /** `<|channel|>`: the channel name follows. */
  readonly channel: number;
  /** `<|constrain|>`: the content type follows. */
  readonly constrain: number;
  /** `<|endoftext|>`; `undefined` if the vocabulary lacks it. */
  readonly endOfText: number | undefined;
}

/**
 * Looks up the special tokens by name.
 *
 * @throws Error if the vocabulary lacks one that Harmony needs.
 */
export function specialTokens(tokenizer: Tokenizer): SpecialTokens {
  const find = (name: string): number => {
    const id = tokenizer.tokenId(name);
    if (id === undefined) {
      throw new Error(
        `The tokenizer has no ${name} token; it is not the tokenizer of a Harmony model.`,
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
 * Returns the tokens that end a turn: `<|return|>`, `<|call|>` and, if the vocabulary has it, `<|endoftext|>`. After
 * `<|end|>` the model continues with another message.
 */
export function stopTokens(tokenizer: Tokenizer): number[] {
  const special = specialTokens(tokenizer);
  const tokens = [special.return, special.call];
  if (special.endOfText !== undefined) tokens.push(special.endOfText);
  return tokens;
}
