import {
  createTokenizer,
  type Tokenizer as HarmonyTokenizer,
  type Message,
  renderConversation,
  specialTokens,
} from '@ossicle/harmony';
import { messageOf, OssicleError } from '../errors.ts';
import type { GenerateOptions } from '../types/generate.ts';

/** Text and conversations to token ids, and back. */
export interface Tokenizer {
  /** Encodes text as text: what looks like a control token in it becomes none. */
  encode(text: string): number[];
  /** Renders a conversation as the prompt that {@link Session.generate} would evaluate. */
  encodeConversation(messages: string | readonly Message[], options?: GenerateOptions): number[];
  /** Decodes ids; bytes that are not UTF-8 read as U+FFFD, control tokens as their names. */
  decode(ids: ArrayLike<number>): string;
}

/** The tokenizer of a checkpoint, with what generation needs of it. */
export class CheckpointTokenizer implements Tokenizer {
  /** The tokenizer that renders and parses Harmony, where {@link CheckpointTokenizer.isHarmony}. */
  readonly harmony: HarmonyTokenizer;
  /** Why it can render no conversation. */
  readonly #lack: unknown;

  /**
   * @param json - The parsed tokenizer.json, or what a GGUF file has in its place.
   * @param vocabularySize - The model's; the tokenizer may know fewer tokens, but no others.
   * @throws {@link OssicleError} `format-invalid` where it cannot be read, or belongs to another model.
   */
  constructor(json: unknown, vocabularySize: number) {
    try {
      this.harmony = createTokenizer(json);
    } catch (cause) {
      throw new OssicleError(
        'format-invalid',
        `The checkpoint's tokenizer cannot be used: ${messageOf(cause)}`,
        { cause },
      );
    }
    if (this.harmony.vocabularySize > vocabularySize) {
      throw new OssicleError(
        'format-invalid',
        `tokenizer.json has ids up to ${this.harmony.vocabularySize - 1}, the model only ${vocabularySize} tokens. ` +
          'It belongs to another model.',
      );
    }
    try {
      specialTokens(this.harmony);
    } catch (lack) {
      this.#lack = lack;
    }
  }

  /** Whether it has the tokens that conversations are made of. Without them the model takes and gives ids alone. */
  get isHarmony(): boolean {
    return this.#lack === undefined;
  }

  encode(text: string): number[] {
    return this.harmony.encode(text);
  }

  encodeConversation(input: string | readonly Message[], options: GenerateOptions = {}): number[] {
    const messages: readonly Message[] =
      typeof input === 'string' ? [{ role: 'user', content: input }] : input;
    const { instructions, reasoningEffort, tools, responseFormat, currentDate } = options;
    const { systemMessage = {} } = options;
    if (typeof systemMessage !== 'object') {
      throw new TypeError(
        'systemMessage must be an object or null; what the application tells the model belongs into instructions',
      );
    }
    if (!this.isHarmony) {
      throw new OssicleError(
        'format-invalid',
        `The checkpoint cannot hold a conversation, and takes token ids only: ${messageOf(this.#lack)}`,
        { cause: this.#lack },
      );
    }
    return renderConversation(this.harmony, messages, {
      ...(instructions !== undefined && { instructions }),
      ...(reasoningEffort !== undefined && { reasoningEffort }),
      ...(tools !== undefined && { tools }),
      ...(responseFormat !== undefined && { responseFormat }),
      ...(currentDate !== undefined && { currentDate }),
      ...(systemMessage ?? { omitSystemMessage: true }),
    });
  }

  decode(ids: ArrayLike<number>): string {
    return this.harmony.decode(ids);
  }
}

/** The error of a text given to a model that came without a tokenizer. */
export function noTokenizer(): OssicleError {
  return new OssicleError(
    'format-invalid',
    'The checkpoint has no tokenizer.json, so that it takes token ids only. Put its tokenizer.json beside its weights.',
  );
}
