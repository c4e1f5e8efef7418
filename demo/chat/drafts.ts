import { createStore, del, get, set, type UseStore } from 'idb-keyval';
import type { AttachedFile } from '../chats/chat-record.ts';
import { readLocal, storageKey, writeLocal } from '../storage-key.ts';

const KEY = 'drafts';
/** Drafts beyond this many are forgotten, the oldest first. */
const MAX_DRAFTS = 50;

let objects: UseStore | undefined;
/** Files of drafts are kept in IndexedDB: local storage has room for 5 MB of all. */
const fileStore = (): UseStore => {
  objects ??= createStore(storageKey('draft-files'), 'files');
  return objects;
};

/** The unsent text of a chat; of a chat without turns, the id is `new`. */
export function readDraft(chatId: string): string {
  return readAll()[chatId] ?? '';
}

/** Keeps the unsent text of a chat; an empty text removes it unless its draft has files. */
export function writeDraft(chatId: string, text: string, hasFiles: boolean): void {
  const { [chatId]: _, ...others } = readAll();
  const drafts = Object.entries(others);
  if (text !== '' || hasFiles) drafts.push([chatId, text]);
  const forgotten = drafts.splice(0, Math.max(0, drafts.length - MAX_DRAFTS));
  for (const [id] of forgotten) void writeDraftFiles(id, []);
  writeLocal(storageKey(KEY), JSON.stringify(Object.fromEntries(drafts)));
}

/** The unsent files of a chat. */
export async function readDraftFiles(chatId: string): Promise<readonly AttachedFile[]> {
  const found = await get<readonly AttachedFile[]>(chatId, fileStore()).catch(() => undefined);
  return found ?? [];
}

/** Keeps the unsent files of a chat. A browser that refuses loses them with the page. */
export async function writeDraftFiles(
  chatId: string,
  files: readonly AttachedFile[],
): Promise<void> {
  const written =
    files.length === 0 ? del(chatId, fileStore()) : set(chatId, [...files], fileStore());
  await written.catch(() => undefined);
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
