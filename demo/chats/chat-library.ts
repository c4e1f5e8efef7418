import { createStore, entries, get, promisifyRequest, type UseStore } from 'idb-keyval';
import { storageKey } from '../storage-key.ts';
import { type ChatRecord, followed } from './chat-record.ts';

/** A change of a chat: called for the chat in memory and again for the stored one, which another tab may have changed. */
export type Recipe = (chat: ChatRecord) => ChatRecord;

/** What other tabs are told: the chat of this id has changed or is gone. */
interface Notice {
  readonly id: string;
}

/**
 * The chats of this browser. Changes show at once; they are written in the background, and
 * other tabs are told. Changes that could not be written stay in memory and are written with the next one.
 */
export class ChatLibrary {
  readonly #chats = new Map<string, ChatRecord>();
  /** Chats that are in the database. */
  readonly #stored = new Set<string>();
  /** The changes of each chat that are not stored yet, first to last; none for a chat that is only added. */
  readonly #pending = new Map<string, Recipe[]>();
  readonly #listeners = new Set<() => void>();
  readonly #objects: UseStore;
  readonly #channel: BroadcastChannel;
  #writing: Promise<void>;
  #trouble: unknown;

  constructor() {
    const name = storageKey('chats');
    this.#objects = createStore(name, 'chats');
    this.#channel = new BroadcastChannel(name);
    this.#channel.addEventListener('message', ({ data }: MessageEvent<Notice>) =>
      this.#enqueue(() => this.#reread(data.id)),
    );
    this.#writing = this.#readAll().catch((error: unknown) => this.#tell(error));
  }

  /** Resolves when the chats have been read, and all changes so far written or refused. */
  get settled(): Promise<void> {
    return this.#writing;
  }

  /** All chats with a question, latest change first. */
  get list(): readonly ChatRecord[] {
    return [...this.#chats.values()]
      .filter(({ turns }) => turns.length > 0)
      .sort((a, b) => b.changedAt - a.changedAt);
  }

  /** Why chats could not be written; `undefined` if all are. */
  get trouble(): unknown {
    return this.#trouble;
  }

  /** The chat of an id, if it is there. */
  get(id: string): ChatRecord | undefined {
    return this.#chats.get(id);
  }

  /** Whether a chat is in the database, if not with its latest changes. */
  isStored(id: string): boolean {
    return this.#stored.has(id);
  }

  /** Calls the listener after each change, also by other tabs. */
  subscribe(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Adds a chat. It is stored once it has turns or instructions. */
  add(chat: ChatRecord): void {
    this.#chats.set(chat.id, chat);
    this.#pend(chat.id);
    this.#notify();
  }

  /** Changes a chat; without effect if it is gone. */
  change(id: string, recipe: Recipe): void {
    const chat = this.#chats.get(id);
    if (chat === undefined) return;
    const changedAt = Date.now();
    const timed: Recipe = (before) => ({ ...recipe(before), changedAt });
    this.#chats.set(id, timed(chat));
    this.#pend(id, timed);
    this.#notify();
  }

  /** Deletes a chat for good. */
  remove(id: string): void {
    this.#chats.delete(id);
    this.#pending.delete(id);
    this.#enqueue(async () => {
      await this.#objects('readwrite', (objects) => {
        objects.delete(id);
        return promisifyRequest(objects.transaction);
      });
      this.#stored.delete(id);
      this.#channel.postMessage({ id } satisfies Notice);
    });
    this.#notify();
  }

  /** Notes a chat to be written, with a change of it, and writes all that are noted. */
  #pend(id: string, ...recipes: readonly Recipe[]): void {
    this.#pending.set(id, [...(this.#pending.get(id) ?? []), ...recipes]);
    this.#enqueue(() => this.#writeAll());
  }

  /** A stored chat with the changes that are not stored yet. */
  #withPending(stored: ChatRecord): ChatRecord {
    const recipes = this.#pending.get(stored.id) ?? [];
    return recipes.reduce((chat, recipe) => recipe(chat), stored);
  }

  /** Runs one task after the other: a chat is not reread before this tab's changes of it are written. */
  #enqueue(task: () => Promise<void>): void {
    this.#writing = this.#writing.then(task).then(
      () => this.#pending.size === 0 && this.#tell(undefined),
      (error: unknown) => this.#tell(error),
    ) as Promise<void>;
  }

  async #readAll(): Promise<void> {
    for (const [id, chat] of await entries<string, ChatRecord>(this.#objects)) {
      this.#stored.add(id);
      this.#chats.set(id, chat);
    }
    this.#notify();
  }

  async #reread(id: string): Promise<void> {
    const stored = await get<ChatRecord>(id, this.#objects);
    if (this.#stored.has(id) && !this.#chats.has(id)) return; // deleted here meanwhile
    if (stored) {
      this.#stored.add(id);
      const shown = this.#chats.get(id);
      const now = this.#withPending(stored);
      this.#chats.set(id, shown ? followed(shown, now) : now);
    } else this.#forget(id);
    this.#notify();
  }

  /** Drops a chat that another tab has deleted. */
  #forget(id: string): void {
    if (!this.#stored.delete(id)) return;
    this.#chats.delete(id);
    this.#pending.delete(id);
  }

  /** Writes all pending changes: in one transaction, or if that fails, chat by chat, so that one that is too large keeps no other. */
  async #writeAll(): Promise<void> {
    const ids = [...this.#pending.keys()].filter((id) => {
      const chat = this.#chats.get(id);
      if (!chat) return false;
      const isWorthIt = chat.turns.length > 0 || chat.instructions !== '' || this.#stored.has(id);
      if (!isWorthIt) this.#pending.delete(id);
      return isWorthIt;
    });
    if (ids.length === 0) return;
    const failures: unknown[] = [];
    const note = (error: unknown): void => void failures.push(error);
    await this.#write(ids).catch(note);
    if (failures.length > 0 && ids.length > 1) {
      failures.length = 0;
      for (const id of ids) await this.#write([id]).catch(note);
    }
    if (failures.length > 0) throw failures[0];
  }

  async #write(ids: readonly string[]): Promise<void> {
    const written = new Map<string, number>();
    const gone: string[] = [];
    await this.#objects('readwrite', (objects) => {
      for (const id of ids) {
        const read: IDBRequest<ChatRecord | undefined> = objects.get(id);
        read.onsuccess = () => {
          const isGone = read.result === undefined && this.#stored.has(id);
          const chat = read.result ? this.#withPending(read.result) : this.#chats.get(id);
          if (isGone) gone.push(id);
          if (isGone || chat === undefined) return;
          written.set(id, this.#pending.get(id)?.length ?? 0);
          objects.put(chat, id);
        };
      }
      return promisifyRequest(objects.transaction);
    });
    for (const id of gone) this.#forget(id);
    if (gone.length > 0) this.#notify();
    for (const [id, count] of written) {
      // Changes made since then wait for a transaction of their own.
      const rest = this.#pending.get(id)?.slice(count) ?? [];
      if (rest.length > 0) this.#pending.set(id, rest);
      else this.#pending.delete(id);
      this.#stored.add(id);
      this.#channel.postMessage({ id } satisfies Notice);
    }
  }

  #tell(trouble: unknown): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}
