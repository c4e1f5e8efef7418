import { beforeEach, expect, test, vi } from 'vitest';
import { readDraft, readDraftFiles, writeDraft, writeDraftFiles } from './drafts.ts';

const files = new Map<string, unknown>();
const texts = new Map<string, string>();

vi.mock('idb-keyval', () => ({
  createStore: () => undefined,
  get: async (id: string) => files.get(id),
  set: async (id: string, value: unknown) => files.set(id, value),
  del: async (id: string) => files.delete(id),
}));

beforeEach(() => {
  files.clear();
  texts.clear();
  vi.stubGlobal('location', { href: 'https://example.com/' });
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => texts.get(key) ?? null,
    setItem: (key: string, text: string) => texts.set(key, text),
    removeItem: (key: string) => texts.delete(key),
  });
});

test('of more than fifty drafts, the oldest is forgotten with its files', async () => {
  writeDraft('chat 0', '', true); // files alone
  await writeDraftFiles('chat 0', [{ name: 'b.txt', text: 'b' }]);
  for (let index = 1; index < 50; index++) writeDraft(`chat ${index}`, 'text', false);
  expect(await readDraftFiles('chat 0')).toHaveLength(1);
  writeDraft('chat 50', 'text', false);
  expect(await readDraftFiles('chat 0')).toEqual([]);
  expect(readDraft('chat 1')).toBe('text');
});

test('an empty text removes a draft without files', () => {
  writeDraft('chat', 'text', false);
  writeDraft('chat', '', false);
  expect([...texts.values()]).toEqual(['{}']);
});
