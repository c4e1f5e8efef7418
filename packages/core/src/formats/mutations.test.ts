import { expect, test } from 'vitest';
import { FUZZ_SEED, fuzzRuns } from '../../test/fuzz.ts';
import { GGML_TYPE, type GgufTensorFile, writeGguf } from '../../test/gguf-file.ts';
import { createRandom, type Random } from '../../test/random.ts';
import { frameHeader, writeSafetensors } from '../../test/safetensors-file.ts';
import { isOssicleError } from '../errors.ts';
import type { ByteSource, SourceFile } from '../sources/byte-source.ts';
import { readGgufHeader } from './gguf.ts';
import { parseSafetensorsHeader, readSafetensorsHeader } from './safetensors.ts';

const MAX_ALLOCATED_BYTES = 64 * 2 ** 20;

/** Edge cases of counts, lengths and offsets. */
const EDGES = [
  0n,
  1n,
  2n,
  31n,
  255n,
  2n ** 16n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 53n,
  2n ** 64n - 1n,
];

/** How many mutants were read, and how many were rejected with each error. */
interface Outcomes {
  readonly valid: number;
  readonly invalid: number;
  readonly truncated: number;
}

/** Reads mutants of a file; any error but `format-invalid` and `integrity` fails the test. */
async function readMutants(
  mutants: number,
  next: Random,
  original: Uint8Array,
  read: (file: Uint8Array<ArrayBuffer>) => unknown,
): Promise<Outcomes> {
  const outcomes = { valid: 0, invalid: 0, truncated: 0 };
  for (let i = 0; i < mutants; i++) {
    const file = mutate(next, original);
    try {
      await read(file);
      outcomes.valid++;
    } catch (error) {
      if (isOssicleError(error) && error.code === 'format-invalid') outcomes.invalid++;
      else if (isOssicleError(error) && error.code === 'integrity') outcomes.truncated++;
      else
        throw new Error(`mutant ${i}: ${Buffer.from(file).toString('base64')}`, { cause: error });
    }
  }
  return outcomes;
}

/** Makes one to three changes: flips bits, sets bytes or fields, cuts, doubles or moves pieces, or cuts the end off. */
function mutate(next: Random, original: Uint8Array): Uint8Array<ArrayBuffer> {
  let file = original.slice();
  for (let changes = 1 + next.integer(3); changes > 0; changes--) {
    const at = next.integer(file.length);
    const length = Math.min(file.length - at, 1 + next.integer(24));
    switch (next.integer(7)) {
      case 0:
        file[at]! ^= 1 << next.integer(8);
        break;
      case 1:
        file[at] = next.integer(256);
        break;
      case 2: {
        const field = new DataView(new ArrayBuffer(8));
        field.setBigUint64(0, EDGES[next.integer(EDGES.length)]!, true);
        const width = next.integer(2) === 0 ? 4 : 8;
        file.set(new Uint8Array(field.buffer, 0, Math.min(width, file.length - at)), at);
        break;
      }
      case 3:
        file = splice(file, at, length, new Uint8Array(0));
        break;
      case 4:
        file = splice(file, at, 0, file.slice(at, at + length));
        break;
      case 5:
        file.copyWithin(at, next.integer(file.length), file.length);
        break;
      default:
        if (next.integer(8) === 0) file = file.slice(0, at + 1);
    }
  }
  return file;
}

function splice(
  file: Uint8Array,
  at: number,
  remove: number,
  insert: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const spliced = new Uint8Array(file.length - remove + insert.length);
  spliced.set(file.subarray(0, at));
  spliced.set(insert, at);
  spliced.set(file.subarray(at + remove), at + insert.length);
  return spliced;
}

/** A source of one file that tracks the largest read. */
function countedSource(file: Uint8Array, sizeBytes: number = file.length) {
  let largest = 0;
  const source: ByteSource = {
    id: 'memory',
    size: async () => sizeBytes,
    list: async () => ['m'],
    stream: () => {
      throw new Error('headers are not streamed');
    },
    read: async ({ offsetBytes }, into) => {
      largest = Math.max(largest, into.length);
      into.set(file.subarray(offsetBytes, offsetBytes + into.length));
    },
  };
  return { source, largest: () => largest };
}

const fileOf = ({ length }: Uint8Array): SourceFile => ({ path: 'm', sizeBytes: length });

