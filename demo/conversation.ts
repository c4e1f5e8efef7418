import type { GenerateOptions, Message, Model } from 'ossicle';

/** A question and what came of it. */
export interface Turn {
  /** What the person wrote. */
  readonly prompt: string;
  /** The messages that the generations returned and the tools answered, to be sent again as they are. */
  reply: readonly Message[];
}

/**
 * The messages to generate from: every turn as it was. Sending back the messages of earlier results keeps their tokens, and so
 * their keys and values.
 */
export function historyOf(turns: readonly Turn[]): Message[] {
  return turns.flatMap(({ prompt, reply }) => [{ role: 'user', content: prompt }, ...reply]);
}

/**
 * How much of the context the next question finds taken: all messages, the results of tools included. Adding up what a
 * generation used would count the rounds of its tools twice.
 *
 * @returns `undefined` where the model is gone.
 */
export function contextTokens(
  model: Pick<Model, 'countTokens'>,
  messages: readonly Message[],
  options: GenerateOptions,
): Promise<number | undefined> {
  return model.countTokens(messages, options).catch(() => undefined);
}
