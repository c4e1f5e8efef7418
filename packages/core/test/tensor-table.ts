/** The tensors of a checkpoint by layout: names, shapes, dtypes, and their division among the published files. */

import type { Config } from './config.ts';
import { pythonJson } from './config.ts';
import { inFileOrder, type TensorSpec, tensorBytes } from './safetensors-file.ts';

/** `hf`: the repository's root, in shards with an index. `original`: OpenAI's own names. */
export type Layout = 'hf' | 'original';

/** One file of a checkpoint. */
export interface Shard {
  /** The file's name. */
  readonly name: string;
  /** Its tensors, in the order of their bytes. */
  readonly tensors: readonly TensorSpec[];
}

/** The most tensor bytes in a shard of the published Hugging Face files. */
const PUBLISHED_SHARD_BYTES = 4.8e9;

/**
 * Lists every tensor of a checkpoint in the order in which shards are filled: layers in string order (0, 1, 10, 11,
 * ...), then the embedding, the last norm, and the unembedding.
 */
export function tensorTable(config: Config, layout: Layout): TensorSpec[] {
  const layers = Array.from({ length: config.layers }, (_, layer) => String(layer)).sort();
  return layout === 'hf'
    ? [...layers.flatMap((layer) => huggingFaceLayer(config, layer)), ...huggingFaceEnds(config)]
    : [...layers.flatMap((layer) => originalLayer(config, layer)), ...originalEnds(config)];
}

function bf16(name: string, ...shape: number[]): TensorSpec {
  return { name, dtype: 'BF16', shape };
}

function u8(name: string, ...shape: number[]): TensorSpec {
  return { name, dtype: 'U8', shape };
}

function huggingFaceLayer(config: Config, layer: string): TensorSpec[] {
  const { hidden, intermediate, experts, heads, kvHeads, headDim } = config;
  const layerName = `model.layers.${layer}`;
  const attention = `${layerName}.self_attn`;
  const expert = `${layerName}.mlp.experts`;
  const q = heads * headDim;
  const kv = kvHeads * headDim;
  return [
    bf16(`${layerName}.input_layernorm.weight`, hidden),
    bf16(`${attention}.o_proj.bias`, hidden),
    bf16(`${attention}.o_proj.weight`, hidden, q),
    bf16(`${attention}.q_proj.bias`, q),
    bf16(`${attention}.k_proj.bias`, kv),
    bf16(`${attention}.v_proj.bias`, kv),
    bf16(`${attention}.q_proj.weight`, q, hidden),
    bf16(`${attention}.k_proj.weight`, kv, hidden),
    bf16(`${attention}.v_proj.weight`, kv, hidden),
    bf16(`${attention}.sinks`, heads),
    bf16(`${layerName}.mlp.router.bias`, experts),
    bf16(`${layerName}.mlp.router.weight`, experts, hidden),
    bf16(`${expert}.gate_up_proj_bias`, experts, 2 * intermediate),
    u8(`${expert}.gate_up_proj_blocks`, experts, 2 * intermediate, hidden / 32, 16),
    u8(`${expert}.gate_up_proj_scales`, experts, 2 * intermediate, hidden / 32),
    bf16(`${expert}.down_proj_bias`, experts, hidden),
    u8(`${expert}.down_proj_blocks`, experts, hidden, intermediate / 32, 16),
    u8(`${expert}.down_proj_scales`, experts, hidden, intermediate / 32),
    bf16(`${layerName}.post_attention_layernorm.weight`, hidden),
  ];
}

function huggingFaceEnds({ vocabulary, hidden }: Config): TensorSpec[] {
  return [
    bf16('model.embed_tokens.weight', vocabulary, hidden),
    bf16('model.norm.weight', hidden),
    bf16('lm_head.weight', vocabulary, hidden),
  ];
}

function originalLayer(config: Config, layer: string): TensorSpec[] {
  const { hidden, intermediate, experts, heads, kvHeads, headDim } = config;
  const attention = `block.${layer}.attn`;
  const mlp = `block.${layer}.mlp`;
  const qkv = (heads + 2 * kvHeads) * headDim;
  return [
    bf16(`${attention}.norm.scale`, hidden),
    bf16(`${attention}.qkv.weight`, qkv, hidden),
    bf16(`${attention}.qkv.bias`, qkv),
    bf16(`${attention}.sinks`, heads),
    bf16(`${attention}.out.weight`, hidden, heads * headDim),
    bf16(`${attention}.out.bias`, hidden),
    bf16(`${mlp}.norm.scale`, hidden),
    bf16(`${mlp}.gate.weight`, experts, hidden),
    bf16(`${mlp}.gate.bias`, experts),
    u8(`${mlp}.mlp1_weight.blocks`, experts, 2 * intermediate, hidden / 32, 16),
    u8(`${mlp}.mlp1_weight.scales`, experts, 2 * intermediate, hidden / 32),
    bf16(`${mlp}.mlp1_bias`, experts, 2 * intermediate),
    u8(`${mlp}.mlp2_weight.blocks`, experts, hidden, intermediate / 32, 16),
    u8(`${mlp}.mlp2_weight.scales`, experts, hidden, intermediate / 32),
    bf16(`${mlp}.mlp2_bias`, experts, hidden),
  ];
}

