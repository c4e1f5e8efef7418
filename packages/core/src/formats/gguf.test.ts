import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readTestFile } from '../../test/files.ts';
import {
  GGML_TYPE,
  type GgufContents,
  type GgufTensorFile,
  type MetadataValue,
  writeGguf,
} from '../../test/gguf-file.ts';
import type { ByteSource } from '../sources/byte-source.ts';
import { FileSource } from '../sources/file-source.ts';
import {
  type GgufArray,
  type GgufHeader,
  readGgufHeader,
  readIntegers,
  readTexts,
} from './gguf.ts';

const PATH = 'm.gguf';

function sourceOf(file: Uint8Array<ArrayBuffer>): ByteSource {
  return new FileSource('memory', new Map([[PATH, new Blob([file])]]));
}

function read(file: Uint8Array<ArrayBuffer>): Promise<GgufHeader> {
  return readGgufHeader(sourceOf(file), { path: PATH, sizeBytes: file.length });
}

const a: GgufTensorFile = {
  name: 'a',
  type: GGML_TYPE.BF16,
  shape: [3, 2],
  bytes: Uint8Array.from({ length: 12 }, (_, i) => i),
};
const b: GgufTensorFile = {
  name: 'b',
  type: GGML_TYPE.MXFP4,
  shape: [2, 3, 64],
  bytes: new Uint8Array(2 * 3 * 34).fill(7),
};
const metadata: Record<string, MetadataValue> = {
  'general.architecture': ['text', 'gpt-oss'],
  count: ['u32', 24],
  big: ['u64', 2 ** 40],
  signed: ['i32', -5],
  small: ['u8', 200],
  epsilon: ['f32', 1e-5],
  flag: ['bool', 1],
  words: ['texts', ['', 'zwei', '<|start|>', 'é']],
  numbers: ['i32s', [1, -2, 3]],
};

test('metadata and tensors are found by name, with offsets from the start of the file', async () => {
  const file = writeGguf({ metadata, tensors: [a, b] });
  const header = await read(file);
  expect(Object.fromEntries(header.metadata)).toMatchObject({
    'general.architecture': 'gpt-oss',
    count: 24,
    big: 2 ** 40,
    signed: -5,
    small: 200,
    epsilon: Math.fround(1e-5),
    flag: true,
    words: { elementType: 'text', length: 4 },
    numbers: { elementType: 'i32', length: 3 },
  });
  const start = file.length - 256;
  expect([...header.tensors]).toEqual([
    ['a', { type: 'BF16', shape: [3, 2], offsetBytes: start, sizeBytes: 12 }],
    ['b', { type: 'MXFP4', shape: [2, 3, 64], offsetBytes: start + 32, sizeBytes: 204 }],
  ]);
  expect(file.slice(start, start + 12)).toEqual(a.bytes);
});

test('arrays are read on demand, if they have the expected element type', async () => {
  const file = writeGguf({ metadata, tensors: [] });
  const { metadata: found } = await read(file);
  const source = sourceOf(file);
  const place = { path: PATH, sizeBytes: file.length };
  const words = found.get('words') as GgufArray;
  expect(await readTexts(source, place, words)).toEqual(['', 'zwei', '<|start|>', 'é']);
  const numbers = found.get('numbers') as GgufArray;
  expect([...(await readIntegers(source, place, numbers))]).toEqual([1, -2, 3]);
  await expect(readTexts(source, place, numbers)).rejects.toMatchObject({
    code: 'format-invalid',
    message: expect.stringContaining('numbers is an array of i32, not of texts'),
  });
  await expect(readIntegers(source, place, words)).rejects.toMatchObject({
    code: 'format-invalid',
  });
});

test('a file with another alignment is valid', async () => {
  const contents: GgufContents = {
    metadata: { 'general.alignment': ['u32', 256] },
    tensors: [a, b, { ...a, name: 'c' }],
    alignment: 256,
  };
  const file = writeGguf(contents);
  const { tensors } = await read(file);
  expect([...tensors.values()].map(({ offsetBytes }) => offsetBytes % 256)).toEqual([0, 0, 0]);
});

test('a vocabulary as large as the published one is skipped and read in windows of 4 MiB', async () => {
  const tokens = Array.from({ length: 201_088 }, (_, i) => `token ${i}`);
  const merges = Array.from({ length: 446_189 }, (_, i) => `left${i} right${i}`);
  const file = writeGguf({
    metadata: { tokens: ['texts', tokens], merges: ['texts', merges], last: ['u32', 7] },
    tensors: [a],
  });
  expect(file.length).toBeGreaterThan(10e6);
  const memory = sourceOf(file);
  let largest = 0;
  const source: ByteSource = {
    id: memory.id,
    size: (path) => memory.size(path),
    list: () => memory.list(),
    stream: (range) => memory.stream(range),
    read: (from, into) => {
      largest = Math.max(largest, into.length);
      return memory.read(from, into);
    },
  };
  const place = { path: PATH, sizeBytes: file.length };
  const header = await readGgufHeader(source, place);
  expect(header.metadata.get('last')).toBe(7);
  expect(largest).toBeLessThanOrEqual(4 * 2 ** 20);
  const array = header.metadata.get('merges') as GgufArray;
  const texts = await readTexts(source, place, array);
  expect(texts.length).toBe(merges.length);
  expect(texts.join() === merges.join()).toBe(true);
  expect(largest).toBeLessThanOrEqual(4 * 2 ** 20);
});

