import { formatInvalid, type OssicleError, shownJson } from '../errors.ts';
import { type ByteSource, type SourceFile, truncated } from '../sources/byte-source.ts';
import { isJsonObject } from './json-file.ts';

/** Bits per element of each dtype of safetensors. */
const DTYPE_BITS = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2: 8,
  F8_E5M2FNUZ: 8,
  F8_E8M0: 8,
  U16: 16,
  I16: 16,
  F16: 16,
  BF16: 16,
  U32: 32,
  I32: 32,
  F32: 32,
  U64: 64,
  I64: 64,
  F64: 64,
  C64: 64,
} as const;

/** Published headers have up to 60 KB. The format allows 100 MB, which would take far more when parsed. */
const MAX_HEADER_BYTES = 2 * 2 ** 20;

const MAX_NAME_LENGTH = 256;
const MAX_DIMENSIONS = 8;

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d];

/** The depth of an entry's shape. */
const MAX_HEADER_DEPTH = 3;

/** The first read, which mostly contains the whole header. */
const FIRST_READ_BYTES = 64 * 2 ** 10;

/** The type of a tensor's elements, as safetensors names it. */
export type Dtype = keyof typeof DTYPE_BITS;

/** A tensor's type, shape and place in its file. */
export interface SafetensorsEntry {
  readonly dtype: Dtype;
  /** Its extents, outermost first; empty for a scalar. */
  readonly shape: readonly number[];
  /** The offset of its bytes in the file. */
  readonly offsetBytes: number;
  /** The size of its bytes: little-endian, row by row. */
  readonly sizeBytes: number;
}

/**
 * Reads and checks the header of a safetensors file.
 *
 * @throws The errors of {@link parseSafetensorsHeader} and {@link ByteSource.read}.
 */
export async function readSafetensorsHeader(
  source: ByteSource,
  file: SourceFile,
  signal?: AbortSignal,
): Promise<Map<string, SafetensorsEntry>> {
  const { path, sizeBytes } = file;
  let bytes = new Uint8Array(Math.min(sizeBytes, FIRST_READ_BYTES));
  await source.read({ path, offsetBytes: 0 }, bytes, signal);
  const dataStart = 8 + parseHeaderSize(bytes, file);
  if (dataStart > bytes.length) {
    const whole = new Uint8Array(dataStart);
    whole.set(bytes);
    const rest = { path, offsetBytes: bytes.length };
    await source.read(rest, whole.subarray(bytes.length), signal);
    bytes = whole;
  }
  return parseSafetensorsHeader(bytes, file);
}

/**
 * Parses a safetensors header and checks all of it against the file: the tensors must fill the data exactly, without
 * holes or overlaps.
 *
 * @param bytes - The file's first bytes, at least up to the header's end.
 * @throws {@link OssicleError} `format-invalid` if the header is wrong, `integrity` if the file ends too early.
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  file: SourceFile,
): Map<string, SafetensorsEntry> {
  const { path, sizeBytes: fileSizeBytes } = file;
  const dataStart = 8 + parseHeaderSize(bytes, file);
  if (dataStart > bytes.length) throw truncated(path, dataStart, bytes.length);
  checkDepth(bytes.subarray(8, dataStart), path);
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, dataStart));
    header = JSON.parse(text);
  } catch (cause) {
    throw invalid(path, 'its header is not JSON', cause);
  }
  if (!isJsonObject(header)) throw invalid(path, 'its header is not a JSON object');
  const repeated = findRepeatedKey(text);
  if (repeated !== undefined) throw invalid(path, `it declares ${shownJson(repeated)} twice`);

  const dataSize = fileSizeBytes - dataStart;
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => [name, parseEntry(path, name, value, dataStart)] as const)
    .sort(([, a], [, b]) => a.offsetBytes - b.offsetBytes || a.sizeBytes - b.sizeBytes);
  let end = dataStart;
  for (const [name, { offsetBytes, sizeBytes }] of entries) {
    if (offsetBytes !== end) {
      const what = offsetBytes < end ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw invalid(path, `${name} ${what}: it begins at byte ${offsetBytes}, not at ${end}`);
    }
    end += sizeBytes;
  }
  if (end > fileSizeBytes) throw truncated(path, end, fileSizeBytes);
  if (end < fileSizeBytes) {
    throw invalid(
      path,
      `its tensors take ${end - dataStart} bytes, but ${dataSize} bytes follow the header`,
    );
  }
  return new Map(entries);
}

/** The size of the JSON text that follows the first 8 bytes. */
function parseHeaderSize(bytes: Uint8Array, { path, sizeBytes }: SourceFile): number {
  if (sizeBytes < 8 || bytes.length < 8) {
    throw truncated(path, 8, Math.min(sizeBytes, bytes.length));
  }
  const declared = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (declared < 2n || declared > MAX_HEADER_BYTES) {
    throw invalid(path, `it declares a header of ${declared} bytes`);
  }
  const size = Number(declared);
  if (8 + size > sizeBytes) throw truncated(path, 8 + size, sizeBytes);
  return size;
}

function parseEntry(
  path: string,
  name: string,
  value: unknown,
  dataStart: number,
): SafetensorsEntry {
  if (name.length > MAX_NAME_LENGTH)
    throw invalid(path, `it has the tensor name ${shownJson(name)}`);
  const { dtype, shape, data_offsets: offsets } = isJsonObject(value) ? value : {};
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BITS, dtype)) {
    throw invalid(path, `${name} has the unknown dtype ${shownJson(dtype)}`);
  }
  if (!isSizes(shape) || shape.length > MAX_DIMENSIONS) {
    throw invalid(path, `${name} has the shape ${shownJson(shape)}`);
  }
  const [start, end, ...more] = isSizes(offsets) ? offsets : [];
  if (start === undefined || end === undefined || more.length > 0 || end < start) {
    throw invalid(path, `${name} has the offsets ${shownJson(offsets)}`);
  }
  const sizeBytes = shape.reduce((size, extent) => size * extent, DTYPE_BITS[dtype as Dtype]) / 8;
  if (sizeBytes !== end - start) {
    throw invalid(
      path,
      `${name}, ${dtype} [${shape.join(', ')}], takes ${sizeBytes} bytes, but its offsets hold ${end - start}`,
    );
  }
  return { dtype: dtype as Dtype, shape, offsetBytes: dataStart + start, sizeBytes };
}

/** Keeps nested objects and arrays from taking more memory than the header itself. */
function checkDepth(json: Uint8Array, path: string): void {
  let depth = 0;
  let isString = false;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i];
    if (byte === QUOTE) isString = !isString;
    else if (isString) i += byte === BACKSLASH ? 1 : 0;
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth += 1;
      if (depth > MAX_HEADER_DEPTH) throw invalid(path, 'its header is nested too deep');
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth -= 1;
  }
}

/**
 * Finds a key that occurs twice in the outermost object of a valid JSON text: `JSON.parse` silently keeps the last one.
 */
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

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function invalid(path: string, what: string, cause?: unknown): OssicleError {
  return formatInvalid(
    `${path} is not a valid safetensors file: ${what}. Check that it is the published file.`,
    cause,
  );
}
