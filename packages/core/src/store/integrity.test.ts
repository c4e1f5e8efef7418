import { expect, test } from 'vitest';
import { isSha256 } from '../sha256.ts';
import { checkIntegrity, PUBLISHED_HASHES } from './integrity.ts';

const HASH = 'ab'.repeat(32);

test('the integrity option takes SHA-256 hashes, and requires the store', () => {
  checkIntegrity(undefined, false);
  checkIntegrity({ 'model.safetensors': HASH }, true);
  for (const wrong of ['', 'ab', HASH.toUpperCase(), `${HASH}00`]) {
    expect(() => checkIntegrity({ 'model.safetensors': wrong }, true)).toThrow(TypeError);
  }
  expect(() => checkIntegrity({ 'model.safetensors': HASH }, false)).toThrow('store');
});

test('the built-in hashes are SHA-256 of seven files', () => {
  const known = Object.values(PUBLISHED_HASHES['openai/gpt-oss-20b@main'] ?? {});
  expect(known).toHaveLength(7);
  expect(known.every(isSha256)).toBe(true);
});
