import type { Message } from '@ossicle/harmony';
import type { GenerateEvent, GenerateOptions, ToolCall } from '../types/generate.ts';

/** How conversations become prompts, and generated tokens become messages. gpt-oss speaks Harmony. */
export interface ChatFormat {
  /**
   * Renders a conversation as a prompt that ends where the model's answer begins.
   *
   * @throws TypeError or RangeError if a message or an option is wrong.
   */
  encode(messages: readonly Message[], options: GenerateOptions): number[];
  /** Starts to read an answer. */
  read(options: GenerateOptions): ChatOutput;
}

/** An answer being read, token by token. */
export interface ChatOutput {
  /** Whether the answer has ended, by a stop token or a stop string. */
  readonly isStopped: boolean;
  /** Takes the next token. */
  push(id: number): GenerateEvent[];
  /** Ends the answer, and with it a message that is still open. */
  finish(): GenerateEvent[];
  /** What has been read so far. */
  summary(): OutputSummary;
}

/** The parts of an answer that go into its result. */
export interface OutputSummary {
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  readonly messages: readonly Message[];
}
