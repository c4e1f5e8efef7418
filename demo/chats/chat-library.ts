import { createStore, entries, get, promisifyRequest, type UseStore } from 'idb-keyval';
import { storageKey } from '../storage-key.ts';
import type { ChatRecord } from './chat-record.ts';

/** A change of a chat: called for the chat in memory and again for the stored one, which another tab may have changed. */
export type Recipe = (chat: ChatRecord) => ChatRecord;

/** What other tabs are told: the chat of this id has changed or is gone. */
interface Notice {
  readonly id: string;
}

/**
 * The chats of this browser. Changes show at once; they are written in the background, one transaction each, and other
 * tabs are told. If writing fails, the chats stay in memory and are written with the next change.
 */
export class ChatLibrary {
  readonly #chats = new Map<string, ChatRecord>();
  /** Chats that are in the database. */
  readonly #stored = new Set<string>();
  /** Chats whose last changes could not be written. */
  readonly #unsaved = new Set<string>();
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

  /** Calls the listener after each change, also by other tabs. */
  subscribe(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Adds a chat. It is stored once it has turns or instructions. */
  add(chat: ChatRecord): void {
    this.#chats.set(chat.id, chat);
    this.#enqueue(() => this.#write(chat.id, (stored) => stored));
    this.#notify();
  }

  /** Changes a chat; without effect if it is gone. */
  change(id: string, recipe: Recipe): void {
    const chat = this.#chats.get(id);
    if (chat === undefined) return;
    const timed: Recipe = (before) => ({ ...recipe(before), changedAt: Date.now() });
    this.#chats.set(id, timed(chat));
    this.#enqueue(() => this.#write(id, timed));
    this.#notify();
  }

  /** Deletes a chat for good. */
  remove(id: string): void {
    this.#chats.delete(id);
    this.#unsaved.delete(id);
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

  /** Runs one task after the other: a chat is not reread before this tab's changes of it are written. */
  #enqueue(task: () => Promise<void>): void {
    this.#writing = this.#writing.then(task).then(
      () => this.#unsaved.size === 0 && this.#tell(undefined),
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
    const chat = await get<ChatRecord>(id, this.#objects);
    if (chat) {
      this.#stored.add(id);
      this.#chats.set(id, chat);
    } else if (this.#stored.delete(id)) this.#chats.delete(id);
    this.#notify();
  }

  async #write(id: string, recipe: Recipe): Promise<void> {
    this.#unsaved.add(id);
    for (const unsaved of this.#unsaved) {
      const chat = this.#chats.get(unsaved);
      if (chat && (chat.turns.length > 0 || chat.instructions !== ''))
        await this.#put(chat, unsaved === id && this.#unsaved.size === 1 ? recipe : () => chat);
      this.#unsaved.delete(unsaved);
    }
  }

  async #put(chat: ChatRecord, recipe: Recipe): Promise<void> {
    const { id } = chat;
    await this.#objects('readwrite', (objects) => {
      const read: IDBRequest<ChatRecord | undefined> = objects.get(id);
      read.onsuccess = () => {
        if (read.result === undefined && this.#stored.has(id)) return; // deleted by another tab
        objects.put(read.result ? recipe(read.result) : chat, id);
      };
      return promisifyRequest(objects.transaction);
    });
    this.#stored.add(id);
    this.#channel.postMessage({ id } satisfies Notice);
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