const tensor = (name: string, type: number, shape: number[], bytes: number): GgufTensorFile => ({
  name,
  type,
  shape,
  bytes: new Uint8Array(bytes).fill(3),
});

const GGUF = writeGguf({
  metadata: {
    'general.architecture': ['text', 'gpt-oss'],
    'general.alignment': ['u32', 32],
    'gpt-oss.block_count': ['u32', 1],
    'gpt-oss.rope.freq_base': ['f32', 150000],
    'gpt-oss.flag': ['bool', 1],
    'tokenizer.ggml.tokens': ['texts', ['a', 'b', 'ab', '<|start|>']],
    'tokenizer.ggml.token_type': ['i32s', [1, 1, 1, 3]],
    'tokenizer.ggml.merges': ['texts', ['a b']],
    'split.count': ['u16', 0],
  },
  tensors: [
    tensor('token_embd.weight', GGML_TYPE.BF16, [4, 32], 256),
    tensor('blk.0.ffn_gate_exps.weight', GGML_TYPE.MXFP4, [2, 2, 32], 68),
    tensor('blk.0.ffn_gate_exps.bias', GGML_TYPE.F32, [2, 2], 16),
    tensor('output.weight', GGML_TYPE.Q8_0, [4, 32], 136),
  ],
});

const SAFETENSORS = writeSafetensors(
  new Map([
    ['model.norm.weight', { dtype: 'BF16', shape: [8], bytes: new Uint8Array(16) }],
    ['lm_head.weight', { dtype: 'BF16', shape: [4, 8], bytes: new Uint8Array(64) }],
    ['model.layers.0.mlp.b', { dtype: 'U8', shape: [2, 2, 1, 16], bytes: new Uint8Array(64) }],
    ['model.layers.0.mlp.s', { dtype: 'U8', shape: [2, 2, 1], bytes: new Uint8Array(4) }],
  ]),
);

test('mutated safetensors files are each read or rejected', async () => {
  const mutants = fuzzRuns('safetensors');
  parseSafetensorsHeader(SAFETENSORS, fileOf(SAFETENSORS));
  const outcomes = await readMutants(mutants, createRandom(FUZZ_SEED), SAFETENSORS, (file) =>
    parseSafetensorsHeader(file, fileOf(file)),
  );
  expect(outcomes.invalid).toBeGreaterThan(mutants / 3);
  expect(outcomes.truncated).toBeGreaterThan(mutants / 100);
  expect(outcomes.valid).toBeGreaterThan(mutants / 100);
});

test('mutated GGUF files are each read or rejected', async () => {
  const mutants = fuzzRuns('gguf');
  await readGgufHeader(countedSource(GGUF).source, fileOf(GGUF));
  let largest = 0;
  const outcomes = await readMutants(mutants, createRandom(FUZZ_SEED + 1), GGUF, async (file) => {
    const counted = countedSource(file);
    try {
      await readGgufHeader(counted.source, fileOf(file));
    } finally {
      largest = Math.max(largest, counted.largest());
    }
  });
  expect(outcomes.invalid).toBeGreaterThan(mutants / 3);
  expect(outcomes.truncated).toBeGreaterThan(mutants / 100);
  expect(outcomes.valid).toBeGreaterThan(mutants / 100);
  expect(largest).toBeLessThan(MAX_ALLOCATED_BYTES);
});

test('mutated headers of 4 TiB files never cause a read of 8 MiB or more', async () => {
  const next = createRandom(FUZZ_SEED + 2);
  let largest = 0;
  for (let i = 0; i < 20_000; i++) {
    for (const [original, read] of [
      [GGUF, readGgufHeader],
      [SAFETENSORS, readSafetensorsHeader],
    ] as const) {
      const { source, ...counted } = countedSource(mutate(next, original), 2 ** 42);
      if (original === GGUF)
        await readGgufHeader(source, { path: 'm', sizeBytes: 2 ** 42 }).catch(expectRefusal);
      else await read(source, { path: 'm', sizeBytes: 2 ** 42 }).catch(expectRefusal);
      largest = Math.max(largest, counted.largest());
    }
  }
  expect(largest).toBeLessThan(8 * 2 ** 20);
});

function expectRefusal(error: unknown): void {
  if (!(isOssicleError(error) && ['format-invalid', 'integrity'].includes(error.code))) throw error;
}

