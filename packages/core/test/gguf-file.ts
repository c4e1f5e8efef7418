/** Writes GGUF v3 files for tests, from the format's specification. Shares nothing with `src`. */

/** A metadata value with its type. */
export type MetadataValue =
  | readonly [type: 'u32' | 'i32' | 'f32' | 'u64' | 'bool' | 'u16' | 'u8', value: number]
  | readonly [type: 'text', value: string]
  | readonly [type: 'texts', value: readonly string[]]
  | readonly [type: 'i32s', value: readonly number[]];

/** The numbers that stand for ggml's types in files. */
export const GGML_TYPE = { F32: 0, F16: 1, Q8_0: 8, Q4_K: 12, BF16: 30, MXFP4: 39 } as const;

/** A tensor to write. */
export interface GgufTensorFile {
  readonly name: string;
  /** One of {@link GGML_TYPE}, or any other number. */
  readonly type: number;
  /** Outermost first; written in reverse, as the format requires. */
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** The contents of a file. */
export interface GgufContents {
  readonly metadata: Readonly<Record<string, MetadataValue>>;
  readonly tensors: readonly GgufTensorFile[];
  /** Default: 32. Put another alignment into `metadata` as well. */
  readonly alignment?: number;
  /** Default: 3. */
  readonly version?: number;
}

const VALUE_TYPE = {
  u8: 0,
  u16: 2,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  text: 8,
  array: 9,
  u64: 10,
} as const;

/** A growing list of bytes. */
class ByteList {
  #bytes = new Uint8Array(2 ** 16);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  number(bytes: number, write: (view: DataView, at: number) => void): void {
    this.#reserve(bytes);
    write(this.#view, this.length);
    this.length += bytes;
  }

  u32(value: number): void {
    this.number(4, (view, at) => view.setUint32(at, value, true));
  }

  u64(value: number): void {
    this.number(8, (view, at) => view.setBigUint64(at, BigInt(value), true));
  }

  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.u64(bytes.length);
    this.bytes(bytes);
  }

  pad(alignment: number): void {
    this.bytes(new Uint8Array((alignment - (this.length % alignment)) % alignment));
  }

  joined(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.length);
  }

  #reserve(bytes: number): void {
    if (this.length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * (this.length + bytes));
    larger.set(this.#bytes.subarray(0, this.length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** Writes a file. */
export function writeGguf({
  metadata,
  tensors,
  alignment = 32,
  version = 3,
}: GgufContents): Uint8Array<ArrayBuffer> {
  const file = new ByteList();
  file.bytes(new TextEncoder().encode('GGUF'));
  file.u32(version);
  file.u64(tensors.length);
  file.u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    file.text(key);
    writeValue(file, value);
  }
  let offset = 0;
  for (const { name, type, shape, bytes } of tensors) {
    file.text(name);
    file.u32(shape.length);
    for (const extent of [...shape].reverse()) file.u64(extent);
    file.u32(type);
    file.u64(offset);
    offset += Math.ceil(bytes.length / alignment) * alignment;
  }
  for (const { bytes } of tensors) {
    file.pad(alignment);
    file.bytes(bytes);
  }
  file.pad(alignment);
  return file.joined();
}

function writeValue(file: ByteList, [type, value]: MetadataValue): void {
  switch (type) {
    case 'text':
      file.u32(VALUE_TYPE.text);
      file.text(value);
      return;
    case 'texts':
      file.u32(VALUE_TYPE.array);
      file.u32(VALUE_TYPE.text);
      file.u64(value.length);
      for (const text of value) file.text(text);
      return;
    case 'i32s':
      file.u32(VALUE_TYPE.array);
      file.u32(VALUE_TYPE.i32);
      file.u64(value.length);
      file.bytes(new Uint8Array(Int32Array.from(value).buffer));
      return;
    default:
      file.u32(VALUE_TYPE[type]);
  }
  if (type === 'u64') file.u64(value);
  else if (type === 'f32') file.number(4, (view, at) => view.setFloat32(at, value, true));
  else if (type === 'u16') file.number(2, (view, at) => view.setUint16(at, value, true));
  else if (type === 'u8' || type === 'bool') file.bytes(Uint8Array.of(value));
  else file.u32(value >>> 0);
}
