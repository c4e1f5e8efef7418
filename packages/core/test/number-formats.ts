import { DTYPE_BYTES, type Dtype, type Tensor } from './safetensors-file.ts';

const scratch = new DataView(new ArrayBuffer(8));

/** The value of a bfloat16's bits. */
export function fromBf16(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** The bits of the bfloat16 nearest to a number (through float32), ties to even. */
export function toBf16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The value of a float16's bits. */
export function fromF16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Rounds a number to the nearest float16, ties to even; from 65520 on to infinity. */
export function roundToF16(value: number): number {
  const magnitude = Math.abs(value);
  if (!(magnitude < 65520)) return magnitude >= 65520 ? value * Number.POSITIVE_INFINITY : value;
  // The step between neighbors: 2^-24 below 2^-14, else 2^(exponent - 10).
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude)));
  const step = 2 ** (exponent - 10);
  const rounded = roundHalfToEven(magnitude / step) * step;
  return value < 0 || Object.is(value, -0) ? -rounded : rounded;
}

/** The bits of the float16 nearest to a number, ties to even. */
export function toF16(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const rounded = roundToF16(value);
  const sign = rounded < 0 || Object.is(rounded, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(rounded);
  if (magnitude === Number.POSITIVE_INFINITY) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | (magnitude * 2 ** 24);
  const exponent = Math.floor(Math.log2(magnitude));
  return sign | ((exponent + 15) << 10) | (magnitude / 2 ** (exponent - 10) - 1024);
}

/** The scale of four numbers of an `int8` cache: a power of two that makes the largest 32 to 63, from 2^-11 to 2^4. */
export function int8QuadScale(quad: ArrayLike<number>): number {
  const largest = Math.max(...Array.from(quad, Math.abs));
  return 2 ** Math.min(4, Math.max(-11, Math.floor(Math.log2((largest * 64) / 63.5)) - 5));
}

/** Four numbers to a u32: 7-bit integers from the lowest bits on, and the scale's exponent + 11. NaN becomes 0. */
export function packInt8Quads(values: ArrayLike<number>): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: values.length / 4 }, (_, i) => {
    const quad = [0, 1, 2, 3].map((k) => values[4 * i + k] || 0);
    const scale = int8QuadScale(quad);
    return quad.reduce(
      (word, value, k) => {
        const integer = Math.min(63, Math.max(-63, roundHalfToEven(value / scale)));
        return word | ((integer & 127) << (7 * k));
      },
      (Math.log2(scale) + 11) << 28,
    );
  });
}

/** The numbers of {@link packInt8Quads}. */
export function unpackInt8Quads(words: Uint32Array): Float64Array {
  return Float64Array.from({ length: 4 * words.length }, (_, i) => {
    const word = words[i >> 2]!;
    const integer = (word << (25 - 7 * (i & 3))) >> 25;
    return integer * 2 ** ((word >>> 28) - 11);
  });
}

/** Keys or values as each format of the cache holds them. */
export const CACHED: Readonly<
  Record<'int8' | 'f16' | 'f32', (values: Float64Array) => Float64Array>
> = {
  int8: (values) => unpackInt8Quads(packInt8Quads(values)),
  f16: (values) => values.map(roundToF16),
  f32: (values) => values,
};

/** Rounds to the nearest whole number, ties to even. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The sixteen e2m1 values, by code. */
export const E2M1: readonly number[] = [
  0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6,
];

/**
 * Decodes MXFP4 blocks in the published layout: element 2j in the low nibble of byte j, element 2j + 1 in the high one.
 *
 * @param blocks - 16 bytes per block.
 * @param scales - One byte s per block; values are multiplied by 2^(s - 127).
 * @returns 32 values per block.
 */
