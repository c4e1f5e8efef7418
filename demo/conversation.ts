import type { GenerateOptions, Message, Model } from 'ossicle';

/** A question and its answer. */
export interface Turn {
  /** What the user wrote. */
  readonly prompt: string;
  /** The messages of the model and its tools, sent back unchanged with the next question. */
  reply: readonly Message[];
}

/**
 * The messages to generate from: every turn, unchanged. Sending earlier results back as they were keeps their tokens,
 * and with them their cached keys and values.
 */
export function historyOf(turns: readonly Turn[]): Message[] {
  return turns.flatMap(({ prompt, reply }) => [{ role: 'user', content: prompt }, ...reply]);
}

/**
 * How many tokens of the context are taken before the next question: all messages, tool results included. Adding up the
 * usage of each generation would count tool rounds twice.
 *
 * @returns `undefined` if the model is gone.
 */
export function contextTokens(
  model: Pick<Model, 'countTokens'>,
  messages: readonly Message[],
  options: GenerateOptions,
): Promise<number | undefined> {
  return model.countTokens(messages, options).catch(() => undefined);
}
