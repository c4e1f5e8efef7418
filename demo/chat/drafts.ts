import { readLocal, storageKey, writeLocal } from '../storage-key.ts';

const KEY = 'drafts';
/** Drafts beyond this many are forgotten, the oldest first. */
const MAX_DRAFTS = 50;

/** The unsent text of a chat; of a chat without turns, the id is `new`. */
export function readDraft(chatId: string): string {
  return readAll()[chatId] ?? '';
}

/** Keeps the unsent text of a chat; an empty text removes it. */
export function writeDraft(chatId: string, text: string): void {
  const { [chatId]: _, ...others } = readAll();
  const kept = Object.entries(others).slice(-MAX_DRAFTS);
  const drafts = Object.fromEntries(text === '' ? kept : [...kept, [chatId, text]]);
  writeLocal(storageKey(KEY), JSON.stringify(drafts));
}

function readAll(): Readonly<Record<string, string>> {
  try {
    const found: unknown = JSON.parse(readLocal(storageKey(KEY)) ?? '{}');
    if (typeof found !== 'object' || found === null) return {};
    return Object.fromEntries(
      Object.entries(found).filter(
        (entry): entry is [string, string] => typeof entry[1] === 'string',
      ),
    );
  } catch {
    return {};
  }
}
