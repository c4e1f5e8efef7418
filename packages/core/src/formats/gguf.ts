import { OssicleError } from '../errors.ts';
import { type ByteSource, truncated } from '../sources/byte-source.ts';
import { type GgmlType, ggmlLayout } from './ggml-types.ts';
import { MAX_WINDOW_BYTES, WindowReader } from './window-reader.ts';

const MAGIC = 0x46554747; // "GGUF"
const VERSION = 3;

/** Published headers have 13 MB, nearly all of it the tokenizer's. */
const MAX_HEADER_BYTES = 48 * 2 ** 20;
/** Published headers have 35 entries. */
const MAX_ENTRIES = 4096;
/** The 120b has 687. */
const MAX_TENSORS = 16384;
const MAX_NAME_BYTES = 256;
/** Longer texts, such as chat templates, are left out. */
const MAX_TEXT_BYTES = 1024;
const MAX_ALIGNMENT = 2 ** 20;
const DEFAULT_ALIGNMENT = 32;

/** The types of metadata by their numbers in files: name and bytes; 0 where they differ. */
const VALUE_TYPES = [
  ['u8', 1],
  ['i8', 1],
  ['u16', 2],
  ['i16', 2],
  ['u32', 4],
  ['i32', 4],
  ['f32', 4],
  ['bool', 1],
  ['text', 0],
  ['array', 0],
  ['u64', 8],
  ['i64', 8],
  ['f64', 8],
] as const;

/** The type of a metadata value. */
export type GgufValueType = (typeof VALUE_TYPES)[number][0];

/** An array of the metadata. It stays in the file: {@link readTexts} and {@link readIntegers} get it. */
export interface GgufArray {
  readonly elementType: GgufValueType;
  readonly length: number;
  /** Where its first element begins, from the file's start. */
  readonly offsetBytes: number;
}

/** A value of the metadata. */
export type GgufValue = number | boolean | string | GgufArray;

