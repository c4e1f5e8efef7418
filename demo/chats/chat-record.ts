import type { FinishReason, Message } from 'ossicle';

/** A piece of an answer, in order of arrival. */
export type Part =
  | {
      readonly kind: 'reasoning';
      readonly text: string;
      /** How long the model has reasoned, in milliseconds. */
      readonly ms: number;
    }
  | { readonly kind: 'text'; readonly text: string }
  | ToolPart;

/** A tool call: its arguments and result as text, and how far it is. `asking` waits for the user's approval; `stopped` ended with its answer. */
export interface ToolPart {
  readonly kind: 'tool';
  /** The id of the call. */
  readonly id: string;
  readonly name: string;
  readonly input: string;
  readonly state: 'asking' | 'running' | 'done' | 'failed' | 'stopped';
  /** What the tool returned, or why it failed or was refused. */
  readonly output?: string;
}

/** How an answer ended. */
export interface Outcome {
  readonly reason: FinishReason | 'failed';
  /** Why, if it failed or was stopped by the page. */
  readonly note?: string;
  /** Tokens generated; 0 if unknown. */
  readonly tokens: number;
  readonly tokensPerSecond: number;
  readonly firstTokenMs: number;
}

/** A text file that was sent with a question. */
export interface AttachedFile {
  readonly name: string;
  readonly text: string;
}

/** A question and its answer. */
export interface Turn {
  readonly id: string;
  /** The turn before it; `null` for a first one. Turns with the same parent are versions of each other. */
  readonly parent: string | null;
  /** When it was asked, in milliseconds since 1970. */
  readonly askedAt: number;
  /** What the user wrote. */
  readonly prompt: string;
  readonly files: readonly AttachedFile[];
  /** Whether the model may call tools in this turn even if the settings do not say so. */
  readonly usesTools: boolean;
  /** The answer as it is shown. */
  readonly parts: readonly Part[];
  /** The messages of the model and its tools, sent back unchanged with the next question. */
  readonly reply: readonly Message[];
  /** Absent while the answer is generated, and if the page was closed meanwhile. */
  readonly outcome?: Outcome;
}

/** A chat as it is stored: plain data. Its turns form a tree, of which one path is shown. */
export interface ChatRecord {
  readonly id: string;
  /** The name that the user gave it; empty if none. */
  readonly title: string;
  readonly createdAt: number;
  /** When it was last changed, in milliseconds since 1970. */
  readonly changedAt: number;
  /** What the model is told in this chat, besides the instructions of the settings. */
  readonly instructions: string;
  /** All turns, parents before their children. */
  readonly turns: readonly Turn[];
  /** The last turn of the path that is shown; `null` before the first question. */
  readonly leaf: string | null;
}

/** Most characters of a title that is taken from the first question. */
const TITLE_LENGTH = 60;

/** A chat without turns. */
export function newChat(now: number = Date.now()): ChatRecord {
  return {
    id: crypto.randomUUID(),
    ...{ title: '', instructions: '', createdAt: now, changedAt: now, turns: [], leaf: null },
  };
}

/** The name of a chat: the one given, or the start of its first question. */
export function titleOf({ title, turns }: ChatRecord): string {
  const question = turns[0]?.prompt ?? turns[0]?.files[0]?.name ?? '';
  if (title !== '' || question.length <= TITLE_LENGTH) return title || question;
  return `${question.slice(0, TITLE_LENGTH).replace(/\s+\S*$/, '')}…`;
}

/** The turns that are shown, first to last. */
export function pathOf({ turns, leaf }: Pick<ChatRecord, 'turns' | 'leaf'>): readonly Turn[] {
  const byId = new Map(turns.map((turn) => [turn.id, turn]));
  const path: Turn[] = [];
  for (let id = leaf; id !== null; ) {
    const turn = byId.get(id);
    if (turn === undefined) break;
    path.unshift(turn);
    id = turn.parent;
  }
  return path;
}

/** All versions of a turn, itself included, in the order in which they were asked. */
export function versionsOf({ turns }: ChatRecord, { parent }: Turn): readonly Turn[] {
  return turns.filter((turn) => turn.parent === parent);
}

/** The chat with a turn added, or replaced if it has one of that id. */
export function withTurn(chat: ChatRecord, turn: Turn): ChatRecord {
  const index = chat.turns.findIndex(({ id }) => id === turn.id);
  const turns = index < 0 ? [...chat.turns, turn] : chat.turns.with(index, turn);
  return { ...chat, turns, leaf: index < 0 ? turn.id : chat.leaf };
}

/** The chat with another version shown, down to the newest of the turns that follow it. */
export function withVersion(chat: ChatRecord, turnId: string): ChatRecord {
  const next = chat.turns.findLast(({ parent }) => parent === turnId);
  return next ? withVersion(chat, next.id) : { ...chat, leaf: turnId };
}

/**
 * A stored chat as this tab shows it: turns that are as before stay the same objects, so that their views stay, and the
 * path that is shown may grow, but does not give way to the path of another tab.
 */
export function followed(shown: ChatRecord, stored: ChatRecord): ChatRecord {
  const known = new Map(shown.turns.map((turn) => [turn.id, turn]));
  const turns = stored.turns.map((turn) => {
    const before = known.get(turn.id);
    return before && isSameAnswer(before, turn) ? before : turn;
  });
  const isAhead =
    shown.leaf === null || pathOf({ turns, leaf: stored.leaf }).some(({ id }) => id === shown.leaf);
  return { ...stored, turns, leaf: isAhead ? stored.leaf : shown.leaf };
}

/** Whether two states of a turn are the same: its question never changes, and an answer that has ended only with its outcome. */
function isSameAnswer(before: Turn, now: Turn): boolean {
  const stateOf = ({ outcome, parts }: Turn): string => JSON.stringify(outcome ?? parts);
  return stateOf(before) === stateOf(now);
}

/** A new chat with the turns up to one of another. */
export function branchOf(chat: ChatRecord, turnId: string): ChatRecord {
  const { title, instructions } = chat;
  const turns = pathOf({ turns: chat.turns, leaf: turnId });
  return { ...newChat(), title, instructions, turns, leaf: turnId };
}

/** Whether a chat contains a text, in any case and any version. */
export function contains(chat: ChatRecord, text: string): boolean {
  const wanted = text.trim().toLocaleLowerCase();
  const has = (part: string): boolean => part.toLocaleLowerCase().includes(wanted);
  return (
    has(titleOf(chat)) ||
    chat.turns.some(
      ({ prompt, parts }) =>
        has(prompt) || parts.some((part) => part.kind === 'text' && has(part.text)),
    )
  );
}
