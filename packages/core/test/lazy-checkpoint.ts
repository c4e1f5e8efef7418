/** Checkpoints of any size whose bytes are generated as they are read. */

import { type Config, huggingFaceConfig } from './config.ts';
import { safetensorsHeader, tensorBytes } from './safetensors-file.ts';
import { createSyntheticValues, type SyntheticValues } from './synthetic-values.ts';
import { type Shard, shardIndex, shardTensors } from './tensor-table.ts';

/** The parts of a picked file that the library uses. */
type FileLike = Pick<File, 'name' | 'size' | 'lastModified' | 'webkitRelativePath' | 'slice'>;

/** A checkpoint that is generated as it is read. */
export interface LazyCheckpoint {
  /** The files for an engine to load, in the Hugging Face layout. */
  readonly files: readonly File[];
  /** The same values for the reference to read. */
  readonly values: SyntheticValues;
}

/** Makes a synthetic checkpoint of seeded values, without generating them. */
export function createLazyCheckpoint(config: Config, seed = 1): LazyCheckpoint {
  const values = createSyntheticValues(config, 'hf', seed);
  const shards = shardTensors(values.table, 'hf');
  const texts: [name: string, text: string][] = [['config.json', huggingFaceConfig(config)]];
  if (shards.length > 1) {
    texts.push(['model.safetensors.index.json', shardIndex(values.table, shards)]);
  }
  return {
    files: [
      ...texts.map(([name, text]) => new File([text], name)),
      ...shards.map((shard) => lazyFile(shard, values) as File),
    ],
    values,
  };
}

function lazyFile({ name, tensors }: Shard, values: SyntheticValues): FileLike {
  const header = safetensorsHeader(tensors);
  let size = header.length;
  const places = tensors.map((spec) => {
    const begin = size;
    size += tensorBytes(spec);
    return { name: spec.name, begin, end: size };
  });
  const read = (begin: number, end: number): ArrayBuffer => {
    const bytes = new Uint8Array(end - begin);
    if (begin < header.length) bytes.set(header.subarray(begin, end));
    for (const place of places) {
      const from = Math.max(begin, place.begin);
      const to = Math.min(end, place.end);
      if (from < to) {
        values.fill(place.name, from - place.begin, bytes.subarray(from - begin, to - begin));
      }
    }
    return bytes.buffer;
  };
  return {
    name,
    size,
    lastModified: 0,
    webkitRelativePath: '',
    slice: (begin = 0, end = size) =>
      ({ arrayBuffer: async () => read(begin, end) }) satisfies Partial<Blob> as unknown as Blob,
  };
}
