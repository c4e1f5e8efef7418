import { beforeEach, expect, test, vi } from 'vitest';
import type { ChatLibrary } from './chat-library.ts';
import { type ChatRecord, newChat, type Turn, withTurn } from './chat-record.ts';

/** What is stored, as in IndexedDB: copies. */
const database = new Map<string, ChatRecord>();
let isFull = false;
/** A chat with this title is too large to be stored. */
const TOO_LARGE = 'Too large';
let transactions = 0;
/** Runs once, in the midst of the next read. */
let meanwhile: (() => void) | undefined;
/** Tells the library of a change by another tab. */
let notice: (id: string) => void;

vi.mock('idb-keyval', () => ({
  createStore: () => async (_mode: string, use: (objects: unknown) => Promise<unknown>) => {
    const transaction = { ended: Promise.resolve() };
    transactions++;
    const objects = {
      transaction,
      get: (id: string) => {
        const read = { result: undefined as unknown, onsuccess: () => undefined };
        transaction.ended = transaction.ended.then(() => {
          read.result = structuredClone(database.get(id));
          read.onsuccess();
          meanwhile?.();
          meanwhile = undefined;
        });
        return read;
      },
      put: (chat: ChatRecord, id: string) => {
        if (isFull || chat.title === TOO_LARGE)
          throw new DOMException('full', 'QuotaExceededError');
        database.set(id, structuredClone(chat));
      },
      delete: (id: string) => database.delete(id),
    };
    return use(objects);
  },
  promisifyRequest: (transaction: { ended: Promise<void> }) => transaction.ended,
  entries: async () => structuredClone([...database]),
  get: async (id: string) => {
    const found = structuredClone(database.get(id));
    meanwhile?.();
    meanwhile = undefined;
    return found;
  },
}));

const turn = (prompt: string, parent: string | null = null): Turn => ({
  ...{ id: prompt, prompt, parent, askedAt: 0, files: [], usesTools: false },
  ...{ parts: [], reply: [] },
});

const prompts = (chat: ChatRecord | undefined): readonly string[] =>
  chat?.turns.map(({ prompt }) => prompt) ?? [];

let library: ChatLibrary;
let id: string;

/** Asks a question in this tab. */
const ask = (prompt: string): void => library.change(id, (chat) => withTurn(chat, turn(prompt)));

/** Asks a question in another tab. */
function askElsewhere(prompt: string): void {
  const chat = database.get(id);
  if (chat) database.set(id, withTurn(chat, turn(prompt)));
  notice(id);
}

beforeEach(async () => {
  vi.stubGlobal('location', { href: 'https://demo.example/' });
  vi.stubGlobal(
    'BroadcastChannel',
    class {
      addEventListener(_type: string, listener: (event: unknown) => void): void {
        notice = (changed) => listener({ data: { id: changed } });
      }
      postMessage(): void {
        // No other tab listens.
      }
    },
  );
  isFull = false;
  meanwhile = undefined;
  database.clear();
  const { ChatLibrary: Library } = await import('./chat-library.ts');
  library = new Library();
  const chat = newChat();
  ({ id } = chat);
  library.add(chat);
  ask('first');
  await library.settled;
});

test('what could not be written is written with the next change', async () => {
  isFull = true;
  ask('second');
  await library.settled;
  expect(library.trouble).toBeInstanceOf(DOMException);
  isFull = false;
  ask('third');
  await library.settled;
  expect(library.trouble).toBeUndefined();
  expect(prompts(database.get(id))).toEqual(['first', 'second', 'third']);
});

test('what could not be written stays when another tab changes the chat', async () => {
  isFull = true;
  ask('second');
  await library.settled;
  askElsewhere('elsewhere');
  await library.settled;
  expect(prompts(library.get(id))).toEqual(['first', 'elsewhere', 'second']);
  isFull = false;
  library.change(id, (chat) => ({ ...chat, title: 'Name' }));
  await library.settled;
  expect(prompts(database.get(id))).toEqual(['first', 'elsewhere', 'second']);
});

test('a change made while another tab’s is read stays', async () => {
  meanwhile = () => ask('second');
  askElsewhere('elsewhere');
  await library.settled;
  await library.settled;
  expect(prompts(library.get(id))).toEqual(['first', 'elsewhere', 'second']);
  expect(prompts(database.get(id))).toEqual(['first', 'elsewhere', 'second']);
});

test('a change made while another is written is written too', async () => {
  meanwhile = () => ask('third');
  ask('second');
  await library.settled;
  await library.settled;
  expect(prompts(database.get(id))).toEqual(['first', 'second', 'third']);
});

test('a chat deleted while another tab’s change of it is read stays away', async () => {
  meanwhile = () => library.remove(id);
  askElsewhere('elsewhere');
  await library.settled;
  await library.settled;
  expect(library.get(id)).toBeUndefined();
  expect(database.size).toBe(0);
});

test('a chat deleted in another tab goes, whatever is changed here', async () => {
  database.delete(id);
  ask('second');
  await library.settled;
  expect(library.get(id)).toBeUndefined();
  expect(database.size).toBe(0);
});

test('instructions of a chat without turns can be taken back', async () => {
  const chat = newChat();
  library.add(chat);
  library.change(chat.id, (before) => ({ ...before, instructions: 'Rhyme.' }));
  await library.settled;
  expect(database.get(chat.id)?.instructions).toBe('Rhyme.');
  library.change(chat.id, (before) => ({ ...before, instructions: '' }));
  await library.settled;
  expect(database.get(chat.id)?.instructions).toBe('');
});

test('chats that are added together are stored in one transaction', async () => {
  const before = transactions;
  for (let index = 0; index < 200; index++) library.add(withTurn(newChat(), turn('imported')));
  await library.settled;
  expect(database.size).toBe(201);
  expect(transactions - before).toBe(1);
});

test('a chat that is too large keeps no other from being stored', async () => {
  const [large, small] = [TOO_LARGE, 'Small'].map((title) => ({
    ...withTurn(newChat(), turn('imported')),
    title,
  }));
  if (!large || !small) throw new Error('not made');
  library.add(large);
  library.add(small);
  await library.settled;
  expect([database.has(large.id), database.has(small.id)]).toEqual([false, true]);
  expect(library.trouble).toBeInstanceOf(DOMException);
});
