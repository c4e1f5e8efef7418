/** Bytes per element of the safetensors dtypes in use here. */
export const DTYPE_BYTES = {
  F64: 8,
  I64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  BF16: 2,
  F16: 2,
  U8: 1,
  I8: 1,
} as const;

/** A safetensors dtype. */
export type Dtype = keyof typeof DTYPE_BYTES;

/** A tensor without its bytes. */
export interface TensorSpec {
  /** Its name in the file. */
  readonly name: string;
  /** Its element type. */
  readonly dtype: Dtype;
  /** Its dimensions, slowest first. */
  readonly shape: readonly number[];
}

/** A tensor in memory. */
export interface Tensor {
  /** Its element type. */
  readonly dtype: Dtype;
  /** Its dimensions, slowest first. */
  readonly shape: readonly number[];
  /** Its elements, little-endian, row-major. */
  readonly bytes: Uint8Array;
}

/** The size of a tensor in bytes. */
export function tensorBytes({ dtype, shape }: Pick<TensorSpec, 'dtype' | 'shape'>): number {
  return shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
}

/** Sorts tensors as in the published files: wider dtypes first, then by name in code-unit order. */
export function inFileOrder<T extends TensorSpec>(specs: readonly T[]): T[] {
  return [...specs].sort(
    (a, b) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype] || (a.name < b.name ? -1 : 1),
  );
}

/**
 * Makes the start of a safetensors file: the length and the JSON header, space-padded to a multiple of 8.
 *
 * @param specs - The tensors in the order of their bytes.
 * @returns `8 + N` bytes; the tensor data follows directly.
 */
export function safetensorsHeader(specs: readonly TensorSpec[]): Uint8Array<ArrayBuffer> {
  let offset = 0;
  const entries = specs.map((spec) => {
    const begin = offset;
    offset += tensorBytes(spec);
    return [
      spec.name,
      { dtype: spec.dtype, shape: spec.shape, data_offsets: [begin, offset] },
    ] as const;
  });
  return frameHeader(JSON.stringify(Object.fromEntries(entries)));
}

/** Frames any text as a safetensors header: its length as a little-endian u64, then the text padded with spaces. */
export function frameHeader(text: string): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(text);
  const length = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return header;
}

/** Writes a safetensors file in the published order. */
export function writeSafetensors(tensors: ReadonlyMap<string, Tensor>): Uint8Array<ArrayBuffer> {
  const ordered = inFileOrder([...tensors].map(([name, tensor]) => ({ name, ...tensor })));
  const header = safetensorsHeader(ordered);
  const file = new Uint8Array(
    ordered.reduce((size, { bytes }) => size + bytes.length, header.length),
  );
  file.set(header);
  let offset = header.length;
  for (const { name, bytes, ...spec } of ordered) {
    if (bytes.length !== tensorBytes(spec)) {
      throw new RangeError(`${name} has ${bytes.length} bytes; ${tensorBytes(spec)} expected`);
    }
    file.set(bytes, offset);
    offset += bytes.length;
  }
  return file;
}

/** Reads the offsets of each tensor in a file from the JSON of its header. */
export function parseHeader(
  json: string,
): Map<string, TensorSpec & { begin: number; end: number }> {
  const header = JSON.parse(json) as Record<
    string,
    { dtype: Dtype; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, TensorSpec & { begin: number; end: number }>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [begin, end] = entry.data_offsets;
    const spec = { name, dtype: entry.dtype, shape: entry.shape };
    if (end - begin !== tensorBytes(spec))
      throw new RangeError(`${name}: offsets do not fit shape`);
    tensors.set(name, { ...spec, begin, end });
  }
  return tensors;
}

/** Reads a whole safetensors file; the tensors are views of it. */
export function readSafetensors(file: Uint8Array): Map<string, Tensor> {
  const length = Number(
    new DataView(file.buffer, file.byteOffset, file.byteLength).getBigUint64(0, true),
  );
  const header = parseHeader(new TextDecoder().decode(file.subarray(8, 8 + length)));
  const data = file.subarray(8 + length);
  return new Map(
    [...header].map(([name, { dtype, shape, begin, end }]) => [
      name,
      { dtype, shape, bytes: data.subarray(begin, end) },
    ]),
  );
}
