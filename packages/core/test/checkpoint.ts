/** Checkpoints in memory for engines and the reference to load: synthetic, of any configuration, intact or damaged. */

import { type Config, generationConfig, huggingFaceConfig, originalConfig } from './config.ts';
import { bf16Tensor } from './number-formats.ts';
import { mulberry32 } from './random.ts';
import {
  type Dtype,
  frameHeader,
  inFileOrder,
  safetensorsHeader,
  type Tensor,
  tensorBytes,
} from './safetensors-file.ts';
import { createSyntheticValues } from './synthetic-values.ts';
import {
  dtypesJson,
  type Layout,
  originalPlace,
  type Shard,
  shardIndex,
  shardTensors,
  tensorTable,
} from './tensor-table.ts';

/** One fault of a checkpoint. Files are given by name, tensors by their name in the layout. */
export type Damage =
  /** The file is missing. */
  | { readonly kind: 'missing-file'; readonly file: string }
  /** The tensor is in no file; an index still lists it. */
  | { readonly kind: 'missing-tensor'; readonly tensor: string }
  /** The tensor has another dtype, in a well-formed file. */
  | { readonly kind: 'dtype'; readonly tensor: string; readonly dtype: Dtype }
  /** The tensor has another shape, in a well-formed file. */
  | { readonly kind: 'shape'; readonly tensor: string; readonly shape: readonly number[] }
  /** The file lacks its last bytes. */
  | { readonly kind: 'truncated'; readonly file: string; readonly missingBytes: number }
  /** The file's bytes are these. */
  | {
      readonly kind: 'content';
      readonly file: string;
      readonly content: string | Uint8Array<ArrayBuffer>;
    }
  /** The tensor's header entry has these offsets. */
  | {
      readonly kind: 'offsets';
      readonly tensor: string;
      readonly offsets: readonly [number, number];
    }
  /** The first 8 bytes of the file claim this header length. */
  | { readonly kind: 'header-length'; readonly file: string; readonly length: bigint };

/** How a checkpoint is written. */
export interface CheckpointOptions {
  /** Default: `hf`. */
  readonly layout?: Layout;
  /** The most tensor bytes per file. Default: 40 % of them for `hf` (about three shards), all for `original`. */
  readonly maxShardBytes?: number;
  /** Its fault. Default: none. */
  readonly damage?: Damage;
}

/** A checkpoint in memory. */
export interface Checkpoint {
  /** Its configuration. */
  readonly config: Config;
  /** Its tensors by the layout's names, undamaged. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Its files, without a tokenizer. */
  readonly files: readonly File[];
}

/** Makes a checkpoint of seeded values; the same seed gives the same numbers in both layouts. */
export function createCheckpoint(
  config: Config,
  options: CheckpointOptions & { readonly seed?: number } = {},
): Checkpoint {
  const { layout = 'hf', seed = 1 } = options;
  const values = createSyntheticValues(config, layout, seed);
  const tensors = new Map<string, Tensor>();
  for (const { name, dtype, shape } of values.table) {
    const bytes = new Uint8Array(tensorBytes({ dtype, shape }));
    values.fill(name, 0, bytes);
    tensors.set(name, { dtype, shape, bytes });
  }
  return { config, tensors, files: checkpointFiles(config, tensors, options) };
}

/** How to make the tensors of the model in gpt-oss-vectors.json. */
export interface VectorModel {
  /** Sizes, under the vectors' own names. */
  readonly config: { readonly [name: string]: number };
  /** Tensors in the order of their seeds, which count from 1. */
  readonly tensors: readonly (
    | {
        readonly name: string;
        readonly shape: readonly number[];
        readonly kind: 'bf16';
        readonly scale: number;
        readonly offset: number;
      }
    | {
        readonly name: string;
        readonly shape: readonly number[];
        readonly kind: 'u8';
        readonly lo: number;
        readonly count: number;
      }
  )[];
}

/** Makes the checkpoint of `tiny_model` in gpt-oss-vectors.json. */
export function createVectorCheckpoint(
  model: VectorModel,
  base: Config,
  options: CheckpointOptions = {},
): Checkpoint {
  const size = (name: string) => model.config[name]!;
  const config: Config = {
    ...base,
    layers: size('layers'),
    hidden: size('hidden'),
    intermediate: size('inter'),
    heads: size('heads'),
    kvHeads: size('kv'),
    headDim: size('hd'),
    experts: size('experts'),
    expertsPerToken: size('topk'),
    vocabulary: size('vocab'),
    window: size('window'),
    specialIds: { bos: 157, pad: 158, eos: 159 },
  };
  const huggingFace = new Map<string, Tensor>();
  model.tensors.forEach((tensor, i) => {
    const next = mulberry32(i + 1);
    const { name, shape } = tensor;
    const length = shape.reduce((product, n) => product * n, 1);
    huggingFace.set(
      name,
      tensor.kind === 'u8'
        ? {
            dtype: 'U8',
            shape,
            bytes: Uint8Array.from({ length }, () => tensor.lo + Math.floor(next() * tensor.count)),
          }
        : bf16Tensor(
            shape,
            Array.from({ length }, () => (2 * next() - 1) * tensor.scale + tensor.offset),
          ),
    );
  });
  const tensors = options.layout === 'original' ? toOriginal(huggingFace, config) : huggingFace;
  return { config, tensors, files: checkpointFiles(config, tensors, options) };
}

