import { expect } from 'vitest';
import { gpuTest } from '../../test/gpu.ts';
import { createRandom } from '../../test/random.ts';
import { checksumBuffers } from './checksum.ts';

/** The same sums, in exact integers. */
function expected(words: Uint32Array): [number, number] {
  const mixed = (word: bigint): bigint => {
    const a = ((word ^ (word >> 16n)) * 0x85ebca6bn) & 0xffffffffn;
    const b = ((a ^ (a >> 13n)) * 0xc2b2ae35n) & 0xffffffffn;
    return b ^ (b >> 16n);
  };
  let sums: [bigint, bigint] = [0n, 0n];
  for (const [i, word] of words.entries()) {
    const value = mixed((BigInt(word) + mixed(BigInt(i + 1))) & 0xffffffffn);
    sums = [sums[0] + value, sums[1] + mixed((value + 1n) & 0xffffffffn)];
  }
  return [Number(sums[0] & 0xffffffffn), Number(sums[1] & 0xffffffffn)];
}

gpuTest('checksums are those of integers, for buffers of any size', async ({ gpu, buffers }) => {
  const random = createRandom(1);
  const all = [1, 3, 256, 1000, 65_536, 65_539].map((length) =>
    Uint32Array.from({ length }, () => random.integer(2 ** 32)),
  );
  const sources = all.map((words, i) => buffers.storageOf(`${i}`, words));
  expect([...(await checksumBuffers(gpu, sources))]).toEqual(all.flatMap(expected));
});

gpuTest('a checksum changes with any word, and with the order of words', async (gpu) => {
  const words = Uint32Array.from({ length: 700 }, (_, i) => i % 5);
  const changed = words.with(699, 5);
  const swapped = words.with(10, words[11]!).with(11, words[10]!);
  const sources = [words, changed, swapped, words].map((data) => gpu.upload(data));
  const sums = await checksumBuffers(gpu.gpu, sources);
  const pairs = [0, 1, 2, 3].map((i) => `${sums[2 * i]} ${sums[2 * i + 1]}`);
  expect(pairs[3]).toBe(pairs[0]);
  expect(new Set(pairs).size).toBe(3);
});