/** Headers of 2 MiB designed to take as much memory as possible. */
const GREEDY_JSON: readonly (readonly [name: string, text: string])[] = [
  ['nested objects', '{"a":'.repeat(400_000)],
  ['nested arrays', '['.repeat(2 ** 21)],
  ['empty objects', `{"a":[${'{},'.repeat(699_000)}{}]}`],
  ['empty arrays', `{"a":[${'[],'.repeat(699_000)}[]]}`],
  ['entries', `{${Array.from({ length: 130_000 }, (_, i) => `"${i}":[{}]`).join()}}`],
  ['shapes', `{"a":{"dtype":"U8","shape":[${'1,'.repeat(2 ** 20 - 100)}1],"data_offsets":[0,1]}}`],
];

test.each(GREEDY_JSON)('a safetensors header of %s is rejected within 64 MiB', async (_, text) => {
  const header = frameHeader(text.slice(0, 2 ** 21 - 8));
  const { source, largest } = countedSource(header, header.length + 1);
  const before = process.memoryUsage();
  const error = await readSafetensorsHeader(source, {
    path: 'm',
    sizeBytes: header.length + 1,
  }).catch((reason: unknown) => reason);
  const after = process.memoryUsage();
  expect(error).toMatchObject({ code: 'format-invalid' });
  expect(largest()).toBeLessThan(2 ** 21 + 8);
  const grown = after.heapUsed + after.external - before.heapUsed - before.external;
  expect(grown).toBeLessThan(MAX_ALLOCATED_BYTES);
});

test('a safetensors header above 2 MiB is rejected unread', async () => {
  const file = new Uint8Array(16);
  new DataView(file.buffer).setBigUint64(0, 2n ** 21n + 1n, true);
  const { source, largest } = countedSource(file, 2 ** 40);
  await expect(
    readSafetensorsHeader(source, { path: 'm', sizeBytes: 2 ** 40 }),
  ).rejects.toMatchObject({
    code: 'format-invalid',
    message: expect.stringContaining('2097153'),
  });
  expect(largest()).toBeLessThanOrEqual(65536);
});

test('a GGUF header with the most and longest names allowed is read within 64 MiB', async () => {
  const long = (i: number) => `${i}`.padEnd(256, 'x');
  const names = Array.from({ length: 16384 }, (_, i) => long(i));
  const file = writeGguf({
    metadata: Object.fromEntries(
      names.slice(0, 4096).map((key) => [key, ['text', key.repeat(4)] as const]),
    ),
    tensors: names.map((name) => tensor(name, GGML_TYPE.F32, [1, 1, 1, 1], 4)),
  });
  const { source, largest } = countedSource(file);
  const before = process.memoryUsage();
  const header = await readGgufHeader(source, fileOf(file));
  const after = process.memoryUsage();
  expect([header.metadata.size, header.tensors.size]).toEqual([4096, 16384]);
  expect(largest()).toBeLessThanOrEqual(4 * 2 ** 20);
  const grown = after.heapUsed + after.external - before.heapUsed - before.external;
  expect(grown).toBeLessThan(MAX_ALLOCATED_BYTES);
});

test('a GGUF header with 2^40 empty texts is rejected after reads of at most 4 MiB', async () => {
  const file = writeGguf({ metadata: { words: ['texts', []] }, tensors: [] });
  const view = new DataView(file.buffer);
  view.setBigUint64(Buffer.from(file.buffer).indexOf('words') + 5 + 8, 6_000_000n, true);
  // After its first 64 bytes, the file is all zeros: empty texts.
  const { source, largest } = countedSource(file.slice(0, 64), 2 ** 42);
  await expect(readGgufHeader(source, { path: 'm', sizeBytes: 2 ** 42 })).resolves.toBeDefined();
  view.setBigUint64(Buffer.from(file.buffer).indexOf('words') + 5 + 8, 2n ** 40n, true);
  const endless = countedSource(file.slice(0, 64), 2 ** 42);
  await expect(
    readGgufHeader(endless.source, { path: 'm', sizeBytes: 2 ** 42 }),
  ).rejects.toMatchObject({
    code: 'format-invalid',
  });
  expect(Math.max(largest(), endless.largest())).toBeLessThanOrEqual(4 * 2 ** 20);
});
