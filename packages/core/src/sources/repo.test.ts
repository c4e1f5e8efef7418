import { expect, test } from 'vitest';
import { ggufPath } from '../formats/gguf-files.ts';
import { HuggingFaceSource } from './hugging-face.ts';
import { openSource } from './open-source.ts';
import { claimedId, parseRepo } from './repo.ts';

const idAt = (baseUrl: string | undefined, text = 'owner/name'): string => {
  const repo = parseRepo(text);
  return repo ? new HuggingFaceSource(repo, baseUrl === undefined ? {} : { baseUrl }).id : '';
};

test('the id of a repo says which mirror it is read through', () => {
  expect(idAt(undefined)).toBe('owner/name@main');
  expect(idAt('https://huggingface.co')).toBe('owner/name@main');
  expect(idAt('https://HuggingFace.co:443/')).toBe('owner/name@main');
  expect(idAt('https://mirror.example')).toBe('owner/name@main via https://mirror.example');
  expect(idAt('https://mirror.example/hf/')).toBe('owner/name@main via https://mirror.example/hf');
  expect(idAt('http://huggingface.co')).toBe('owner/name@main via http://huggingface.co');
  expect(() => idAt('https://user:secret@mirror.example')).toThrow(/^(?!.*secret)/);
});

test.each([
  ['owner/name@main', 'owner/name@main', undefined],
  ['owner/name@main via https://m.example/hf', 'owner/name@main', undefined],
  ['owner/name/a/b.gguf@v2 via https://m.example', 'owner/name/a/b.gguf@v2', 'a/b.gguf'],
  ['import:owner/name/a.gguf@main', 'owner/name/a.gguf@main', 'a.gguf'],
  ['https://m.example/models/a.gguf', 'https://m.example/models/a.gguf', 'a.gguf'],
  ['import:https://m.example/a.gguf', 'https://m.example/a.gguf', 'a.gguf'],
])('%s claims to be %s', (id, claimed, gguf) => {
  expect(claimedId(id)).toBe(claimed);
  expect(ggufPath(id)).toBe(gguf);
});

test('an import is read from the store alone', async () => {
  const source = await openSource('import:owner/name');
  expect(source.id).toBe('import:owner/name@main');
  const error = {
    code: 'download-failed',
    message: expect.stringContaining('Import its files again'),
  };
  await expect(source.list()).rejects.toMatchObject(error);
  await expect(source.size('config.json')).rejects.toMatchObject(error);
  const into = new Uint8Array(1);
  await expect(source.read({ path: 'a', offsetBytes: 0 }, into)).rejects.toMatchObject(error);
});
