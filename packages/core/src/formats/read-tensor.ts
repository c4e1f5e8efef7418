import { formatInvalid } from '../errors.ts';
import type { ByteSource } from '../sources/byte-source.ts';
import type { CheckpointTensor, PublishedTensor } from './checkpoint-tensor.ts';

/**
 * Reads a small tensor into memory as float32. BF16, F16 and F32 are converted exactly.
 *
 * @throws {@link OssicleError} `format-invalid` if it has another type; the errors of {@link ByteSource.read}.
 */
export async function readTensor(
  source: ByteSource,
  { pieces, shape, order }: CheckpointTensor,
  signal?: AbortSignal,
): Promise<Float32Array<ArrayBuffer>> {
  const parts = await Promise.all(pieces.map((piece) => readPiece(source, piece, signal)));
  const values = new Float32Array(shape.reduce((product, extent) => product * extent, 1));
  if (order === 'consecutive') {
    let filled = 0;
    for (const part of parts) {
      values.set(part, filled);
      filled += part.length;
    }
  } else {
    parts.forEach((part, first) => {
      part.forEach((value, i) => {
        values[first + i * parts.length] = value;
      });
    });
  }
  return values;
}

async function readPiece(
  source: ByteSource,
  tensor: PublishedTensor,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  const { name, encoding, sizeBytes } = tensor;
  const bytes = new Uint8Array(sizeBytes);
  await source.read(tensor, bytes, signal);
  if (encoding === 'F32') return new Float32Array(bytes.buffer);
  if (encoding === 'BF16') {
    const words = Uint32Array.from(new Uint16Array(bytes.buffer), (half) => half << 16);
    return new Float32Array(words.buffer);
  }
  if (encoding === 'F16') return Float32Array.from(new Uint16Array(bytes.buffer), halfToFloat);
  throw formatInvalid(
    `${name} is of type ${encoding}; BF16, F16 or F32 was expected. Check that it is the published checkpoint.`,
  );
}

/** IEEE 754 binary16: sign, 5 bits of exponent with bias 15, 10 of fraction. */
function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = (bits & 0x3ff) / 1024;
  if (exponent === 0) return sign * 2 ** -14 * fraction;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * 2 ** (exponent - 15) * (1 + fraction);
}