test('texts too long to be a setting are left out', async () => {
  const template = 'x'.repeat(100_000);
  const { metadata: found } = await read(
    writeGguf({
      metadata: { template: ['text', template], after: ['u32', 3] },
      tensors: [],
    }),
  );
  expect([...found]).toEqual([['after', 3]]);
});

/** The byte offset of a text in a file. */
function find(file: Uint8Array, text: string): number {
  return Buffer.from(file.buffer).indexOf(text);
}

/** A small valid file, damaged by `write`. */
function damaged(write: (view: DataView, file: Uint8Array) => void): Uint8Array<ArrayBuffer> {
  const file = writeGguf({ metadata, tensors: [a, b] });
  write(new DataView(file.buffer), file);
  return file;
}

const u32 = (at: number, value: number) => (view: DataView) => view.setUint32(at, value, true);
const u64 = (at: number, value: bigint) => (view: DataView) => view.setBigUint64(at, value, true);
/** Writes `offset` bytes after the name of a tensor or key. */
const behind =
  (name: string, offset: number, write: (at: number) => (view: DataView) => void) =>
  (view: DataView, file: Uint8Array) =>
    write(find(file, name) + name.length + offset)(view);

test.each<[string, (view: DataView, file: Uint8Array) => void, RegExp]>([
  ['begins with another magic', u32(0, 0x4755_4646), /begins with 0x47554646/],
  ['is of version 2', u32(4, 2), /version 2; version 3 can be read/],
  ['is big-endian', u32(4, 0x0300_0000), /big-endian/],
  ['declares too many tensors', u64(8, 16385n), /declares 16385 tensors/],
  ['declares endless tensors', u64(8, 2n ** 64n - 1n), /declares \d+ tensors/],
  ['declares too many entries', u64(16, 4097n), /declares 4097 metadata entries/],
  ['has an empty key', u64(24, 0n), /key of 0 bytes/],
  ['has a key too long', u64(24, 257n), /key of 257 bytes/],
  ['has a value of unknown type', behind('count', 0, (at) => u32(at, 13)), /count has .* type 13/],
  ['has a boolean 2', behind('flag', 4, (at) => (v) => v.setUint8(at, 2)), /boolean .* 2/],
  ['has an array of arrays', behind('words', 4, (at) => u32(at, 9)), /words is an array of arrays/],
  [
    'has an array of unknown type',
    behind('words', 4, (at) => u32(at, 99)),
    /words has the unknown type 99/,
  ],
  [
    'has an array longer than any header',
    behind('numbers', 8, (at) => u64(at, 2n ** 61n)),
    /numbers has 23058430092136\d+ elements/,
  ],
  [
    'has texts longer than any header',
    behind('words', 8, (at) => u64(at, 2n ** 40n)),
    /words has 1099511627776 elements/,
  ],
  ['has an endless text', behind('words', 16, (at) => u64(at, 2n ** 62n)), /words has a text of/],
  [
    'has a key twice',
    (_, f) => f.set(new TextEncoder().encode('small'), find(f, 'count')),
    /small twice/,
  ],
  ['has a key that is not UTF-8', (_, f) => f.set([0xff], find(f, 'count')), /a key is not UTF-8/],
])('a header that %s is invalid', async (_, damage, message) => {
  const error = await read(damaged(damage)).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'format-invalid', message: expect.stringMatching(message) });
  expect((error as Error).message).toMatch(/^m\.gguf /);
});

