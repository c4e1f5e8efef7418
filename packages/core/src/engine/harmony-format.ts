import { type Message, renderConversation, specialTokens, type Tokenizer } from '@ossicle/harmony';
import type { GenerateOptions } from '../types/generate.ts';
import type { ChatFormat, ChatOutput } from './chat-format.ts';
import type { Constraint } from './constraint/constraint.ts';
import { HarmonyConstraints } from './constraint/harmony-constraint.ts';
import { HarmonyOutput } from './harmony-output.ts';

/** The chat format of gpt-oss. */
export class HarmonyFormat implements ChatFormat {
  readonly headerTokens: readonly number[];
  readonly #tokenizer: Tokenizer;
  readonly #constraints: HarmonyConstraints;

  /**
   * @param tokenizer - Must know Harmony's special tokens.
   * @param vocabularySize - The number of tokens of the model.
   */
  constructor(tokenizer: Tokenizer, vocabularySize: number) {
    this.#tokenizer = tokenizer;
    this.#constraints = new HarmonyConstraints(tokenizer, vocabularySize);
    const controlTokens = Object.values(specialTokens(tokenizer)).filter((id) => id !== undefined);
    const words = ['assistant', 'analysis', 'commentary', 'final'];
    this.headerTokens = [...controlTokens, ...words.flatMap((word) => tokenizer.encode(word))];
  }

  encode(messages: readonly Message[], options: GenerateOptions): number[] {
    const { instructions, reasoningEffort, tools, responseFormat, currentDate } = options;
    const { systemMessage = {} } = options;
    return renderConversation(this.#tokenizer, messages, {
      ...(instructions !== undefined && { instructions }),
      ...(reasoningEffort !== undefined && { reasoningEffort }),
      ...(tools !== undefined && { tools }),
      ...(responseFormat?.type === 'json' && { responseFormat }),
      ...(currentDate !== undefined && { currentDate }),
      ...(systemMessage ?? { omitSystemMessage: true }),
    });
  }

  read(options: GenerateOptions, prompt: ArrayLike<number>): ChatOutput {
    return new HarmonyOutput(this.#tokenizer, options, prompt);
  }

  constrain(options: GenerateOptions, prompt: ArrayLike<number>): Constraint {
    return this.#constraints.of(options, prompt);
  }
}
