/** Writes ggml's block formats from their definitions, for test files and kernels. */

import { fromBf16, fromF16, toBf16, toF16 } from './number-formats.ts';

/** The formats of numbers in GGUF files. */
export type NumberFormat = 'BF16' | 'F16' | 'F32' | 'Q8_0';

/**
 * Converts MXFP4 from safetensors to ggml's 17-byte blocks: the scale, then byte j with elements j (low) and j + 16
 * (high).
 */
export function toGgmlMxfp4(blocks: Uint8Array, scales: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(17 * scales.length);
  for (let block = 0; block < scales.length; block++) {
    const nibble = (element: number): number =>
      (blocks[16 * block + (element >> 1)]! >> (4 * (element & 1))) & 15;
    bytes[17 * block] = scales[block]!;
    for (let j = 0; j < 16; j++) {
      bytes[17 * block + 1 + j] = nibble(j) | (nibble(j + 16) << 4);
    }
  }
  return bytes;
}

/** Writes ggml's 34-byte Q8_0 blocks: an f16 scale, then 32 int8. */
export function toGgmlQ8(q: Int8Array, scaleBits: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(34 * (q.length / 32));
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < q.length / 32; block++) {
    view.setUint16(34 * block, scaleBits[block]!, true);
    bytes.set(new Uint8Array(q.buffer, q.byteOffset + 32 * block, 32), 34 * block + 2);
  }
  return bytes;
}

/** Numbers as written to a file, and the values that they were rounded to. */
export interface WrittenNumbers {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly values: Float64Array;
}

/** Writes numbers in a format; Q8_0 with the scale max |x| / 127 and plain rounding. */
export function writeNumbers(format: NumberFormat, numbers: ArrayLike<number>): WrittenNumbers {
  const { length } = numbers;
  if (format === 'Q8_0') {
    const q = new Int8Array(length);
    const scaleBits = new Uint16Array(length / 32);
    const values = new Float64Array(length);
    for (let first = 0; first < length; first += 32) {
      let largest = 0;
      for (let i = first; i < first + 32; i++) largest = Math.max(largest, Math.abs(numbers[i]!));
      const bits = toF16(largest / 127);
      const scale = fromF16(bits);
      scaleBits[first / 32] = bits;
      for (let i = first; i < first + 32; i++) {
        q[i] = scale === 0 ? 0 : Math.max(-127, Math.min(127, Math.round(numbers[i]! / scale)));
        values[i] = q[i]! * scale;
      }
    }
    return { bytes: toGgmlQ8(q, scaleBits), values };
  }
  const bytes = new Uint8Array(length * (format === 'F32' ? 4 : 2));
  const view = new DataView(bytes.buffer);
  const values = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    const x = numbers[i]!;
    if (format === 'F32') {
      view.setFloat32(4 * i, x, true);
      values[i] = Math.fround(x);
    } else if (format === 'F16') {
      view.setUint16(2 * i, toF16(x), true);
      values[i] = fromF16(toF16(x));
    } else {
      view.setUint16(2 * i, toBf16(x), true);
      values[i] = fromBf16(toBf16(x));
    }
  }
  return { bytes, values };
}
