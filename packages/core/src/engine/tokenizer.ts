import {
  createTokenizer,
  type Tokenizer as HarmonyTokenizer,
  type Message,
  specialTokens,
} from '@ossicle/harmony';
import { messageOf, OssicleError } from '../errors.ts';
import { checkGenerateOptions } from '../generation/check-generate-options.ts';
import type { GenerateOptions } from '../types/generate.ts';
import type { ChatFormat } from './chat-format.ts';
import { HarmonyFormat } from './harmony-format.ts';

/** Converts text and conversations to token ids, and ids back to text. */
export interface Tokenizer {
  /** Encodes plain text: control tokens spelled out in it become ordinary tokens. */
  encode(text: string): number[];
  /** Renders a conversation as the prompt that {@link Session.generate} would evaluate. */
  encodeConversation(messages: string | readonly Message[], options?: GenerateOptions): number[];
  /** Decodes ids. Bytes that are not UTF-8 become U+FFFD, and control tokens become their names. */
  decode(ids: ArrayLike<number>): string;
}

/** The tokenizer of a checkpoint. */
export class CheckpointTokenizer implements Tokenizer {
  /** The chat format; `undefined` if the vocabulary lacks its control tokens. */
  readonly chat: ChatFormat | undefined;
  readonly #tokenizer: HarmonyTokenizer;
  /** Why there is no chat format. */
  readonly #lack: unknown;

  /**
   * @param json - The parsed tokenizer.json, or its equivalent from a GGUF file.
   * @param vocabularySize - The number of tokens of the model. The tokenizer may have fewer, but not more.
   * @throws {@link OssicleError} `format-invalid` if the JSON is not a usable tokenizer or belongs to another model.
   */
  constructor(json: unknown, vocabularySize: number) {
    try {
      this.#tokenizer = createTokenizer(json);
    } catch (cause) {
      throw new OssicleError(
        'format-invalid',
        `The checkpoint's tokenizer cannot be used: ${messageOf(cause)}`,
        { cause },
      );
    }
    if (this.#tokenizer.vocabularySize > vocabularySize) {
      throw new OssicleError(
        'format-invalid',
        `tokenizer.json has ids up to ${this.#tokenizer.vocabularySize - 1}, but the model has only ${vocabularySize} tokens. ` +
          'It belongs to another model.',
      );
    }
    try {
      specialTokens(this.#tokenizer);
      this.chat = new HarmonyFormat(this.#tokenizer, vocabularySize);
    } catch (lack) {
      this.#lack = lack;
    }
  }

  encode(text: string): number[] {
    return this.#tokenizer.encode(text);
  }

  encodeConversation(input: string | readonly Message[], options: GenerateOptions = {}): number[] {
    if (!this.chat) {
      throw new OssicleError(
        'format-invalid',
        `This checkpoint takes only token ids, because its vocabulary has no chat format: ${messageOf(this.#lack)}`,
        { cause: this.#lack },
      );
    }
    checkGenerateOptions(options);
    const messages: readonly Message[] =
      typeof input === 'string' ? [{ role: 'user', content: input }] : input;
    return this.chat.encode(messages, options);
  }

  decode(ids: ArrayLike<number>): string {
    return this.#tokenizer.decode(ids);
  }
}

/** The error for text given to a model without a tokenizer. */
export function noTokenizer(): OssicleError {
  return new OssicleError(
    'format-invalid',
    'The checkpoint has no tokenizer.json, so it takes only token ids. Put a tokenizer.json next to its weights.',
  );
}
