import { readDetails } from '../engine/conversation/saved-conversation.ts';
import type { Engine } from '../engine/engine.ts';
import type { Session } from '../engine/session.ts';
import {
  listSessionFiles,
  openSessionFile,
  removeSessionFile,
  type SessionFile,
  writeSessionFile,
} from '../store/session-files.ts';
import { storageFailure } from '../store/storage-failure.ts';
import type { SavedSession, SessionStart } from '../types/session.ts';

/** The sessions of a model, by the numbers that the page gives them. */
export class ModelSessions {
  readonly #engine: Engine;
  readonly #sessions = new Map<number, Session>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The session of a number; a new one if there is none. */
  get(number: number): Session {
    const session = this.#sessions.get(number) ?? this.#engine.createSession();
    this.#sessions.set(number, session);
    return session;
  }

  /** See {@link Session.fork}. */
  async fork(number: number, to: number, messages: number | undefined): Promise<SessionStart> {
    const fork = await this.get(number).fork(messages);
    this.#sessions.set(to, fork);
    return startOf(fork);
  }

  /** Restores a saved session. @throws RangeError if there is none. */
  async open(to: number, id: string): Promise<SessionStart> {
    const file = await openSessionFile(id);
    if (!file) {
      throw new RangeError(
        `No session is saved under the id ${JSON.stringify(id)}; sessions.list() returns the ids of saved sessions`,
      );
    }
    const opened = this.#engine.openSession(file).catch((error: unknown) => {
      throw storageFailure(error); // another tab may have replaced the file
    });
    const session = await opened;
    this.#sessions.set(to, session);
    return startOf(session);
  }

  /** Saves a session in place of what was saved under the id. */
  save(number: number, id: string): Promise<void> {
    return writeSessionFile(id, (write) => this.get(number).save(write));
  }

  /** Lists the saved sessions, latest first. */
  async list(): Promise<SavedSession[]> {
    const files = await listSessionFiles();
    const saved = await Promise.all(files.map(describe));
    return saved.sort((a, b) => b.savedAt - a.savedAt);
  }

  /** Removes a saved session, if there is one. */
  remove(id: string): Promise<void> {
    return removeSessionFile(id);
  }

  /** Releases a session's memory. */
  dispose(number: number): void {
    this.#sessions.get(number)?.dispose();
    this.#sessions.delete(number);
  }
}

function startOf({ messages, isUnfinished, steps, restoredTokens }: Session): SessionStart {
  return { messages, isUnfinished, steps, restoredTokens };
}

async function describe({ id, file }: SessionFile): Promise<SavedSession> {
  const known = { id, sizeBytes: file.size, savedAt: file.lastModified };
  try {
    const { messages, model, savedAt, answer } = await readDetails(file);
    return {
      ...known,
      savedAt,
      model,
      messages,
      isUnfinished: answer !== null,
      isDamaged: false,
    };
  } catch {
    return { ...known, model: '', messages: [], isUnfinished: false, isDamaged: true };
  }
}
