import { expect, test, vi } from 'vitest';
import type { ChatLibrary } from '../chats/chat-library.ts';
import { type ChatRecord, newChat, type Turn } from '../chats/chat-record.ts';
import type { Chat } from './chat.ts';
import { takeRescued, watchEnd } from './rescue.ts';

vi.hoisted(() => vi.stubGlobal('location', { href: 'https://example.com/' }));

const turn = (text: string) =>
  ({ id: 'turn', prompt: 'Hi', parts: [{ type: 'text', text }] }) as unknown as Turn;

/** Closes a page that shows an answer in a chat, and opens it again with the chats that are stored. */
function reload(chat: ChatRecord, stored: readonly ChatRecord[]): ReadonlyMap<string, ChatRecord> {
  let leave = (): void => undefined;
  const kept = new Map<string, string>();
  vi.stubGlobal('addEventListener', (type: string, listener: () => void) => {
    if (type === 'pagehide') leave = listener;
  });
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, text: string) => kept.set(key, text),
    removeItem: (key: string) => kept.delete(key),
  });
  const chats = new Map(stored.map((each) => [each.id, each]));
  const library = {
    isStored: (id: string) => chats.has(id),
    get: (id: string) => chats.get(id),
    add: (added: ChatRecord) => chats.set(added.id, added),
    change: (id: string, recipe: (chat: ChatRecord) => ChatRecord) => {
      const found = chats.get(id);
      if (found) chats.set(id, recipe(found));
    },
  } as unknown as ChatLibrary;
  const unstored = { chatId: chat.id, turn: turn('An answer in progress') };
  watchEnd({ unstored, record: chat } as unknown as Chat, library);
  leave();
  takeRescued(library);
  return chats;
}

test.each([
  ['is stored', true],
  ['is not stored yet', false],
])('an answer in progress in a chat that %s stays over a reload', (_, isStored) => {
  const chat = { ...newChat(), turns: [turn('An')] };
  const chats = reload(chat, isStored ? [chat] : []);
  expect(chats.get(chat.id)?.turns).toEqual([turn('An answer in progress')]);
});
