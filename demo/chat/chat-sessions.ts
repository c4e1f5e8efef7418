import type { Message, Model, ModelSession } from 'ossicle';
import { kvBytesPerToken } from '../model/cost/load-settings.ts';
import { readLocal, storageKey, writeLocal } from '../storage-key.ts';

/** What has been read of a chat and is kept on the disk. */
interface Kept {
  readonly chatId: string;
  /** The session's id in `model.sessions`. */
  readonly id: string;
  readonly sizeBytes: number;
}

const KEY = 'sessions';
/** So many chats are kept, the latest ones. */
const MAX_CHATS = 3;
/** The most bytes of one that is kept, and of all together. */
const MAX_BYTES = 600e6;
/** A session is saved once nothing has been asked for this long: an answer never waits for it. */
const IDLE_MS = 10_000;

/**
 * The session that answers in the chat that is shown: what the model has read of it stays on the GPU, and is kept on the
 * disk for a reload.
 */
export class ChatSessions {
  readonly #isWanted: (chatId: string) => boolean;
  readonly #onChange: () => void;
  #current: { readonly chatId: string; readonly model: Model; session: ModelSession } | undefined;
  #opening: Promise<unknown> = Promise.resolve();
  #idle: ReturnType<typeof setTimeout> | undefined;
  #isUnsaved = false;

  /**
   * @param isWanted whether a chat is there and may be kept.
   * @param onChange called when other bytes are kept.
   */
  constructor(isWanted: (chatId: string) => boolean, onChange: () => void) {
    this.#isWanted = isWanted;
    this.#onChange = onChange;
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) void this.save(); // nobody looks at an answer that waits for it
    });
  }

  /** Bytes of all that is kept. */
  get keptBytes(): number {
    return bytesOf(readKept());
  }

  /**
   * The session of a chat: the one in use, the one that is kept, or another one, which begins with what the chat shares with the
   * one before it.
   *
   * @param history the chat's messages, the last question included.
   */
  open(model: Model, chatId: string, history: readonly Message[]): Promise<ModelSession> {
    const opened = this.#opening.then(() => this.#open(model, chatId, history));
    this.#opening = opened.catch(() => undefined);
    return opened;
  }

  async #open(model: Model, chatId: string, history: readonly Message[]): Promise<ModelSession> {
    const before = this.#current;
    if (before?.chatId === chatId && before.model === model) return before.session;
    const kept = readKept().find((each) => each.chatId === chatId);
    const opened = kept && (await model.sessions.open(kept.id).catch(() => undefined));
    const session = opened ?? (await startOf(before, model, history)) ?? model.createSession();
    this.#current = { chatId, model, session };
    this.#isUnsaved = false;
    // Of a model that was replaced, nothing is left.
    await before?.session.dispose().catch(() => undefined);
    return session;
  }

  /** Notes that there is more to save, once the model is idle. */
  saveSoon(): void {
    this.#isUnsaved = true;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => void this.save(), IDLE_MS);
  }

  /** Notes that the model is busy. */
  wait(): void {
    this.#isUnsaved = true;
    clearTimeout(this.#idle);
  }

  /** Saves the session in use, unless that is so large that writing it takes long. If it fails, the chat is evaluated again. */
  async save(): Promise<void> {
    const { chatId, model, session } = this.#current ?? {};
    if (!chatId || !model || !session || !this.#isUnsaved) return;
    clearTimeout(this.#idle);
    this.#isUnsaved = false;
    if (!this.#isWanted(chatId)) return;
    try {
      const tokens = await model.countTokens(session.messages);
      if (tokens * kvBytesPerToken(model.info) > MAX_BYTES) return;
      await session.save();
      const saved = (await model.sessions.list()).find(({ id }) => id === session.id);
      if (saved === undefined) return;
      const others = readKept().filter((each) => each.chatId !== chatId);
      const kept = [{ chatId, id: saved.id, sizeBytes: saved.sizeBytes }, ...others];
      await this.#keep(model, kept);
    } catch {
      // Full, forbidden, or the model is gone.
    }
  }

  /** Removes what is kept of chats that are gone, or of all if none is wanted. */
  async tidy(model: Model): Promise<void> {
    const kept = readKept();
    const left = kept.filter(({ chatId }) => this.#isWanted(chatId));
    if (left.length < kept.length) await this.#keep(model, left).catch(() => undefined);
  }

  /** Writes down what is kept, and removes all beyond the limits, and what was kept before and is not any more. */
  async #keep(model: Model, wanted: readonly Kept[]): Promise<void> {
    const before = readKept();
    const kept: Kept[] = [];
    for (const each of wanted.slice(0, MAX_CHATS))
      if (bytesOf([...kept, each]) <= MAX_BYTES) kept.push(each);
    writeLocal(storageKey(KEY), kept.length === 0 ? '' : JSON.stringify(kept));
    const ids = new Set(kept.map(({ id }) => id));
    for (const { id } of [...before, ...wanted]) if (!ids.has(id)) await model.sessions.remove(id);
    this.#onChange();
  }
}

/** Whether a session was cut short in its answer to the last of these messages, so that it can go on. */
export function isCutShort(session: ModelSession, history: readonly Message[]): boolean {
  const { isUnfinished, messages } = session;
  const question = history.at(-1);
  return (
    isUnfinished &&
    messages[history.length - 1]?.content === question?.content &&
    messages.slice(history.length).every(({ role }) => role !== 'user')
  );
}

/** A session that begins with what a chat shares with another, as a branch does; `undefined` if that is nothing. */
async function startOf(
  other: { readonly model: Model; readonly session: ModelSession } | undefined,
  model: Model,
  history: readonly Message[],
): Promise<ModelSession | undefined> {
  const first = other?.session.messages[0];
  const isShared = other?.model === model && first && first.content === history[0]?.content;
  return isShared ? other.session.fork().catch(() => undefined) : undefined;
}

function bytesOf(kept: readonly Kept[]): number {
  return kept.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function readKept(): readonly Kept[] {
  try {
    const found: unknown = JSON.parse(readLocal(storageKey(KEY)) ?? '[]');
    return Array.isArray(found) ? found.filter(isKept) : [];
  } catch {
    return [];
  }
}

function isKept(value: unknown): value is Kept {
  if (typeof value !== 'object' || value === null) return false;
  const { chatId, id, sizeBytes } = value as Readonly<Record<string, unknown>>;
  return typeof chatId === 'string' && typeof id === 'string' && typeof sizeBytes === 'number';
}
