/** Reads the tensors of a checkpoint without holding all of it in memory. */

import { parseHeader, type Tensor, type TensorSpec, tensorBytes } from './safetensors-file.ts';

/** Reads tensors in slices along their first dimension. */
export interface TensorReader {
  /** A tensor's dtype and shape; `undefined` if no tensor has that name. */
  find(name: string): Pick<TensorSpec, 'dtype' | 'shape'> | undefined;
  /** The bytes of the entries [start, end) of a tensor's first dimension. */
  read(name: string, start: number, end: number): Uint8Array | Promise<Uint8Array>;
}

/** Reads tensors in memory. */
export function memoryReader(tensors: ReadonlyMap<string, Tensor>): TensorReader {
  return {
    find: (name) => tensors.get(name),
    read(name, start, end) {
      const tensor = tensors.get(name)!;
      const entryBytes = tensor.bytes.length / tensor.shape[0]!;
      return tensor.bytes.subarray(start * entryBytes, end * entryBytes);
    },
  };
}

/** Reads tensors from safetensors files, of which only the headers are kept in memory. */
export async function fileReader(files: Iterable<Blob & { name: string }>): Promise<TensorReader> {
  const places = new Map<string, TensorSpec & { blob: Blob; begin: number }>();
  for (const file of files) {
    if (!file.name.endsWith('.safetensors')) continue;
    const length = Number(new DataView(await file.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
    const header = parseHeader(
      new TextDecoder().decode(await file.slice(8, 8 + length).arrayBuffer()),
    );
    for (const [name, { begin, dtype, shape }] of header) {
      places.set(name, { name, dtype, shape, blob: file, begin: 8 + length + begin });
    }
  }
  return {
    find: (name) => places.get(name),
    async read(name, start, end) {
      const place = places.get(name)!;
      const entryBytes = tensorBytes(place) / place.shape[0]!;
      const slice = place.blob.slice(
        place.begin + start * entryBytes,
        place.begin + end * entryBytes,
      );
      return new Uint8Array(await slice.arrayBuffer());
    },
  };
}