/** Where a tensor lies in its file, and what it is. */
export interface GgufTensor {
  readonly type: GgmlType;
  /** Its extents, outermost first: the reverse of how the file lists them. */
  readonly shape: readonly number[];
  /** Where its bytes begin, from the file's start. */
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** What stands before the tensors' bytes. */
export interface GgufHeader {
  /** By key; without texts of more than 1 KiB. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** By name. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads and checks the header of a GGUF file: every count, length, type, offset and alignment. The tensors must follow each
 * other as aligned, within the file. Takes a few megabytes at most, whatever the file says.
 *
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 * @throws {@link OssicleError} `format-invalid` where the header is wrong, `integrity` where the file ends too early; those
 * of {@link ByteSource.read}.
 */
export async function readGgufHeader(
  source: ByteSource,
  path: string,
  fileSizeBytes: number,
  signal?: AbortSignal,
): Promise<GgufHeader> {
  const reader = new WindowReader(source, path, fileSizeBytes, 0, signal);
  await reader.prepare(24);
  const magic = reader.u32();
  if (magic !== MAGIC) {
    throw invalid(path, `it begins with 0x${magic.toString(16)}, not with "GGUF"`);
  }
  const version = reader.u32();
  if (version !== VERSION) {
    const order = version === VERSION << 24 ? ' (of a big-endian machine)' : '';
    throw invalid(path, `it has version ${version}${order}; version ${VERSION} can be read`);
  }
  const tensorCount = checkCount(path, 'tensors', reader.u64(), MAX_TENSORS);
  const entryCount = checkCount(path, 'metadata entries', reader.u64(), MAX_ENTRIES);

  const metadata = new Map<string, GgufValue>();
  const keys = new Set<string>();
  for (let i = 0; i < entryCount; i++) {
    await reader.prepare(8 + MAX_NAME_BYTES + 4 + 12 + MAX_TEXT_BYTES);
    const key = readName(reader, 'key');
    if (keys.has(key)) throw invalid(path, `it has the key ${key} twice`);
    keys.add(key);
    const value = await readValue(reader, key);
    if (value !== undefined) metadata.set(key, value);
  }
  const infos: TensorInfo[] = [];
  for (let i = 0; i < tensorCount; i++) {
    await reader.prepare(8 + MAX_NAME_BYTES + 4 + 32 + 12);
    infos.push(readTensorInfo(reader));
    checkHeaderEnd(path, reader.position);
  }
  const alignment = readAlignment(path, metadata);
  const dataStart = align(reader.position, alignment);
  return { metadata, tensors: placeTensors(reader, infos, dataStart, alignment) };
}

/**
 * Reads an array of texts.
 *
 * @param key - The array's key, for errors.
 * @throws {@link OssicleError} `format-invalid` where it is an array of something else, or of other than UTF-8.
 */
export async function readTexts(
  source: ByteSource,
  path: string,
  fileSizeBytes: number,
  key: string,
  array: GgufArray,
  signal?: AbortSignal,
): Promise<string[]> {
  if (array.elementType !== 'text') {
    throw invalid(path, `${key} is an array of ${array.elementType}, not of texts`);
  }
  const reader = new WindowReader(source, path, fileSizeBytes, array.offsetBytes, signal);
  const texts: string[] = [];
  for (let i = 0; i < array.length; i++) {
    if (!reader.isPrepared(8)) await reader.prepare(8);
    const length = checkTextLength(path, key, reader.u64());
    if (!reader.isPrepared(length)) await reader.prepare(length);
    texts.push(decode(path, `${key}[${i}]`, reader.bytes(length)));
  }
  return texts;
}

/**
 * Reads an array of 32-bit integers.
 *
 * @param key - The array's key, for errors.
 * @throws {@link OssicleError} `format-invalid` where it is an array of something else.
 */
export async function readIntegers(
  source: ByteSource,
  path: string,
  key: string,
  array: GgufArray,
  signal?: AbortSignal,
): Promise<Int32Array> {
  const { elementType, length, offsetBytes } = array;
  if (elementType !== 'i32' && elementType !== 'u32') {
    throw invalid(path, `${key} is an array of ${elementType}, not of 32-bit integers`);
  }
  const integers = new Int32Array(length);
  await source.read(path, offsetBytes, new Uint8Array(integers.buffer), signal);
  return integers;
}

/** The error of a GGUF file that is not what it should be. */
export function invalid(file: string, what: string, cause?: unknown): OssicleError {
  return new OssicleError(
    'format-invalid',
    `${file} is not a valid GGUF file: ${what}. Check that it is the published file.`,
    { cause },
  );
}

/** A value; `undefined` for a text too long to keep. */
async function readValue(reader: WindowReader, key: string): Promise<GgufValue | undefined> {
  const type = readType(reader, key);
  if (type === 'array') return readArray(reader, key);
  if (type !== 'text') return readScalar(reader, key, type);
  const length = checkTextLength(reader.path, key, reader.u64());
  if (length > MAX_TEXT_BYTES) {
    reader.skip(length);
    return undefined;
  }
  return decode(reader.path, key, reader.bytes(length));
}

function readType(reader: WindowReader, key: string): GgufValueType {
  const number = reader.u32();
  const type = VALUE_TYPES[number]?.[0];
  if (type === undefined) throw invalid(reader.path, `${key} has the unknown type ${number}`);
  return type;
}

function readScalar(reader: WindowReader, key: string, type: GgufValueType): number | boolean {
  const bytes = VALUE_TYPES.find(([name]) => name === type)?.[1] ?? 0;
  const field = reader.field(bytes);
  switch (type) {
    case 'i8':
      return field.getInt8(0);
    case 'u16':
      return field.getUint16(0, true);
    case 'i16':
      return field.getInt16(0, true);
    case 'u32':
      return field.getUint32(0, true);
    case 'i32':
      return field.getInt32(0, true);
    case 'f32':
      return field.getFloat32(0, true);
    case 'f64':
      return field.getFloat64(0, true);
    case 'u64':
      return Number(field.getBigUint64(0, true));
    case 'i64':
      return Number(field.getBigInt64(0, true));
    case 'bool': {
      const value = field.getUint8(0);
      if (value > 1) throw invalid(reader.path, `${key} is a boolean with the value ${value}`);
      return value === 1;
    }
    default:
      return field.getUint8(0);
  }
}

/** Notes where an array is, and goes on behind it. */
async function readArray(reader: WindowReader, key: string): Promise<GgufArray> {
  const { path } = reader;
  const elementType = readType(reader, key);
  const length = reader.u64();
  const offsetBytes = reader.position;
  const elementBytes = VALUE_TYPES.find(([name]) => name === elementType)?.[1] ?? 0;
  if (elementType === 'array') throw invalid(path, `${key} is an array of arrays`);
  // A text takes its length at least.
  const least = length * (elementBytes || 8);
  checkHeaderEnd(path, offsetBytes + least, `${key} has ${length} elements`);
  if (elementBytes > 0) reader.skip(least);
  else {
    for (let i = 0; i < length; i++) {
      if (!reader.isPrepared(8)) await reader.prepare(8);
      reader.skip(checkTextLength(path, key, reader.u64()));
    }
  }
  checkHeaderEnd(path, reader.position);
  return { elementType, length, offsetBytes };
}

interface TensorInfo {
  readonly name: string;
  readonly type: GgmlType;
  readonly shape: readonly number[];
  /** From where the data starts. */
  readonly offset: number;
  readonly sizeBytes: number;
}

function readTensorInfo(reader: WindowReader): TensorInfo {
  const { path } = reader;
  const name = readName(reader, 'tensor name');
  const dimensions = reader.u32();
  if (dimensions < 1 || dimensions > 4) {
    throw invalid(path, `${name} has ${dimensions} dimensions; 1 to 4 are possible`);
  }
  const shape = Array.from({ length: dimensions }, () => reader.u64()).reverse();
  const number = reader.u32();
  const layout = ggmlLayout(number);
  if (!layout) throw invalid(path, `${name} has the unknown type ${number}`);
  const elements = shape.reduce((product, extent) => product * extent, 1);
  const { name: type, blockElements, blockBytes } = layout;
  const sizeBytes = (elements / blockElements) * blockBytes;
  if (!(shape.every((extent) => extent >= 1) && Number.isSafeInteger(4 * elements))) {
    throw invalid(path, `${name} has the extents [${shape.join(', ')}]`);
  }
  const columns = shape.at(-1) ?? 0;
  if (columns % blockElements !== 0) {
    throw invalid(
      path,
      `${name} is ${type} with rows of ${columns} elements, which are not whole blocks of ${blockElements}`,
    );
  }
  return { name, type, shape, offset: reader.u64(), sizeBytes };
}

function readAlignment(path: string, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  if (
    typeof alignment !== 'number' ||
    !(alignment >= 1 && alignment <= MAX_ALIGNMENT) ||
    !Number.isInteger(Math.log2(alignment))
  ) {
    const shown = typeof alignment === 'object' ? 'an array' : String(alignment);
    throw invalid(path, `general.alignment is ${shown}; it must be a power of two`);
  }
  return alignment;
}

function placeTensors(
  { path, sizeBytes: fileSizeBytes }: WindowReader,
  infos: readonly TensorInfo[],
  dataStart: number,
  alignment: number,
): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  let end = 0;
  for (const { name, type, shape, offset, sizeBytes } of [...infos].sort(
    (a, b) => a.offset - b.offset,
  )) {
    if (tensors.has(name)) throw invalid(path, `it has the tensor ${name} twice`);
    const expected = align(end, alignment);
    if (offset !== expected) {
      throw invalid(
        path,
        `${name} begins at ${offset} of the data, not at ${expected} behind the tensor before it`,
      );
    }
    end = offset + sizeBytes;
    tensors.set(name, { type, shape, offsetBytes: dataStart + offset, sizeBytes });
  }
  if (dataStart + end > fileSizeBytes) {
    throw truncated(path, dataStart + end, fileSizeBytes);
  }
  return tensors;
}

function readName(reader: WindowReader, what: string): string {
  const length = reader.u64();
  if (length < 1 || length > MAX_NAME_BYTES) {
    throw invalid(reader.path, `it has a ${what} of ${length} bytes at byte ${reader.position}`);
  }
  return decode(reader.path, `a ${what}`, reader.bytes(length));
}

function decode(path: string, what: string, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw invalid(path, `${what} is not UTF-8`, cause);
  }
}

function checkCount(path: string, what: string, count: number, most: number): number {
  if (count > most) throw invalid(path, `it declares ${count} ${what}; ${most} can be read`);
  return count;
}

function checkTextLength(path: string, key: string, length: number): number {
  if (length > MAX_WINDOW_BYTES) throw invalid(path, `${key} has a text of ${length} bytes`);
  return length;
}

function checkHeaderEnd(path: string, end: number, because = 'what it declares'): void {
  if (end > MAX_HEADER_BYTES) {
    throw invalid(
      path,
      `its header reaches byte ${end} with ${because}; ${MAX_HEADER_BYTES} can be read`,
    );
  }
}

function align(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}
