import { OssicleError } from '../errors.ts';
import { type ByteSource, truncated } from '../sources/byte-source.ts';

/** Bytes per element of the types that safetensors files hold. */
const DTYPE_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
  C64: 8,
} as const;

/** Published headers have up to 60 KB. The format allows 100 MB, which would take far more than that when parsed. */
const MAX_HEADER_BYTES = 2 * 2 ** 20;

const MAX_NAME_LENGTH = 256;
const MAX_DIMENSIONS = 8;

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d];

/** An entry's shape is as deep as a header goes. */
const MAX_HEADER_DEPTH = 3;

/** Read at once in the hope that the whole header is in it. */
const FIRST_READ_BYTES = 64 * 2 ** 10;

/** The type of a tensor's elements, as safetensors names it. */
export type Dtype = keyof typeof DTYPE_BYTES;

/** Where a tensor lies in its file, and what it is. */
export interface SafetensorsEntry {
  /** The type of its elements. */
  readonly dtype: Dtype;
  /** Its extents, outermost first; empty for a scalar. */
  readonly shape: readonly number[];
  /** Where its bytes begin, from the file's start. */
  readonly offsetBytes: number;
  /** How many bytes it has: little-endian, rows one after another. */
  readonly sizeBytes: number;
}

/**
 * Reads and checks the header of a safetensors file.
 *
 * @throws {@link OssicleError} as {@link parseSafetensorsHeader} and {@link ByteSource.read} do.
 */
export async function readSafetensorsHeader(
  source: ByteSource,
  path: string,
  fileSizeBytes: number,
  signal?: AbortSignal,
): Promise<Map<string, SafetensorsEntry>> {
  let bytes = new Uint8Array(Math.min(fileSizeBytes, FIRST_READ_BYTES));
  await source.read(path, 0, bytes, signal);
  const dataStart = 8 + parseHeaderSize(bytes, fileSizeBytes, path);
  if (dataStart > bytes.length) {
    const whole = new Uint8Array(dataStart);
    whole.set(bytes);
    await source.read(path, bytes.length, whole.subarray(bytes.length), signal);
    bytes = whole;
  }
  return parseSafetensorsHeader(bytes, fileSizeBytes, path);
}

/**
 * Parses a safetensors header and checks all of it against the file: the tensors must fill the data exactly, without
 * holes or overlaps.
 *
 * @param bytes - The file's first bytes, at least up to the header's end.
 * @param fileSizeBytes - The size of the whole file.
 * @param file - The file's name, for errors.
 * @throws {@link OssicleError} `format-invalid` where the header is wrong, `integrity` where the file ends too early.
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  fileSizeBytes: number,
  file: string,
): Map<string, SafetensorsEntry> {
  const dataStart = 8 + parseHeaderSize(bytes, fileSizeBytes, file);
  if (dataStart > bytes.length) throw truncated(file, dataStart, bytes.length);
  checkDepth(bytes.subarray(8, dataStart), file);
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, dataStart));
    header = JSON.parse(text);
  } catch (cause) {
    throw invalid(file, 'its header is not JSON', cause);
  }
  if (!isRecord(header)) throw invalid(file, 'its header is not a JSON object');
  const repeated = findRepeatedKey(text);
  if (repeated !== undefined) throw invalid(file, `it declares ${shown(repeated)} twice`);

  const dataSize = fileSizeBytes - dataStart;
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => [name, parseEntry(file, name, value, dataStart)] as const)
    .sort(([, a], [, b]) => a.offsetBytes - b.offsetBytes || a.sizeBytes - b.sizeBytes);
  let end = dataStart;
  for (const [name, { offsetBytes, sizeBytes }] of entries) {
    if (offsetBytes !== end) {
      const what = offsetBytes < end ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw invalid(file, `${name} ${what}: it begins at byte ${offsetBytes}, not at ${end}`);
    }
    end += sizeBytes;
  }
  if (end > fileSizeBytes) throw truncated(file, end, fileSizeBytes);
  if (end < fileSizeBytes) {
    throw invalid(
      file,
      `its tensors take ${end - dataStart} bytes, but ${dataSize} bytes follow the header`,
    );
  }
  return new Map(entries);
}

/** The size of the JSON text that follows the first 8 bytes. */
function parseHeaderSize(bytes: Uint8Array, fileSizeBytes: number, file: string): number {
  if (fileSizeBytes < 8 || bytes.length < 8) {
    throw truncated(file, 8, Math.min(fileSizeBytes, bytes.length));
  }
  const declared = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (declared < 2n || declared > MAX_HEADER_BYTES) {
    throw invalid(file, `it declares a header of ${declared} bytes`);
  }
  const size = Number(declared);
  if (8 + size > fileSizeBytes) throw truncated(file, 8 + size, fileSizeBytes);
  return size;
}

function parseEntry(
  file: string,
  name: string,
  value: unknown,
  dataStart: number,
): SafetensorsEntry {
  if (name.length > MAX_NAME_LENGTH) throw invalid(file, `it has the tensor name ${shown(name)}`);
  const { dtype, shape, data_offsets: offsets } = isRecord(value) ? value : {};
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw invalid(file, `${name} has the unknown dtype ${shown(dtype)}`);
  }
  if (!isSizes(shape) || shape.length > MAX_DIMENSIONS) {
    throw invalid(file, `${name} has the shape ${shown(shape)}`);
  }
  const [start, end, ...more] = isSizes(offsets) ? offsets : [];
  if (start === undefined || end === undefined || more.length > 0 || end < start) {
    throw invalid(file, `${name} has the offsets ${shown(offsets)}`);
  }
  const sizeBytes = shape.reduce((size, extent) => size * extent, DTYPE_BYTES[dtype as Dtype]);
  if (sizeBytes !== end - start) {
    throw invalid(
      file,
      `${name}, ${dtype} [${shape.join(', ')}], takes ${sizeBytes} bytes, but its offsets hold ${end - start}`,
    );
  }
  return { dtype: dtype as Dtype, shape, offsetBytes: dataStart + start, sizeBytes };
}

/** Keeps objects and arrays in each other from taking more memory than the header itself. */
function checkDepth(json: Uint8Array, file: string): void {
  let depth = 0;
  let isString = false;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i];
    if (byte === QUOTE) isString = !isString;
    else if (isString) i += byte === BACKSLASH ? 1 : 0;
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth += 1;
      if (depth > MAX_HEADER_DEPTH) throw invalid(file, 'its header is nested too deep');
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth -= 1;
  }
}

/** A key that occurs twice in the outermost object of a valid JSON text: `JSON.parse` keeps the last one silently. */
function findRepeatedKey(json: string): string | undefined {
  const keys = new Set<string>();
  let depth = 0;
  for (const [token, string, colon] of json.matchAll(
    /("[^"\\]*(?:\\.[^"\\]*)*")\s*(:?)|[{}[\]]/g,
  )) {
    if (string === undefined) depth += token === '{' || token === '[' ? 1 : -1;
    else if (depth === 1 && colon) {
      const key = JSON.parse(string) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

/** JSON of anything, cut to a length that fits into a sentence. */
function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? 'undefined';
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function invalid(file: string, what: string, cause?: unknown): OssicleError {
  return new OssicleError(
    'format-invalid',
    `${file} is not a valid safetensors file: ${what}. Check that it is the published file.`,
    { cause },
  );
}
