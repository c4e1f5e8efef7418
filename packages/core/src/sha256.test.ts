import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { createRandom } from '../test/random.ts';
import { Sha256, toHex } from './sha256.ts';

function randomBytes(size: number, seed: number): Uint8Array {
  const random = createRandom(seed);
  return Uint8Array.from({ length: size }, () => random.integer(256));
}

const expected = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test("the standard's examples have their published hashes", () => {
  const hash = (text: string): string => {
    const sha256 = new Sha256();
    sha256.update(new TextEncoder().encode(text));
    return toHex(sha256.digest());
  };
  expect(hash('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  expect(hash('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  expect(hash('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq')).toBe(
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  );
});

test('every length around block boundaries is padded correctly', () => {
  for (let size = 0; size <= 200; size++) {
    const bytes = randomBytes(size, size);
    const sha256 = new Sha256();
    sha256.update(bytes);
    expect(toHex(sha256.digest())).toBe(expected(bytes));
  }
});

test('pieces of any size give the hash of the whole, and updates may follow a digest', () => {
  const random = createRandom(7);
  const bytes = randomBytes(100_000, 8);
  const sha256 = new Sha256();
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + random.integer(300));
    sha256.update(bytes.subarray(at, end));
    at = end;
    if (random.integer(20) === 0) {
      expect(toHex(sha256.digest())).toBe(expected(bytes.subarray(0, at)));
    }
  }
  expect(toHex(sha256.digest())).toBe(expected(bytes));
});

test('a hash resumes from a saved state', () => {
  const bytes = randomBytes(5000, 9);
  const first = new Sha256();
  first.update(bytes.subarray(0, 4096));
  const second = new Sha256({ state: first.state(), sizeBytes: 4096 });
  second.update(bytes.subarray(4096));
  expect(toHex(second.digest())).toBe(expected(bytes));
});

test('a state within a block throws a RangeError', () => {
  const sha256 = new Sha256();
  sha256.update(new Uint8Array(65));
  expect(() => sha256.state()).toThrow(RangeError);
  expect(() => new Sha256({ state: new Uint8Array(32), sizeBytes: 65 })).toThrow(RangeError);
  expect(() => new Sha256({ state: new Uint8Array(31), sizeBytes: 64 })).toThrow(RangeError);
});
