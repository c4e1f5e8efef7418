import type { Message } from '@ossicle/harmony';

/** The context is made free in steps of one in so many parts, so that the turns after a cut have the same beginning. */
const PARTS = 4;

/** What {@link dropTurns} has to know. */
export interface DropOptions {
  readonly contextLength: number;
  /** The most tokens of the answer, if they are limited. */
  readonly maxTokens: number | undefined;
  /** The tokens of a conversation. */
  readonly lengthOf: (messages: readonly Message[]) => number;
}

/**
 * Leaves out the oldest turns of a conversation if it does not leave a quarter of the context, or `maxTokens`, for the
 * answer. A turn is a user's message with all that follows; the last one stays, and so do system and developer messages at
 * the beginning. As many quarters are made free as needed: a longer conversation is cut at the same place until the next.
 */
export function dropTurns(
  messages: readonly Message[],
  { contextLength, maxTokens = Infinity, lengthOf }: DropOptions,
): readonly Message[] {
  const part = Math.ceil(contextLength / PARTS);
  const length = lengthOf(messages);
  const excess = length + Math.min(maxTokens, part) - contextLength;
  if (excess <= 0) return messages;
  const mostLeft = length - part * Math.ceil(excess / part);
  const isKept = ({ role }: Message): boolean => role === 'system' || role === 'developer';
  const kept = messages.findIndex((message) => !isKept(message));
  const turns = messages.flatMap(({ role }, i) => (role === 'user' && i > kept ? [i] : []));
  const without = (turn: number | undefined): readonly Message[] =>
    turn === undefined ? messages : [...messages.slice(0, kept), ...messages.slice(turn)];
  let [first, last] = [0, turns.length - 1];
  while (first < last) {
    const middle = Math.floor((first + last) / 2);
    if (lengthOf(without(turns[middle])) <= mostLeft) last = middle;
    else first = middle + 1;
  }
  return without(turns[first]);
}