test.each<[string, GgufContents, RegExp]>([
  ['has no dimensions', { metadata: {}, tensors: [{ ...a, shape: [] }] }, /a has 0 dimensions/],
  [
    'has five dimensions',
    { metadata: {}, tensors: [{ ...a, shape: [1, 1, 1, 3, 2] }] },
    /a has 5 dimensions/,
  ],
  [
    'has an extent of zero',
    { metadata: {}, tensors: [{ ...a, shape: [0, 2] }] },
    /extents \[0, 2\]/,
  ],
  [
    'has extents beyond the safe integers',
    { metadata: {}, tensors: [{ ...a, shape: [2 ** 40, 2 ** 40] }] },
    /a has the extents/,
  ],
  [
    'has an unknown type',
    { metadata: {}, tensors: [{ ...a, type: 4 }] },
    /a has the unknown type 4/,
  ],
  [
    'has rows that are not whole blocks',
    { metadata: {}, tensors: [{ ...b, shape: [2, 3, 48] }] },
    /b is MXFP4 with rows of 48 elements/,
  ],
  ['is declared twice', { metadata: {}, tensors: [a, a] }, /tensor a twice/],
  [
    'leaves a gap after another',
    { metadata: { 'general.alignment': ['u32', 64] }, tensors: [a, b], alignment: 32 },
    /b begins at 32 of the data, not at 64/,
  ],
  [
    'overlaps another',
    { metadata: {}, tensors: [{ ...a, shape: [300, 2] }, b] },
    /b begins at 32 of the data, not at 1216/,
  ],
  [
    'has a name too long',
    { metadata: {}, tensors: [{ ...a, name: 'x'.repeat(300) }] },
    /300 bytes/,
  ],
  ...[0, 48, 2 ** 21].map((alignment): [string, GgufContents, RegExp] => [
    `is aligned to ${alignment}`,
    { metadata: { 'general.alignment': ['u32', alignment] }, tensors: [a] },
    /general\.alignment is \d+; it must be a power of two/,
  ]),
  [
    'is aligned to a text',
    { metadata: { 'general.alignment': ['text', '32'] }, tensors: [a] },
    /general\.alignment is 32; it must be a power of two/,
  ],
])('a tensor that %s is invalid', async (_, contents, message) => {
  await expect(read(writeGguf(contents))).rejects.toMatchObject({
    code: 'format-invalid',
    message: expect.stringMatching(message),
  });
});

test('a file cut anywhere before the end of its last tensor fails the integrity check', async () => {
  const file = writeGguf({ metadata, tensors: [a, b] });
  const end = file.length - 20; // b takes 204 of 224 bytes
  for (let size = 0; size < end; size += size < 600 ? 1 : 7) {
    await expect(read(file.slice(0, size)), `cut to ${size}`).rejects.toMatchObject({
      code: 'integrity',
    });
  }
  expect((await read(file.slice(0, end))).tensors.size).toBe(2);
});

const NUMBERS = ['u8', 'u16', 'u32'] as const;
const metadataValue = fc.oneof(
  fc.tuple(fc.constantFrom(...NUMBERS), fc.integer({ min: 0, max: 255 })),
  fc.tuple(fc.constant('i32' as const), fc.integer()),
  fc.tuple(fc.constant('text' as const), fc.string({ unit: 'grapheme', maxLength: 100 })),
  fc.tuple(fc.constant('texts' as const), fc.array(fc.string({ unit: 'grapheme' }))),
);
const extents = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 0, maxLength: 3 });
const name = fc.string({ minLength: 1, maxLength: 60 });
/** A tensor of whole blocks. */
const tensor = fc
  .tuple(
    name,
    fc.constantFrom(['F32', 1, 4], ['BF16', 1, 2], ['Q8_0', 32, 34], ['MXFP4', 32, 17] as const),
    extents,
    fc.integer({ min: 1, max: 5 }),
  )
  .map(([label, [type, elements, bytes], outer, blocks]) => ({
    name: label,
    type: GGML_TYPE[type as keyof typeof GGML_TYPE],
    typeName: type,
    shape: [...outer, blocks * Number(elements)],
    bytes: new Uint8Array(outer.reduce((product, n) => product * n, blocks * Number(bytes))),
  }));

test('random files are read back as written', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(name, metadataValue, { maxKeys: 8 }),
      fc.uniqueArray(tensor, { selector: (item) => item.name, maxLength: 8 }),
      fc.constantFrom(8, 32, 64),
      async (values, tensors, alignment) => {
        const written: Record<string, MetadataValue> = {
          ...values,
          'general.alignment': ['u32', alignment],
        };
        const file = writeGguf({ metadata: written, tensors, alignment });
        const header = await read(file);
        expect(header.metadata.size).toBe(Object.keys(written).length);
        for (const [key, [type, value]] of Object.entries(written)) {
          const found = header.metadata.get(key);
          if (type === 'texts') {
            const place = { path: PATH, sizeBytes: file.length };
            const texts = readTexts(sourceOf(file), place, found as GgufArray);
            expect(await texts).toEqual(value);
          } else expect(found).toBe(value);
        }
        expect(header.tensors.size).toBe(tensors.length);
        for (const { name: label, typeName, shape, bytes } of tensors) {
          const found = header.tensors.get(label);
          expect(found).toMatchObject({ type: typeName, shape, sizeBytes: bytes.length });
          expect(found!.offsetBytes % alignment).toBe(0);
        }
      },
    ),
    { seed: 5, numRuns: 300 },
  );
});

test('the golden file is read in full', async () => {
  const file = await readTestFile('packages/core/test/golden/tiny/gguf/model.gguf');
  const { metadata: found, tensors } = await read(file);
  expect([found.size, tensors.size]).toEqual([30, 79]);
  expect(tensors.get('blk.0.ffn_gate_exps.weight')).toEqual({
    type: 'MXFP4',
    shape: [8, 96, 96],
    offsetBytes: 19584 + 574688,
    sizeBytes: 39168,
  });
});
