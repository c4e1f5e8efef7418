import type { Message } from '@ossicle/harmony';
import type { GenerateEvent, GenerateOptions, ToolCall } from '../types/generate.ts';
import type { Constraint } from './constraint/constraint.ts';

/** Turns conversations into prompts, and generated tokens into messages. The format of gpt-oss is Harmony. */
export interface ChatFormat {
  /** Control tokens and the words of headers: penalties would spoil what messages are made of. */
  readonly headerTokens: readonly number[];
  /**
   * Renders a conversation as a prompt that ends where the model's answer begins.
   *
   * @throws TypeError or RangeError if a message or an option is wrong.
   */
  encode(messages: readonly Message[], options: GenerateOptions): number[];
  /**
   * Starts reading the answer to a prompt. If the prompt ends within a message, the answer has all of it.
   *
   * @param prompt - Token ids.
   */
  read(options: GenerateOptions, prompt: ArrayLike<number>): ChatOutput;
  /**
   * Starts guiding the answer to a prompt; `undefined` if anything may come.
   *
   * @param prompt - Token ids.
   * @param hasMessages - Whether the prompt was rendered from messages. The answer to token ids keeps to the headers of the
   * options only if they have `tools`, `builtInTools`, `toolChoice`, `responseFormat` or `reasoningBudget`: its prompt may
   * declare tools of its own.
   * @throws RangeError if the options ask for what cannot be enforced.
   */
  constrain(
    options: GenerateOptions,
    prompt: ArrayLike<number>,
    hasMessages: boolean,
  ): Constraint | undefined;
}

/** Reads one answer, token by token. */
export interface ChatOutput {
  /** Whether the answer has ended, by a stop token or a stop string. */
  readonly isStopped: boolean;
  /** Tokens of reasoning, analysis that calls no tool, without control tokens and headers. */
  readonly reasoningTokens: number;
  /** Takes the next token and returns its events. */
  push(id: number): GenerateEvent[];
  /** Ends the answer and closes the message that is still open, if any. */
  finish(): GenerateEvent[];
  /** Everything read so far. */
  summary(): OutputSummary;
}

/** The parts of an answer that go into its result. */
export interface OutputSummary {
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  readonly messages: readonly Message[];
}
