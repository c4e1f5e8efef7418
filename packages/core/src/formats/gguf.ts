import { formatInvalid, type OssicleError } from '../errors.ts';
import { type ByteSource, type SourceFile, truncated } from '../sources/byte-source.ts';
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

/** A type of metadata. */
interface ValueType {
  readonly name: string;
  /** Of one value; 0 if they differ. */
  readonly bytes: number;
  readonly read?: (field: DataView) => number;
}

/** The types of metadata by their numbers in files. */
const VALUE_TYPES: readonly ValueType[] = [
  { name: 'u8', bytes: 1, read: (field) => field.getUint8(0) },
  { name: 'i8', bytes: 1, read: (field) => field.getInt8(0) },
  { name: 'u16', bytes: 2, read: (field) => field.getUint16(0, true) },
  { name: 'i16', bytes: 2, read: (field) => field.getInt16(0, true) },
  { name: 'u32', bytes: 4, read: (field) => field.getUint32(0, true) },
  { name: 'i32', bytes: 4, read: (field) => field.getInt32(0, true) },
  { name: 'f32', bytes: 4, read: (field) => field.getFloat32(0, true) },
  { name: 'bool', bytes: 1, read: (field) => field.getUint8(0) },
  { name: 'text', bytes: 0 },
  { name: 'array', bytes: 0 },
  { name: 'u64', bytes: 8, read: (field) => Number(field.getBigUint64(0, true)) },
  { name: 'i64', bytes: 8, read: (field) => Number(field.getBigInt64(0, true)) },
  { name: 'f64', bytes: 8, read: (field) => field.getFloat64(0, true) },
];

/** An array in the metadata. It stays in the file until {@link readTexts} or {@link readIntegers} reads it. */
export interface GgufArray {
  readonly key: string;
  /** For example `text` or `i32`. */
  readonly elementType: string;
  readonly length: number;
  /** The offset of its first element in the file. */
  readonly offsetBytes: number;
}

/** A value in the metadata. */
export type GgufValue = number | boolean | string | GgufArray;