export function decodeMxfp4(blocks: Uint8Array, scales: Uint8Array): Float64Array {
  const values = new Float64Array(scales.length * 32);
  for (let block = 0; block < scales.length; block++) {
    const scale = 2 ** (scales[block]! - 127);
    for (let j = 0; j < 16; j++) {
      const byte = blocks[block * 16 + j]!;
      values[block * 32 + 2 * j] = E2M1[byte & 15]! * scale;
      values[block * 32 + 2 * j + 1] = E2M1[byte >> 4]! * scale;
    }
  }
  return values;
}

/** 8-bit numbers in groups of 32 with one float16 scale each. */
export interface Int8Groups {
  /** One whole number in [-127, 127] per element. */
  readonly q: Int8Array;
  /** The value of the float16 scale of each group. */
  readonly scales: Float64Array;
  /** `q * scale`: the values that the numbers were rounded to. */
  readonly values: Float64Array;
}

/**
 * Quantizes numbers in groups of 32 neighbors: scale = f16(max|x| / 127), q = x * 127 / max|x| rounded half away from
 * zero. These are ggml's Q8_0 numbers. The float64 quotient rounds like the exact one for inputs of up to 24
 * significant bits.
 *
 * @param x - A multiple of 32 numbers; groups must not straddle rows.
 */
export function quantizeInt8(x: Float64Array): Int8Groups {
  if (x.length % 32 !== 0) throw new RangeError(`${x.length} is not a multiple of 32`);
  const q = new Int8Array(x.length);
  const scales = new Float64Array(x.length / 32);
  const values = new Float64Array(x.length);
  for (let group = 0; group < scales.length; group++) {
    const begin = group * 32;
    let largest = 0;
    for (let i = begin; i < begin + 32; i++) {
      largest = Math.max(largest, Math.abs(x[i]!));
    }
    if (largest === 0) continue;
    const scale = roundToF16(largest / 127);
    scales[group] = scale;
    for (let i = begin; i < begin + 32; i++) {
      const quotient = (127 * x[i]!) / largest;
      let rounded = Math.floor(quotient + 0.5);
      if (rounded - quotient === 0.5 && quotient < 0) rounded -= 1;
      q[i] = rounded;
      values[i] = rounded * scale;
    }
  }
  return { q, scales, values };
}

const READ: { readonly [D in Dtype]: (view: DataView, offset: number) => number } = {
  F64: (view, offset) => view.getFloat64(offset, true),
  I64: (view, offset) => Number(view.getBigInt64(offset, true)),
  F32: (view, offset) => view.getFloat32(offset, true),
  I32: (view, offset) => view.getInt32(offset, true),
  U32: (view, offset) => view.getUint32(offset, true),
  BF16: (view, offset) => fromBf16(view.getUint16(offset, true)),
  F16: (view, offset) => fromF16(view.getUint16(offset, true)),
  U8: (view, offset) => view.getUint8(offset),
  I8: (view, offset) => view.getInt8(offset),
};

/** Decodes little-endian elements of a dtype into numbers. */
export function decodeElements(dtype: Dtype, bytes: Uint8Array): Float64Array {
  const elementBytes = DTYPE_BYTES[dtype];
  const count = bytes.length / elementBytes;
  if (dtype === 'BF16') {
    const halves = new Uint16Array(bytes.slice().buffer);
    const words = new Uint32Array(count);
    for (let i = 0; i < count; i++) words[i] = halves[i]! << 16;
    return new Float64Array(new Float32Array(words.buffer));
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = READ[dtype](view, i * elementBytes);
  return values;
}

/** The numbers of a tensor, row-major. */
export function tensorValues({ dtype, bytes }: Tensor): Float64Array {
  return decodeElements(dtype, bytes);
}

/** Makes a BF16 tensor from numbers, which it rounds. */
export function bf16Tensor(shape: readonly number[], values: ArrayLike<number>): Tensor {
  const bytes = new Uint8Array(values.length * 2);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) view.setUint16(2 * i, toBf16(values[i]!), true);
  return { dtype: 'BF16', shape, bytes };
}
