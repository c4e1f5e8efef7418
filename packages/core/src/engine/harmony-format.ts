import {
  type Channel,
  type Message,
  renderConversation,
  specialTokens,
  type Tokenizer,
} from '@ossicle/harmony';
import { mustCall } from '../generation/tool-loop.ts';
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
    const { instructions, reasoningEffort, tools, builtInTools, responseFormat } = options;
    const { systemMessage = {}, currentDate, keepAnalysis, prefillText } = options;
    if (prefillText !== undefined && mustCall(options)) {
      throw new RangeError(
        'prefillText begins the final channel, in which no tool is called; omit it, or toolChoice',
      );
    }
    const prompt = renderConversation(this.#tokenizer, messages, {
      ...(instructions !== undefined && { instructions }),
      ...(reasoningEffort !== undefined && { reasoningEffort }),
      ...(tools !== undefined && { tools }),
      ...(builtInTools !== undefined && { systemTools: builtInTools }),
      ...(responseFormat?.type === 'json' && { responseFormat }),
      ...(currentDate !== undefined && { currentDate }),
      ...(keepAnalysis !== undefined && { keepAnalysis }),
      ...(systemMessage ?? { omitSystemMessage: true }),
    });
    if (prefillText === undefined) return prompt;
    return prompt.concat(this.#header('final'), this.#tokenizer.encode(prefillText));
  }

  read(options: GenerateOptions, prompt: ArrayLike<number>): ChatOutput {
    return new HarmonyOutput(this.#tokenizer, options, prompt);
  }

  constrain(
    options: GenerateOptions,
    prompt: ArrayLike<number>,
    hasMessages: boolean,
  ): Constraint | undefined {
    const { tools, builtInTools, toolChoice, responseFormat, reasoningBudget } = options;
    const asks = tools ?? builtInTools ?? toolChoice ?? responseFormat ?? reasoningBudget;
    const isGuided = hasMessages || asks !== undefined;
    return isGuided ? this.#constraints.of(options, prompt) : undefined;
  }

  /** What follows `<|start|>assistant`. */
  #header(channelName: Channel): number[] {
    const { channel, message } = specialTokens(this.#tokenizer);
    return [channel, ...this.#tokenizer.encode(channelName), message];
  }
}