/** A tensor's type, shape and place in its file. */
export interface GgufTensor {
  readonly type: GgmlType;
  /** Its extents, outermost first: the reverse of how the file lists them. */
  readonly shape: readonly number[];
  /** The offset of its bytes in the file. */
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** Everything before the tensors' bytes. */
export interface GgufHeader {
  /** By key; without texts of more than 1 KiB. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** By name. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads and checks the header of a GGUF file: every count, length, type, offset and alignment. The tensors must follow
 * each other as aligned, within the file. Takes a few megabytes of memory at most, whatever the file says.
 *
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 * @throws {@link OssicleError} `format-invalid` if the header is wrong, `integrity` if the file ends too early; the
 * errors of {@link ByteSource.read}.
 */
export async function readGgufHeader(
  source: ByteSource,
  file: SourceFile,
  signal?: AbortSignal,
): Promise<GgufHeader> {
  const { path } = file;
  const reader = new WindowReader(source, file, 0, signal);
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
  const tensorCount = readCount(reader, 'tensors', MAX_TENSORS);
  const entryCount = readCount(reader, 'metadata entries', MAX_ENTRIES);

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
  return { metadata, tensors: placeTensors(file, infos, dataStart, alignment) };
}

/**
 * Reads an array of texts.
 *
 * @throws {@link OssicleError} `format-invalid` if its elements are of another type or not UTF-8.
 */
export async function readTexts(
  source: ByteSource,
  file: SourceFile,
  { key, elementType, length, offsetBytes }: GgufArray,
  signal?: AbortSignal,
): Promise<string[]> {
  if (elementType !== 'text') {
    throw invalid(file.path, `${key} is an array of ${elementType}, not of texts`);
  }
  const reader = new WindowReader(source, file, offsetBytes, signal);
  const texts: string[] = [];
  for (let i = 0; i < length; i++) {
    // The checks spare 650,000 awaits.
    if (!reader.isPrepared(8)) await reader.prepare(8);
    const bytes = readTextLength(reader, key);
    if (!reader.isPrepared(bytes)) await reader.prepare(bytes);
    texts.push(readText(reader, `${key}[${i}]`, bytes));
  }
  return texts;
}

/**
 * Reads an array of 32-bit integers.
 *
 * @throws {@link OssicleError} `format-invalid` if its elements are of another type.
 */
export async function readIntegers(
  source: ByteSource,
  { path }: SourceFile,
  { key, elementType, length, offsetBytes }: GgufArray,
  signal?: AbortSignal,
): Promise<Int32Array> {
  if (elementType !== 'i32' && elementType !== 'u32') {
    throw invalid(path, `${key} is an array of ${elementType}, not of 32-bit integers`);
  }
  const integers = new Int32Array(length);
  await source.read({ path, offsetBytes }, new Uint8Array(integers.buffer), signal);
  return integers;
}

/** The error for a file that breaks the format. */
export function invalid(path: string, what: string, cause?: unknown): OssicleError {
  return formatInvalid(
    `${path} is not a valid GGUF file: ${what}. Check that it is the published file.`,
    cause,
  );
}

/** Reads a value; `undefined` for a text too long to keep. */
async function readValue(reader: WindowReader, key: string): Promise<GgufValue | undefined> {
  const { name, bytes, read } = readType(reader, key);
  if (name === 'array') return readArray(reader, key);
  if (!read) {
    const length = readTextLength(reader, key);
    if (length <= MAX_TEXT_BYTES) return readText(reader, key, length);
    reader.skip(length);
    return undefined;
  }
  const value = read(reader.field(bytes));
  if (name !== 'bool') return value;
  if (value > 1) throw invalid(reader.file.path, `${key} is a boolean with the value ${value}`);
  return value === 1;
}

function readType(reader: WindowReader, key: string): ValueType {
  const number = reader.u32();
  const type = VALUE_TYPES[number];
  if (!type) throw invalid(reader.file.path, `${key} has the unknown type ${number}`);
  return type;
}

/** Notes the place of an array, and skips it. */
async function readArray(reader: WindowReader, key: string): Promise<GgufArray> {
  const { path } = reader.file;
  const { name: elementType, bytes } = readType(reader, key);
  const length = reader.u64();
  const offsetBytes = reader.position;
  if (elementType === 'array') throw invalid(path, `${key} is an array of arrays`);
  const least = length * (bytes || 8); // a text takes at least its length field
  checkHeaderEnd(path, offsetBytes + least, `${key} has ${length} elements`);
  if (bytes > 0) reader.skip(least);
  else {
    for (let i = 0; i < length; i++) {
      if (!reader.isPrepared(8)) await reader.prepare(8);
      reader.skip(readTextLength(reader, key));
    }
  }
  checkHeaderEnd(path, reader.position);
  return { key, elementType, length, offsetBytes };
}

/** A tensor as the header lists it; its offset is from the start of the data. */
type TensorInfo = GgufTensor & { readonly name: string };

function readTensorInfo(reader: WindowReader): TensorInfo {
  const { path } = reader.file;
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
  return { name, type, shape, offsetBytes: reader.u64(), sizeBytes };
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
  { path, sizeBytes: fileSizeBytes }: SourceFile,
  infos: readonly TensorInfo[],
  dataStart: number,
  alignment: number,
): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  let end = 0;
  for (const { name, ...tensor } of infos.toSorted((a, b) => a.offsetBytes - b.offsetBytes)) {
    const { offsetBytes, sizeBytes } = tensor;
    if (tensors.has(name)) throw invalid(path, `it has the tensor ${name} twice`);
    const expected = align(end, alignment);
    if (offsetBytes !== expected) {
      throw invalid(
        path,
        `${name} begins at ${offsetBytes} of the data, not at ${expected} behind the tensor before it`,
      );
    }
    end = offsetBytes + sizeBytes;
    tensors.set(name, { ...tensor, offsetBytes: dataStart + offsetBytes });
  }
  if (dataStart + end > fileSizeBytes) throw truncated(path, dataStart + end, fileSizeBytes);
  return tensors;
}

function readName(reader: WindowReader, what: string): string {
  const length = reader.u64();
  if (length < 1 || length > MAX_NAME_BYTES) {
    throw invalid(
      reader.file.path,
      `it has a ${what} of ${length} bytes at byte ${reader.position}`,
    );
  }
  return readText(reader, `a ${what}`, length);
}

function readText(reader: WindowReader, what: string, length: number): string {
  const bytes = reader.bytes(length);
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw invalid(reader.file.path, `${what} is not UTF-8`, cause);
  }
}

function readTextLength(reader: WindowReader, key: string): number {
  const length = reader.u64();
  if (length <= MAX_WINDOW_BYTES) return length;
  throw invalid(reader.file.path, `${key} has a text of ${length} bytes`);
}

function readCount(reader: WindowReader, what: string, most: number): number {
  const count = reader.u64();
  if (count <= most) return count;
  throw invalid(reader.file.path, `it declares ${count} ${what}; ${most} can be read`);
}

function checkHeaderEnd(path: string, end: number, because = 'what it declares'): void {
  if (end <= MAX_HEADER_BYTES) return;
  throw invalid(
    path,
    `its header reaches byte ${end} with ${because}; ${MAX_HEADER_BYTES} can be read`,
  );
}

function align(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}
