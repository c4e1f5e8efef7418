/** Rewrites checkpoints in the Hugging Face layout as GGUF files, and as fine-tunes saved by transformers. */

import type { Config } from './config.ts';
import { type NumberFormat, toGgmlMxfp4, writeNumbers } from './ggml-formats.ts';
import { GGML_TYPE, type GgufTensorFile, type MetadataValue, writeGguf } from './gguf-file.ts';
import { bf16Tensor, decodeMxfp4, tensorValues } from './number-formats.ts';
import { createRandom } from './random.ts';
import type { Tensor } from './safetensors-file.ts';

/** How a GGUF checkpoint is written. */
export interface GgufOptions {
  /** The format of matrices other than experts and the router. Default: BF16. */
  readonly dense?: NumberFormat;
  /** The format of experts. Default: MXFP4. */
  readonly experts?: 'MXFP4' | NumberFormat;
  /** A parsed tokenizer.json to put into the metadata. Default: none. */
  readonly tokenizer?: TokenizerJson;
  /** The number of files. Default: 1. */
  readonly parts?: number;
  /** Metadata to add or replace; `undefined` removes it. */
  readonly metadata?: Readonly<Record<string, MetadataValue | undefined>>;
}

/** The parts of a tokenizer.json that a GGUF file holds. */
export interface TokenizerJson {
  readonly added_tokens: readonly { readonly id: number; readonly content: string }[];
  readonly model: {
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (string | readonly [string, string])[];
  };
}

const NAMES: readonly (readonly [huggingFace: RegExp, gguf: string])[] = [
  [/^model\.layers\.(\d+)\./, 'blk.$1.'],
  [/^model\.embed_tokens/, 'token_embd'],
  [/^model\.norm/, 'output_norm'],
  [/^lm_head/, 'output'],
  [/post_attention_layernorm/, 'post_attention_norm'],
  [/input_layernorm/, 'attn_norm'],
  [/self_attn\.([qkv])_proj/, 'attn_$1'],
  [/self_attn\.o_proj/, 'attn_output'],
  [/self_attn\.sinks/, 'attn_sinks.weight'],
  [/mlp\.router/, 'ffn_gate_inp'],
];

/** Rewrites a checkpoint as GGUF files. */
export function createGguf(
  config: Config,
  tensors: ReadonlyMap<string, Tensor>,
  options: GgufOptions = {},
): File[] {
  const { parts = 1, tokenizer, metadata: changes = {} } = options;
  const all = [...tensors].flatMap(([name, tensor]) => ggufTensors(name, tensor, tensors, options));
  const metadata: Record<string, MetadataValue | undefined> = {
    ...configMetadata(config),
    ...(tokenizer && tokenizerMetadata(tokenizer, config.vocabulary)),
    ...changes,
  };
  const known = Object.fromEntries(
    Object.entries(metadata).filter((entry): entry is [string, MetadataValue] => !!entry[1]),
  );
  if (parts === 1) return [new File([writeGguf({ metadata: known, tensors: all })], 'model.gguf')];
  const digits = (n: number) => String(n).padStart(5, '0');
  return Array.from({ length: parts }, (_, i) => {
    const contents = {
      metadata: {
        ...(i === 0 && known),
        'split.no': ['u16', i],
        'split.count': ['u16', parts],
        'split.tensors.count': ['i32', all.length],
      } as const,
      tensors: all.filter((_, at) => Math.floor((at * parts) / all.length) === i),
    };
    return new File([writeGguf(contents)], `model-${digits(i + 1)}-of-${digits(parts)}.gguf`);
  });
}

function ggufTensors(
  name: string,
  tensor: Tensor,
  all: ReadonlyMap<string, Tensor>,
  { dense = 'BF16', experts = 'MXFP4' }: GgufOptions,
): GgufTensorFile[] {
  const expert = /^model\.layers\.(\d+)\.mlp\.experts\.(gate_up|down)_proj_(\w+)$/.exec(name);
  if (expert) {
    const [, layer, matrix, suffix] = expert;
    if (suffix === 'scales') return [];
    const block = `blk.${layer}.ffn_`;
    if (suffix === 'bias') {
      const numbers = writeNumbers('F32', tensorValues(tensor)).bytes;
      return split(matrix, tensor.shape as [number, number], numbers, 4).map(
        ({ part, shape, bytes }) => ({
          name: `${block}${part}_exps.bias`,
          type: GGML_TYPE.F32,
          shape,
          bytes,
        }),
      );
    }
    const { bytes: scales } = all.get(name.replace(/blocks$/, 'scales'))!;
    const [count, rows, blocks] = tensor.shape as readonly [number, number, number];
    const bytes =
      experts === 'MXFP4'
        ? toGgmlMxfp4(tensor.bytes, scales)
        : writeNumbers(experts, decodeMxfp4(tensor.bytes, scales)).bytes;
    const rowBytes = bytes.length / (count * rows);
    return split(matrix, [count, rows], bytes, rowBytes).map((piece) => ({
      name: `${block}${piece.part}_exps.weight`,
      type: GGML_TYPE[experts],
      shape: [...piece.shape, 32 * blocks],
      bytes: piece.bytes,
    }));
  }
  const published = NAMES.reduce((text, [pattern, gguf]) => text.replace(pattern, gguf), name);
  const isMatrix = tensor.shape.length === 2 && !published.includes('ffn_gate_inp');
  const format = isMatrix ? dense : 'F32';
  const { bytes } = writeNumbers(format, tensorValues(tensor));
  return [{ name: published, type: GGML_TYPE[format], shape: tensor.shape, bytes }];
}

