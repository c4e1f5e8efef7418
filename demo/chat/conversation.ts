import type { GenerateEvent, GenerateOptions, Message, Model, ToolCall } from 'ossicle';

/** A question and its answer. */
export interface Turn {
  /** What the user wrote. */
  readonly prompt: string;
  /** Whether the model may call tools in this turn even if the settings do not say so. */
  readonly usesTools: boolean;
  /** The messages of the model and its tools, sent back unchanged with the next question. */
  reply: readonly Message[];
}

/**
 * The messages to generate from: every turn, unchanged. Sending earlier results back as they were keeps their tokens,
 * and with them their cached keys and values.
 *
 * @param usesTools whether the model may call tools now. If not, earlier calls and their results are left out: a small
 *   model is confused by calls of tools that it does not have.
 */
export function historyOf(
  turns: readonly Pick<Turn, 'prompt' | 'reply'>[],
  usesTools: boolean,
): Message[] {
  const isKept = ({ role, recipient }: Message): boolean =>
    usesTools || (role !== 'tool' && recipient === undefined);
  return turns.flatMap(({ prompt, reply }) => [
    { role: 'user', content: prompt },
    ...reply.filter(isKept),
  ]);
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

/** The tokens in the context after an event of a generation; each piece of text counts as one. */
export function contextAfter(event: GenerateEvent, tokens: number): number {
  if (event.type === 'prefill') return event.processedTokens;
  return event.type === 'reasoning-delta' || event.type === 'text-delta' ? tokens + 1 : tokens;
}

/** A model that makes the same tool call this often in one answer is taken to loop. */
const MAX_SAME_CALLS = 3;

/** Counts the tool calls of one answer. */
export class CallCounter {
  readonly #counts = new Map<string, number>();

  /** Counts a call, and tells whether the model has made it too often. */
  add({ name, inputText }: Pick<ToolCall, 'name' | 'inputText'>): boolean {
    const call = `${name} ${inputText}`;
    const count = (this.#counts.get(call) ?? 0) + 1;
    this.#counts.set(call, count);
    return count >= MAX_SAME_CALLS;
  }
}