/** Renames and joins Hugging Face tensors into those of the original layout. */
function toOriginal(tensors: ReadonlyMap<string, Tensor>, config: Config): Map<string, Tensor> {
  const original = new Map<string, Tensor>();
  for (const { name, dtype, shape } of tensorTable(config, 'original')) {
    original.set(name, { dtype, shape, bytes: new Uint8Array(tensorBytes({ dtype, shape })) });
  }
  for (const [name, { bytes, shape }] of tensors) {
    const place = originalPlace(name, config);
    original.get(place.name)!.bytes.set(bytes, (bytes.length / shape[0]!) * place.row);
  }
  return original;
}

/** Writes a checkpoint's files: config, index or dtypes, and shards in the published order and numbering. */
function checkpointFiles(
  config: Config,
  tensors: ReadonlyMap<string, Tensor>,
  options: CheckpointOptions = {},
): File[] {
  const { layout = 'hf', damage } = options;
  const table = tensorTable(config, layout);
  if (damage && 'tensor' in damage && !tensors.has(damage.tensor)) {
    throw new RangeError(`${damage.tensor} is not a tensor of the checkpoint`);
  }
  const totalBytes = table.reduce((sum, spec) => sum + tensorBytes(spec), 0);
  const shards = shardTensors(
    table,
    layout,
    options.maxShardBytes ?? (layout === 'hf' ? Math.ceil(totalBytes * 0.4) : totalBytes),
  );
  const files = new Map<string, string | Uint8Array<ArrayBuffer>>();
  if (layout === 'hf') {
    files.set('config.json', huggingFaceConfig(config));
    files.set('generation_config.json', generationConfig(config));
    if (shards.length > 1) files.set('model.safetensors.index.json', shardIndex(table, shards));
  } else {
    files.set('config.json', originalConfig(config));
    files.set('dtypes.json', dtypesJson(table));
  }
  for (const shard of shards) files.set(shard.name, shardBytes(shard, tensors, damage));
  damageFiles(files, damage);
  return [...files].map(([name, content]) => new File([content], name));
}

function shardBytes(
  shard: Shard,
  tensors: ReadonlyMap<string, Tensor>,
  damage: Damage | undefined,
): Uint8Array<ArrayBuffer> {
  const specs = shard.tensors
    .filter(({ name }) => !(damage?.kind === 'missing-tensor' && damage.tensor === name))
    .map((spec) => {
      if (damage?.kind === 'dtype' && damage.tensor === spec.name) {
        return { ...spec, dtype: damage.dtype };
      }
      if (damage?.kind === 'shape' && damage.tensor === spec.name) {
        return { ...spec, shape: damage.shape };
      }
      return spec;
    });
  const ordered = inFileOrder(specs);
  const header = damageOffsets(safetensorsHeader(ordered), damage);
  const sizes = ordered.map(tensorBytes);
  const file = new Uint8Array(sizes.reduce((sum, size) => sum + size, header.length));
  file.set(header);
  let offset = header.length;
  ordered.forEach(({ name }, i) => {
    file.set(tensors.get(name)!.bytes.subarray(0, sizes[i]), offset);
    offset += sizes[i]!;
  });
  return file;
}

function damageOffsets(
  header: Uint8Array<ArrayBuffer>,
  damage: Damage | undefined,
): Uint8Array<ArrayBuffer> {
  if (damage?.kind !== 'offsets') return header;
  const entries = JSON.parse(new TextDecoder().decode(header.subarray(8))) as Record<
    string,
    { data_offsets: readonly number[] }
  >;
  const entry = entries[damage.tensor];
  if (!entry) return header;
  entry.data_offsets = damage.offsets;
  return frameHeader(JSON.stringify(entries));
}

function damageFiles(
  files: Map<string, string | Uint8Array<ArrayBuffer>>,
  damage: Damage | undefined,
): void {
  if (!damage || !('file' in damage)) return;
  const content = files.get(damage.file);
  if (content === undefined) throw new RangeError(`${damage.file} is not a file of the checkpoint`);
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  switch (damage.kind) {
    case 'missing-file':
      files.delete(damage.file);
      break;
    case 'truncated':
      files.set(damage.file, bytes.slice(0, bytes.length - damage.missingBytes));
      break;
    case 'content':
      files.set(damage.file, damage.content);
      break;
    case 'header-length':
      new DataView(bytes.buffer).setBigUint64(0, damage.length, true);
      files.set(damage.file, bytes);
      break;
  }
}