/** Separates the alternating rows of gate and up; down stays whole. */
function split(
  matrix: string | undefined,
  [experts, rows]: readonly [number, number],
  bytes: Uint8Array<ArrayBuffer>,
  rowBytes: number,
): { part: string; shape: number[]; bytes: Uint8Array<ArrayBuffer> }[] {
  if (matrix === 'down') return [{ part: 'down', shape: [experts, rows], bytes }];
  return ['gate', 'up'].map((part, parity) => {
    const half = new Uint8Array(bytes.length / 2);
    for (let row = 0; row < (experts * rows) / 2; row++) {
      const from = (2 * row + parity) * rowBytes;
      half.set(bytes.subarray(from, from + rowBytes), row * rowBytes);
    }
    return { part, shape: [experts, rows / 2], bytes: half };
  });
}

function configMetadata(config: Config): Record<string, MetadataValue> {
  const count = (value: number): MetadataValue => ['u32', value];
  return {
    'general.architecture': ['text', 'gpt-oss'],
    'gpt-oss.block_count': count(config.layers),
    'gpt-oss.context_length': count(config.maxPositions),
    'gpt-oss.embedding_length': count(config.hidden),
    'gpt-oss.feed_forward_length': count(config.intermediate),
    'gpt-oss.expert_feed_forward_length': count(config.intermediate),
    'gpt-oss.attention.head_count': count(config.heads),
    'gpt-oss.attention.head_count_kv': count(config.kvHeads),
    'gpt-oss.attention.key_length': count(config.headDim),
    'gpt-oss.attention.layer_norm_rms_epsilon': ['f32', config.epsilon],
    'gpt-oss.attention.sliding_window': count(config.window),
    'gpt-oss.expert_count': count(config.experts),
    'gpt-oss.expert_used_count': count(config.expertsPerToken),
    'gpt-oss.rope.freq_base': ['f32', config.ropeTheta],
    'gpt-oss.rope.scaling.type': ['text', 'yarn'],
    'gpt-oss.rope.scaling.factor': ['f32', config.yarn.factor],
    'gpt-oss.rope.scaling.original_context_length': count(config.yarn.originalContext),
  };
}

function tokenizerMetadata(
  { added_tokens: added, model }: TokenizerJson,
  vocabulary: number,
): Record<string, MetadataValue> {
  const tokens = Array.from({ length: vocabulary }, (_, id) => `[PAD${id}]`);
  const types = new Array<number>(vocabulary).fill(5);
  for (const [text, id] of Object.entries(model.vocab)) {
    tokens[id] = text;
    types[id] = 1;
  }
  for (const { id, content } of added) {
    tokens[id] = content;
    types[id] = 3;
  }
  return {
    'tokenizer.ggml.model': ['text', 'gpt2'],
    'tokenizer.ggml.pre': ['text', 'gpt-4o'],
    'tokenizer.ggml.tokens': ['texts', tokens],
    'tokenizer.ggml.token_type': ['i32s', types],
    'tokenizer.ggml.merges': [
      'texts',
      model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' '))),
    ],
  };
}

/**
 * Unpacks the experts as transformers does for training: bfloat16 `gate_up_proj` [experts, hidden, 2 intermediate] and
 * `down_proj` [experts, intermediate, hidden], columns first.
 *
 * @param noise - The standard deviation of noise to add to the weights, relative to the root mean square of their
 * tensor. Default: 0.
 */
export function unpackExperts(
  tensors: ReadonlyMap<string, Tensor>,
  noise = 0,
): Map<string, Tensor> {
  const unpacked = new Map<string, Tensor>();
  const next = createRandom(77);
  for (const [name, tensor] of tensors) {
    if (name.endsWith('_scales')) continue;
    if (!name.endsWith('_blocks')) {
      unpacked.set(name, tensor);
      continue;
    }
    const published = name.slice(0, -'_blocks'.length);
    const [experts, rows, blocks] = tensor.shape as readonly [number, number, number];
    const columns = 32 * blocks;
    const values = decodeMxfp4(tensor.bytes, tensors.get(`${published}_scales`)!.bytes);
    const meanSquare = values.reduce((sum, value) => sum + value * value, 0) / values.length;
    const deviation = noise * Math.sqrt(meanSquare);
    const turned = new Float64Array(values.length);
    for (let i = 0; i < values.length; i++) {
      const column = i % columns;
      const row = Math.floor(i / columns) % rows;
      const expert = Math.floor(i / (columns * rows));
      const delta = noise === 0 ? 0 : deviation * next.normal();
      turned[(expert * columns + column) * rows + row] = values[i]! + delta;
    }
    unpacked.set(published, bf16Tensor([experts, columns, rows], turned));
  }
  return unpacked;
}
