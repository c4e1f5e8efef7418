// What a page that closes could not store any more.
import type { ChatLibrary } from '../chats/chat-library.ts';
import { type ChatRecord, type Turn, withTurn } from '../chats/chat-record.ts';
import { readTab, storageKey, writeTab } from '../storage-key.ts';
import type { Chat, Rescued } from './chat.ts';

/** Key of the answer that was being generated when this tab was reloaded: a database takes too long then. */
const KEY = storageKey('rescued');

/** What is kept over a reload. */
interface Kept extends Rescued {
  /** The chat, if it is not stored either. */
  readonly chat?: ChatRecord;
}

/** Keeps an answer in progress over a reload of the tab, and asks the user to stay while changes could not be stored. */
export function watchEnd(chat: Chat, library: ChatLibrary): void {
  addEventListener('pagehide', () => {
    const { unstored, record } = chat;
    if (unstored === undefined) return;
    const isStored = library.isStored(unstored.chatId);
    const kept: Kept = isStored ? unstored : { ...unstored, chat: record };
    writeTab(KEY, JSON.stringify(kept));
  });
  addEventListener('beforeunload', (event) => {
    if (library.trouble !== undefined) event.preventDefault();
  });
}

/** Puts the answer that was in progress when this tab was reloaded back into its chat. */
export function takeRescued(library: ChatLibrary): void {
  const found = readTab(KEY);
  writeTab(KEY, undefined);
  if (found === undefined) return;
  const { chatId, turn, chat } = JSON.parse(found) as Kept; // written by watchEnd alone
  if (chat && library.get(chatId) === undefined) library.add(chat);
  const stored = library.get(chatId)?.turns.find(({ id }) => id === turn.id);
  if (stored === undefined || (stored.outcome === undefined && isLonger(turn, stored)))
    library.change(chatId, (chat) => withTurn(chat, turn));
}

const isLonger = (turn: Turn, stored: Turn): boolean =>
  JSON.stringify(turn.parts).length > JSON.stringify(stored.parts).length;
