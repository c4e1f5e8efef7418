import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Config,
  generationConfig,
  huggingFaceConfig,
  originalConfig,
} from '../packages/core/test/config.ts';
import { safetensorsHeader, tensorBytes } from '../packages/core/test/safetensors-file.ts';
import { createSyntheticValues } from '../packages/core/test/synthetic-values.ts';
import {
  dtypesJson,
  type Layout,
  type Shard,
  shardIndex,
  shardTensors,
} from '../packages/core/test/tensor-table.ts';

/** Bytes generated at a time; two such pieces are held. */
const PIECE_BYTES = 4 * 2 ** 20;

/** Options of {@link generateCheckpoint}. */
export interface GeneratorOptions {
  /** Default: `hf`. */
  readonly layout?: Layout;
  /** The same seed gives the same bytes, on disk and in memory. Default: 1. */
  readonly seed?: number;
  /** Most bytes of tensors per file. Default: as published. */
  readonly maxShardBytes?: number;
  /** Called after every few MiB. */
  readonly onProgress?: (progress: { writtenBytes: number; totalBytes: number }) => void;
}

/** A written file. */
export interface GeneratedFile {
  /** Name in the folder. */
  readonly name: string;
  readonly sizeBytes: number;
  /** SHA-256, in hexadecimal. */
  readonly sha256: string;
}

/**
 * Writes a synthetic checkpoint in a published layout. Streams, so that memory does not grow with its size.
 *
 * @param folder - Created if missing; files of the same names are overwritten.
 */
export async function generateCheckpoint(
  folder: string,
  config: Config,
  options: GeneratorOptions = {},
): Promise<GeneratedFile[]> {
  const { layout = 'hf', seed = 1, onProgress } = options;
  const values = createSyntheticValues(config, layout, seed);
  const shards = shardTensors(values.table, layout, options.maxShardBytes);
  const texts: [name: string, text: string][] =
    layout === 'hf'
      ? [
          ['config.json', huggingFaceConfig(config)],
          ['generation_config.json', generationConfig(config)],
        ]
      : [
          ['config.json', originalConfig(config)],
          ['dtypes.json', dtypesJson(values.table)],
        ];
  if (layout === 'hf' && shards.length > 1) {
    texts.push(['model.safetensors.index.json', shardIndex(values.table, shards)]);
  }
  await mkdir(folder, { recursive: true });
  const files: GeneratedFile[] = [];
  for (const [name, text] of texts) {
    await writeFile(join(folder, name), text);
    const sha256 = createHash('sha256').update(text).digest('hex');
    files.push({ name, sizeBytes: Buffer.byteLength(text), sha256 });
  }
  const totalBytes = shards.reduce((sum, shard) => sum + shardBytes(shard), 0);
  let writtenBytes = 0;
  for (const shard of shards) {
    const handle = await open(join(folder, shard.name), 'w');
    try {
      const sha256 = await writeShard(handle, shard, values.fill, (bytes) => {
        writtenBytes += bytes;
        onProgress?.({ writtenBytes, totalBytes });
      });
      files.push({ name: shard.name, sizeBytes: shardBytes(shard), sha256 });
    } finally {
      await handle.close();
    }
  }
  return files;
}

function shardBytes({ tensors }: Shard): number {
  return tensors.reduce((sum, spec) => sum + tensorBytes(spec), safetensorsHeader(tensors).length);
}

/** Writes one piece while it generates the next. */
async function writeShard(
  handle: FileHandle,
  { tensors }: Shard,
  fill: (name: string, begin: number, target: Uint8Array) => void,
  onWritten: (bytes: number) => void,
): Promise<string> {
  const hash = createHash('sha256');
  const write = async (bytes: Uint8Array): Promise<void> => {
    await handle.writeFile(bytes); // appends
    onWritten(bytes.length);
  };
  const header = safetensorsHeader(tensors);
  hash.update(header);
  await write(header);
  const buffers = [new Uint8Array(PIECE_BYTES), new Uint8Array(PIECE_BYTES)] as const;
  let writing = Promise.resolve();
  let piece = 0;
  for (const spec of tensors) {
    const size = tensorBytes(spec);
    for (let begin = 0; begin < size; begin += PIECE_BYTES) {
      const target = buffers[piece++ % 2 === 0 ? 0 : 1].subarray(0, size - begin);
      fill(spec.name, begin, target);
      hash.update(target);
      await writing;
      writing = write(target);
    }
  }
  await writing;
  return hash.digest('hex');
}
