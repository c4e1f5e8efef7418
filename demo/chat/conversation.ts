import type { GenerateEvent, GenerateOptions, Message, Model, ToolCall } from 'ossicle';
import { messagesOf } from '../chats/answer.ts';
import type { AttachedFile, Outcome, Turn } from '../chats/chat-record.ts';

/**
 * The messages to generate from: every turn, unchanged. Sending earlier results back as they were keeps their tokens,
 * and with them their cached keys and values.
 *
 * @param usesTools whether the model may call tools now. If not, earlier calls and their results are left out: a small
 *   model is confused by calls of tools that it does not have.
 */
export function historyOf(
  turns: readonly Pick<Turn, 'prompt' | 'files' | 'parts' | 'reply' | 'outcome'>[],
  usesTools: boolean,
): Message[] {
  const isKept = ({ role, recipient }: Message): boolean =>
    usesTools || (role !== 'tool' && recipient === undefined);
  return turns.flatMap(({ prompt, files, parts, reply, outcome }) => [
    { role: 'user', content: questionText(prompt, files) },
    ...(outcome ? reply : messagesOf(parts)).filter(isKept),
  ]);
}

/** What the model reads: the attached files, fenced under their names, then the question. */
export function questionText(prompt: string, files: readonly AttachedFile[]): string {
  return [...files.map(fencedFile), prompt].filter(Boolean).join('\n\n');
}

function fencedFile({ name, text }: AttachedFile): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = '`'.repeat(longest + 1);
  return `${name}:\n${fence}\n${text.trimEnd()}\n${fence}`;
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

/**
 * The `maxTokens` with which an answer that was cut short goes on: it counts what the answer has already.
 *
 * @param outcome how the answer ended; `undefined` if the page was closed meanwhile.
 * @param maxTokens that of a new answer.
 * @param room tokens of the context that are left for the whole answer.
 * @returns `undefined` if it can have no more.
 */
export function maxTokensToGoOn(
  outcome: Pick<Outcome, 'reason' | 'tokens'> | undefined,
  maxTokens: number | undefined,
  room: number,
): number | undefined {
  const limit = maxTokens ?? Infinity;
  const { reason, tokens } = outcome ?? { tokens: 0 };
  if (reason !== 'length' && tokens < limit) return limit;
  const hasRoom = tokens < room && limit < Infinity; // without a limit, the context was used up
  return hasRoom ? limit + tokens : undefined;
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
