import { expect, test } from 'vitest';
import { readTestFile } from '../../test/files.ts';
import { openSource } from '../sources/open-source.ts';
import { parseSafetensorsHeader, readSafetensorsHeader } from './safetensors.ts';

/** A file with the given header, followed by `dataBytes` zeros. */
function fileOf(header: unknown, dataBytes: number): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(
    typeof header === 'string' ? header : JSON.stringify(header),
  );
  const file = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

const a = { dtype: 'BF16', shape: [3, 2], data_offsets: [0, 12] };
const b = { dtype: 'U8', shape: [5], data_offsets: [12, 17] };

function parse(file: Uint8Array): ReturnType<typeof parseSafetensorsHeader> {
  return parseSafetensorsHeader(file, { path: 'm.safetensors', sizeBytes: file.length });
}

test('tensors are found by name, with offsets from the start of the file', () => {
  const header = { b, __metadata__: { format: 'pt' }, a };
  const file = fileOf(header, 17);
  const start = file.length - 17;
  expect([...parse(file)]).toEqual([
    ['a', { dtype: 'BF16', shape: [3, 2], offsetBytes: start, sizeBytes: 12 }],
    ['b', { dtype: 'U8', shape: [5], offsetBytes: start + 12, sizeBytes: 5 }],
  ]);
});

test('scalars, empty tensors and odd names are valid', () => {
  const file = fileOf(
    '{"__proto__":{"dtype":"F32","shape":[],"data_offsets":[0,4]},' +
      '"é\\"\\\\ {":{"dtype":"I64","shape":[0,7],"data_offsets":[4,4]}}   ',
    4,
  );
  expect([...parse(file).keys()]).toEqual(['__proto__', 'é"\\ {']);
  expect(parse(fileOf('{}', 0)).size).toBe(0);
});

test.each<[string, unknown, number, RegExp]>([
  ['is not JSON', '{"a":', 0, /not JSON/],
  ['is not UTF-8', '{"\ud800": 1}', 0, /dtype/],
  ['is an array', '[1]', 0, /not a JSON object/],
  ['is null', 'null', 0, /not a JSON object/],
  ['holds a number in place of a tensor', { a: 1 }, 0, /a has the unknown dtype/],
  ['holds an array in place of a tensor', { a: [] }, 0, /a has the unknown dtype/],
  ['has an unknown dtype', { a: { ...a, dtype: 'Q4' } }, 12, /"Q4"/],
  ['has an inherited dtype', { a: { ...a, dtype: 'toString' } }, 12, /"toString"/],
  ['has a negative extent', { a: { ...a, shape: [-3, -2] } }, 12, /\[-3,-2\]/],
  ['has a fractional extent', { a: { ...a, shape: [1.5, 4] } }, 12, /1\.5/],
  ['has a text extent', { a: { ...a, shape: ['3', 2] } }, 12, /shape/],
  ['has no shape', { a: { ...a, shape: undefined } }, 12, /shape/],
  ['has an unsafe extent', { a: { ...a, shape: [2 ** 53, 0] } }, 0, /shape/],
  [
    'has an extent product beyond the safe integers',
    { a: { ...a, shape: [2 ** 52, 2 ** 52] } },
    12,
    /takes/,
  ],
  ['has no offsets', { a: { dtype: 'U8', shape: [1] } }, 1, /offsets/],
  ['has three offsets', { a: { ...a, data_offsets: [0, 12, 12] } }, 12, /offsets/],
  ['has offsets in reverse', { a: { ...a, data_offsets: [12, 0] } }, 12, /\[12,0\]/],
  ['has a negative offset', { a: { ...a, data_offsets: [-12, 0] } }, 12, /offsets/],
  [
    'has offsets that hold too few bytes',
    { a: { ...a, data_offsets: [0, 11] } },
    11,
    /takes 12 bytes, but its offsets hold 11/,
  ],
  ['has tensors that overlap', { a, b: { ...b, data_offsets: [11, 16] } }, 16, /b overlaps/],
  ['has two tensors in one place', { a, c: a }, 12, /c overlaps/],
  ['has a hole between tensors', { a, b: { ...b, data_offsets: [13, 18] } }, 18, /b leaves a hole/],
  ['has a hole before the first tensor', { b }, 17, /b leaves a hole/],
  ['is followed by bytes of no tensor', { a, b }, 18, /take 17 bytes, but 18/],
  [
    'declares a tensor twice',
    '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
    1,
    /declares "a" twice/,
  ],
])('a header that %s is invalid', (_, header, dataBytes, message) => {
  const file = fileOf(header, dataBytes);
  expect(() => parse(file)).toThrow(
    expect.objectContaining({ code: 'format-invalid', message: expect.stringMatching(message) }),
  );
  expect(() => parse(file)).toThrow(/^m\.safetensors /);
});

test('a header that is not UTF-8 is invalid', () => {
  const file = fileOf({ abc: a }, 12);
  file[10] = 0xff;
  expect(() => parse(file)).toThrow(expect.objectContaining({ code: 'format-invalid' }));
});

test.each([0n, 1n, 2n ** 21n + 1n, 2n ** 63n, 2n ** 64n - 1n])(
  'a header of %i bytes is invalid before it is read',
  (size) => {
    const file = fileOf({ a }, 12);
    new DataView(file.buffer).setBigUint64(0, size, true);
    expect(() => parseSafetensorsHeader(file, { path: 'm', sizeBytes: 2 ** 40 })).toThrow(
      expect.objectContaining({ code: 'format-invalid' }),
    );
  },
);

test('a file cut anywhere fails the integrity check', () => {
  const file = fileOf({ a, b }, 17);
  for (let size = 0; size < file.length; size++) {
    expect(() => parse(file.subarray(0, size)), `cut to ${size}`).toThrow(
      expect.objectContaining({ code: 'integrity' }),
    );
  }
});

test('a header larger than the first read is read in full', async () => {
  const entries = Array.from({ length: 3000 }, (_, i) => [
    `tensor.${i}`,
    { dtype: 'U8', shape: [1], data_offsets: [i, i + 1] },
  ]);
  const file = fileOf(Object.fromEntries(entries), 3000);
  expect(file.length).toBeGreaterThan(2 * 65536);
  const source = await openSource([new File([file], 'm.safetensors')]);
  const place = { path: 'm.safetensors', sizeBytes: file.length };
  const directory = await readSafetensorsHeader(source, place);
  expect(directory.get('tensor.2999')?.offsetBytes).toBe(file.length - 1);
});

test('a published file is read in full', async () => {
  const file = await readTestFile('packages/core/test/golden/tiny/original/model.safetensors');
  const directory = parse(file);
  expect(directory.size).toBe(63);
  expect(directory.get('block.2.mlp.mlp1_weight.blocks')).toMatchObject({
    dtype: 'U8',
    shape: [8, 192, 3, 16],
  });
});
