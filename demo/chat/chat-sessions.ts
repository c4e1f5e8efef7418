import type { Message, Model, ModelSession } from 'ossicle';
import { kvBytesPerToken } from '../model/cost/load-settings.ts';
import { readLocal, storageKey, writeLocal } from '../storage-key.ts';

/** What has been read of a chat and is kept on the disk. */
interface Kept {
  readonly chatId: string;
  /** The session's id in `model.sessions`. */
  readonly id: string;
  readonly sizeBytes: number;
  /** The turn whose answer it ends in; `undefined` if that is not known for sure. */
  readonly turnId?: string | undefined;
  /** Whether it is no longer kept and only waits for its file to be removed. */
  readonly isGone?: boolean | undefined;
}

/** A session in use. */
interface Current {
  readonly chatId: string;
  readonly model: Model;
  readonly session: ModelSession;
  /** The turn whose answer it ends in. */
  turnId?: string | undefined;
  isUnsaved: boolean;
}

const KEY = 'sessions';
/** So many chats are kept, the latest ones. */
export const MAX_CHATS = 3;
/** The most bytes of one that is kept, and of all together. */
export const MAX_BYTES = 600e6;
/** A session is saved once nothing has been asked for this long: an answer never waits for it. */
const IDLE_MS = 10_000;

/**
 * The session that answers in the chat that is shown: what the model has read of it stays on the GPU, and is kept on the
 * disk for a reload.
 */
export class ChatSessions {
  readonly #isWanted: (chatId: string) => boolean;
  readonly #onChange: () => void;
  #current: Current | undefined;
  #opening: Promise<unknown> = Promise.resolve();
  #idle: ReturnType<typeof setTimeout> | undefined;

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
    const fork = opened ? undefined : await startOf(before, model, history);
    const session = opened ?? fork ?? model.createSession();
    const turnId = opened ? kept?.turnId : fork && before?.turnId;
    this.#current = { chatId, model, session, turnId, isUnsaved: false };
    if (before) void this.#end(before);
    return session;
  }

  /** Whether the session in use was cut short in the answer of this turn, so that it can go on. */
  canResume(turnId: string, history: readonly Message[]): boolean {
    const { session, turnId: last } = this.#current ?? {};
    return session !== undefined && last === turnId && isCutShort(session, history);
  }

  /** Notes that the session in use answers a turn: it holds what was asked, and there is more to save. */
  answers(turnId: string): void {
    if (this.#current) Object.assign(this.#current, { turnId, isUnsaved: true });
  }

  /** Saves what there is once the model has been idle for a while. */
  saveSoon(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => void this.save(), IDLE_MS);
  }

  /** Notes that the model is busy. */
  wait(): void {
    clearTimeout(this.#idle);
  }

  /** Saves the session in use, unless that is so large that writing it takes long. If it fails, the chat is evaluated again. */
  async save(): Promise<void> {
    clearTimeout(this.#idle);
    if (this.#current) await this.#save(this.#current);
  }

  /** Saves a session that is not in use any more, and releases its memory. */
  async #end(before: Current): Promise<void> {
    await this.#save(before);
    await before.session.dispose().catch(() => undefined); // of a model that was replaced, nothing is left
  }

  async #save(current: Current): Promise<void> {
    const { chatId, model, session, turnId, isUnsaved } = current;
    if (!isUnsaved) return;
    current.isUnsaved = false;
    if (!this.#isWanted(chatId)) return;
    const { id } = session;
    const keep = (saved: readonly Kept[]): Promise<void> =>
      this.#keep(model, [...saved, ...readKept().filter((each) => each.chatId !== chatId)]);
    try {
      const sizeBytes = (await model.countTokens(session.messages)) * kvBytesPerToken(model.info);
      if (sizeBytes > MAX_BYTES) return;
      // First: a file that is not written down would stay for ever.
      await keep([{ chatId, id, sizeBytes }]);
      if (!readKept().some((each) => each.id === id)) return;
      const isSaved = await session.save().then(
        () => true,
        () => false, // full or forbidden; what was saved before stays
      );
      const saved = (await model.sessions.list()).find((each) => each.id === id);
      // While it was saved, another answer may have begun.
      const isSure = isSaved && current.turnId === turnId;
      const own = { chatId, id, turnId: isSure ? turnId : undefined };
      await keep(saved ? [{ ...own, sizeBytes: saved.sizeBytes }] : []);
    } catch {
      // The model is gone.
    }
  }

  /** Removes what is kept of chats that are gone, or of all if none is wanted. */
  async tidy(model: Model): Promise<void> {
    const left = readKept().filter(({ chatId }) => this.#isWanted(chatId));
    if (left.length < readAll().length) await this.#keep(model, left).catch(() => undefined);
  }

  /**
   * Records what is kept, and removes the rest. Each removed session stays recorded until its file is gone, since the page may
   * close before that.
   */
  async #keep(model: Model, wanted: readonly Kept[]): Promise<void> {
    const kept: Kept[] = [];
    for (const each of wanted.slice(0, MAX_CHATS))
      if (bytesOf([...kept, each]) <= MAX_BYTES) kept.push(each);
    const ids = new Set(kept.map(({ id }) => id));
    const all = new Map([...wanted, ...readAll()].map((each) => [each.id, each]));
    const gone = [...all.values()].filter(({ id }) => !ids.has(id));
    writeAll([...kept, ...gone.map((each) => ({ ...each, isGone: true }))]);
    this.#onChange();
    for (const { id } of gone) {
      const isRemoved = await model.sessions.remove(id).then(
        () => true,
        () => false, // is tried again the next time
      );
      if (isRemoved) writeAll(readAll().filter((each) => each.id !== id || !each.isGone));
    }
  }
}

/** Whether a session was cut short in its answer to the last of these messages. */
function isCutShort(session: ModelSession, history: readonly Message[]): boolean {
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
  other: Current | undefined,
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

const readKept = (): readonly Kept[] => readAll().filter(({ isGone }) => !isGone);

function writeAll(all: readonly Kept[]): void {
  writeLocal(storageKey(KEY), all.length === 0 ? '' : JSON.stringify(all));
}

function readAll(): readonly Kept[] {
  try {
    const found: unknown = JSON.parse(readLocal(storageKey(KEY)) ?? '[]');
    return Array.isArray(found) ? found.filter(isKept) : [];
  } catch {
    return [];
  }
}

function isKept(value: unknown): value is Kept {
  if (typeof value !== 'object' || value === null) return false;
  const { chatId, id, sizeBytes, ...others } = value as Readonly<Record<string, unknown>>;
  const { turnId = '', isGone = false } = others;
  const areTexts = [chatId, id, turnId].every((each) => typeof each === 'string');
  return areTexts && typeof sizeBytes === 'number' && typeof isGone === 'boolean';
}
