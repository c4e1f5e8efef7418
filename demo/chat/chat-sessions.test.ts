import type { Message, Model, ModelSession } from 'ossicle';
import { beforeEach, expect, test, vi } from 'vitest';
import { ChatSessions } from './chat-sessions.ts';

const QUESTION: readonly Message[] = [{ role: 'user', content: 'Why?' }];

/** What local storage holds. */
let stored: Map<string, string>;
/** The files of saved sessions, and what the sessions were told, in order. */
let files: Set<string>;
let told: string[];

beforeEach(() => {
  stored = new Map();
  files = new Set();
  told = [];
  vi.stubGlobal('location', { href: 'https://demo.example/' });
  vi.stubGlobal('document', { addEventListener: () => undefined });
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, text: string) => stored.set(key, text),
    removeItem: (key: string) => stored.delete(key),
  });
  vi.useFakeTimers();
  return () => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  };
});

/** A session that was cut short in its answer to the question. */
function createSession(id: string): ModelSession {
  const save = async (): Promise<void> => {
    told.push(`save ${id}, ${listed().includes(id) ? 'listed' : 'not listed'}`);
    files.add(id);
  };
  const dispose = async () => void told.push(`dispose ${id}`);
  const fork = () => Promise.reject(new Error('No memory'));
  const session = { id, messages: QUESTION, isUnfinished: true, save, dispose, fork };
  return session as unknown as ModelSession;
}

/** A model whose sessions have the ids 1, 2 and so on. */
function createModel(): Model {
  let count = 0;
  const config = { slidingLayers: [false], kvHeads: 2 };
  const open = async (id: string) =>
    files.has(id) ? createSession(id) : Promise.reject(new RangeError(id));
  const list = async () => Array.from(files, (id) => ({ id, sizeBytes: 3 }));
  const remove = async (id: string) => files.delete(id);
  const model = {
    info: { config, kvCache: 'f32' },
    sessions: { open, list, remove },
    countTokens: async () => 10,
    createSession: () => createSession(`${++count}`),
  };
  return model as unknown as Model;
}

/** The ids of the sessions that are written down. */
const listed = (): string[] =>
  JSON.parse([...stored.values()][0] ?? '[]').map(({ id }: { id: string }) => id);

const createSessions = () =>
  new ChatSessions(
    () => true,
    () => undefined,
  );

test('an answer goes on only in the session that ends in it, not in one that ends in another version', async () => {
  const model = createModel();
  const sessions = createSessions();
  await sessions.open(model, 'chat', QUESTION);
  sessions.answers('first version');
  sessions.answers('second version');
  const can = (all: ChatSessions) =>
    ['first version', 'second version'].map((turnId) => all.canResume(turnId, QUESTION));
  expect(can(sessions)).toEqual([false, true]);
  await sessions.save();
  const reloaded = createSessions();
  expect(can(reloaded)).toEqual([false, false]);
  await reloaded.open(model, 'chat', QUESTION);
  expect(can(reloaded)).toEqual([false, true]);
});

test('a session that is saved while another answer begins is not taken for either', async () => {
  const model = createModel();
  const sessions = createSessions();
  const session = await sessions.open(model, 'chat', QUESTION);
  sessions.answers('first version');
  const save = session.save.bind(session);
  vi.spyOn(session, 'save').mockImplementation(async () => {
    sessions.answers('second version');
    await save();
  });
  await sessions.save();
  const reloaded = createSessions();
  await reloaded.open(model, 'chat', QUESTION);
  expect(reloaded.canResume('first version', QUESTION)).toBe(false);
  expect(reloaded.canResume('second version', QUESTION)).toBe(false);
});

test('a session is written down before it is saved, then with the bytes that it takes', async () => {
  const sessions = createSessions();
  await sessions.open(createModel(), 'chat', QUESTION);
  sessions.answers('turn');
  await sessions.save();
  expect(told).toEqual(['save 1, listed']);
  expect(sessions.keptBytes).toBe(3);
});

test('a session that cannot be written down is not saved', async () => {
  const sessions = createSessions();
  await sessions.open(createModel(), 'chat', QUESTION);
  sessions.answers('turn');
  vi.spyOn(localStorage, 'setItem').mockImplementation(() => {
    throw new DOMException('Full', 'QuotaExceededError');
  });
  await sessions.save();
  expect(told).toEqual([]);
});

test('a file that is still there when the page is closed is removed the next time', async () => {
  const model = createModel();
  const isWanted = vi.fn(() => true);
  const sessions = new ChatSessions(isWanted, () => undefined);
  await sessions.open(model, 'chat', QUESTION);
  sessions.answers('turn');
  await sessions.save();
  isWanted.mockReturnValue(false);
  vi.spyOn(model.sessions, 'remove').mockReturnValueOnce(new Promise(() => undefined));
  void sessions.tidy(model);
  expect([sessions.keptBytes, files.size]).toEqual([0, 1]);
  await createSessions().tidy(model);
  expect([listed(), files.size]).toEqual([[], 0]);
});

test('a session that fails to be saved is not listed', async () => {
  const sessions = createSessions();
  const session = await sessions.open(createModel(), 'chat', QUESTION);
  sessions.answers('turn');
  vi.spyOn(session, 'save').mockRejectedValue(new Error('Full'));
  await sessions.save();
  expect(listed()).toEqual([]);
});

test('when another chat answers, the session of the one before is saved if it is not yet, and released', async () => {
  const model = createModel();
  const sessions = createSessions();
  await sessions.open(model, 'a', QUESTION);
  sessions.answers('turn');
  await sessions.open(model, 'b', [{ role: 'user', content: 'How?' }]);
  await vi.waitFor(() => expect(told).toEqual(['save 1, listed', 'dispose 1']));
  await sessions.open(model, 'c', [{ role: 'user', content: 'When?' }]);
  await vi.waitFor(() => expect(told.slice(2)).toEqual(['dispose 2']));
  expect(listed()).toEqual(['1']);
});