function originalEnds({ vocabulary, hidden }: Config): TensorSpec[] {
  return [
    bf16('embedding.weight', vocabulary, hidden),
    bf16('norm.scale', hidden),
    bf16('unembedding.weight', vocabulary, hidden),
  ];
}

const ORIGINAL_NAMES: readonly (readonly [huggingFace: string, original: string])[] = [
  ['model.embed_tokens.weight', 'embedding.weight'],
  ['lm_head.weight', 'unembedding.weight'],
  ['model.norm.weight', 'norm.scale'],
  ['input_layernorm.weight', 'attn.norm.scale'],
  ['post_attention_layernorm.weight', 'mlp.norm.scale'],
  ['self_attn.o_proj.', 'attn.out.'],
  ['self_attn.sinks', 'attn.sinks'],
  ['mlp.router.', 'mlp.gate.'],
  ['mlp.experts.gate_up_proj_bias', 'mlp.mlp1_bias'],
  ['mlp.experts.gate_up_proj_', 'mlp.mlp1_weight.'],
  ['mlp.experts.down_proj_bias', 'mlp.mlp2_bias'],
  ['mlp.experts.down_proj_', 'mlp.mlp2_weight.'],
];

/**
 * Finds a Hugging Face tensor in the original layout.
 *
 * @returns The original name, and the row at which the tensor begins in it: 0 except for k and v, which follow q in
 * `qkv`.
 */
export function originalPlace(name: string, config: Config): { name: string; row: number } {
  const inLayer = name.replace(/^model\.layers\.(\d+)\./, 'block.$1.');
  const fused = /self_attn\.([qkv])_proj\./.exec(inLayer);
  if (fused) {
    const q = config.heads * config.headDim;
    const rows = { q: 0, k: q, v: q + config.kvHeads * config.headDim };
    return {
      name: inLayer.replace(fused[0], 'attn.qkv.'),
      row: rows[fused[1] as 'q' | 'k' | 'v'],
    };
  }
  const pair = ORIGINAL_NAMES.find(([huggingFace]) => inLayer.includes(huggingFace));
  if (!pair) throw new RangeError(`${name} is not a tensor of gpt-oss`);
  return { name: inLayer.replace(...pair), row: 0 };
}

/**
 * Divides tensors among files as published: a new file begins if the next tensor would exceed the limit.
 * Hugging Face shards are numbered from 0, and the number after "of" is the highest index; a single file is
 * `model.safetensors` in both layouts.
 */
export function shardTensors(
  table: readonly TensorSpec[],
  layout: Layout,
  maxShardBytes: number = layout === 'hf' ? PUBLISHED_SHARD_BYTES : Number.POSITIVE_INFINITY,
): Shard[] {
  const groups: TensorSpec[][] = [[]];
  let sizeBytes = 0;
  for (const spec of table) {
    const bytes = tensorBytes(spec);
    if (sizeBytes > 0 && sizeBytes + bytes > maxShardBytes) {
      groups.push([]);
      sizeBytes = 0;
    }
    groups.at(-1)!.push(spec);
    sizeBytes += bytes;
  }
  const digits = (n: number) => String(n).padStart(5, '0');
  const name = (index: number) => {
    if (groups.length === 1) return 'model.safetensors';
    return layout === 'hf'
      ? `model-${digits(index)}-of-${digits(groups.length - 1)}.safetensors`
      : `model--${digits(index + 1)}-of-${digits(groups.length)}.safetensors`;
  };
  return groups.map((tensors, index) => ({ name: name(index), tensors: inFileOrder(tensors) }));
}

/** The text of model.safetensors.index.json; byte for byte the published one for a published configuration. */
export function shardIndex(table: readonly TensorSpec[], shards: readonly Shard[]): string {
  const fileOf = new Map(
    shards.flatMap(({ name, tensors }) => tensors.map((spec) => [spec.name, name] as const)),
  );
  return pythonJson({
    metadata: { total_size: table.reduce((sum, spec) => sum + tensorBytes(spec), 0) },
    weight_map: Object.fromEntries(table.map((spec) => [spec.name, fileOf.get(spec.name)])),
  });
}

/** The text of dtypes.json, a file of the original layout. */
export function dtypesJson(table: readonly TensorSpec[]): string {
  const label = ({ name }: TensorSpec) => {
    if (name.endsWith('.blocks')) return 'FP4';
    return name.endsWith('.scales') ? 'UE8' : 'BF16';
  };
  return pythonJson(Object.fromEntries(table.map((spec) => [spec.name, label(spec)])));
}
