import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readAll } from './byte-source.ts';
import { openSource } from './open-source.ts';
import type { PublishedSource } from './published-source.ts';

const BYTES = Uint8Array.from({ length: 5000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
const FILES: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
  'config.json': BYTES,
  'empty.bin': new Uint8Array(),
};
const FOLDER = 'chrome-extension://abcdefgh/models/nano/';

let ranges: (string | null)[];
const { fetch } = globalThis;

/** Answers as browsers do for the files of extensions: 200 without a length, and an error for a missing file. */
function serve(isSliced: boolean): void {
  globalThis.fetch = async (input, init) => {
    const range = new Headers(init?.headers).get('Range');
    ranges.push(range);
    const bytes = FILES[String(input).slice(FOLDER.length)];
    const [first = 0, last = Infinity] = (range?.match(/\d+/g) ?? []).map(Number);
    if (!bytes || (range && first >= bytes.length)) throw new TypeError('Failed to fetch');
    const body = isSliced ? bytes.slice(first, last + 1) : bytes;
    return new Response(new Blob([body]).stream());
  };
}

beforeEach(() => {
  ranges = [];
});
afterEach(() => {
  globalThis.fetch = fetch;
});

const open = async (): Promise<PublishedSource> => (await openSource(FOLDER)) as PublishedSource;

describe.each([
  ['that cuts files to ranges, as Chrome', true],
  ['that ignores ranges', false],
])('a model in an extension of a browser %s', (_, isSliced) => {
  beforeEach(() => serve(isSliced));

  test('is measured whole, once', async () => {
    const source = await open();
    expect(source.id).toBe(FOLDER);
    expect(await source.size('config.json')).toBe(5000);
    expect(await source.version('config.json')).toEqual({ sizeBytes: 5000 });
    expect(await source.size('config.json')).toBe(5000);
    expect(ranges).toEqual([null, 'bytes=0-0']);
    expect(source.hasRanges).toBe(isSliced);
    expect(await source.size('empty.bin')).toBe(0);
  });

  test.each([
    [1234, 567],
    [0, 5000],
    [0, 1],
    [4999, 1],
  ])('gives the bytes from %i, %i of them', async (offsetBytes, sizeBytes) => {
    const into = new Uint8Array(sizeBytes);
    await (await open()).read({ path: 'config.json', offsetBytes }, into);
    expect(into).toEqual(BYTES.slice(offsetBytes, offsetBytes + sizeBytes));
  });

  test('is read whole by one request', async () => {
    expect(await readAll(await open(), 'config.json')).toEqual(BYTES);
    expect(ranges).toEqual([null]);
  });

  test('may lack a file, and is cut short only if it is', async () => {
    const source = await open();
    expect(await source.size('tokenizer.json')).toBeUndefined();
    expect(await readAll(source, 'tokenizer.json')).toBeUndefined();
    expect(ranges).toEqual([null, null]);
    const far = { path: 'config.json', offsetBytes: 4990 };
    await expect(source.read(far, new Uint8Array(20))).rejects.toMatchObject({ code: 'integrity' });
  });
});
