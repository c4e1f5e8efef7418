import type { Buffers } from '../gpu/buffers.ts';
import {
  allocateDense,
  allocateExperts,
  type DenseMatrix,
  denseTileBytes,
  type ExpertMatrix,
  expertBytes,
  TILE_ROWS,
} from '../kernels/matrix.ts';
import type { DenseFormat } from '../types.ts';
import type { ModelConfig } from './config.ts';

/** A matrix and its bias. */
export interface Linear {
  readonly weight: DenseMatrix;
  /** f32 [rows]. */
  readonly bias: GPUBuffer;
}

/** Weights of one attention layer. Vectors are f32. */
export interface AttentionWeights {
  readonly norm: GPUBuffer;
  /** Query heads, key heads, value heads: [(heads + 2 kvHeads) * 64, hiddenSize]. */
  readonly qkv: Linear;
  /** [heads]. */
  readonly sinks: GPUBuffer;
  /** [hiddenSize, heads * 64]. */
  readonly out: Linear;
}

/** Weights of one mixture-of-experts layer. */
export interface MlpWeights {
  readonly norm: GPUBuffer;
  /** The router: [experts, hiddenSize]. */
  readonly gate: Linear;
  /** Gate and up rows in turn: [experts, 2 intermediateSize, hiddenSize]. */
  readonly mlp1: ExpertMatrix;
  /** [experts, hiddenSize, intermediateSize]. */
  readonly mlp2: ExpertMatrix;
}

/** Weights of the whole model, on the GPU. Names are those of openai/gpt-oss. */
export interface Weights {
  readonly embedding: DenseMatrix;
  readonly block: readonly { readonly attn: AttentionWeights; readonly mlp: MlpWeights }[];
  readonly norm: GPUBuffer;
  readonly unembedding: DenseMatrix;
}

/** A parameter of the checkpoint, and where it goes. */
export type Parameter = {
  /** Its name in OpenAI's original layout; for experts, without `.blocks` or `.scales`. */
  readonly name: string;
  /** Of its numbers, outermost first. */
  readonly shape: readonly number[];
} & (
  | { readonly kind: 'vector'; readonly to: GPUBuffer }
  | { readonly kind: 'dense'; readonly to: DenseMatrix }
  | { readonly kind: 'experts'; readonly to: ExpertMatrix }
);

/** The head's rows stay in one part, as `qkv` rotates them together. */
const HEAD_ROWS = 64;

/**
 * Allocates the weights, and lists the tensors that fill them, in the order of the forward pass.
 *
 * @param maxBindingBytes - What one binding can hold; larger matrices are split.
 */
export function allocateWeights(
  config: ModelConfig,
  buffers: Buffers,
  format: DenseFormat,
  maxBindingBytes: number,
): { weights: Weights; parameters: Parameter[] } {
  const { hiddenSize, intermediateSize, heads, kvHeads, experts, vocabularySize } = config;
  const qkvRows = (heads + 2 * kvHeads) * HEAD_ROWS;
  const parameters: Parameter[] = [];

  const vector = (name: string, ...shape: number[]): GPUBuffer => {
    const to = buffers.storage(name, 4 * shape.reduce((product, extent) => product * extent, 1));
    parameters.push({ name, shape, kind: 'vector', to });
    return to;
  };
  const dense = (
    name: string,
    shape: readonly [number, number],
    as: DenseFormat = format,
    rowsPerUnit?: number,
  ): DenseMatrix => {
    const to = allocateDense(buffers, name, as, shape, maxBindingBytes, rowsPerUnit);
    parameters.push({ name, shape, kind: 'dense', to });
    return to;
  };
  const expert = (name: string, rows: number, columns: number): ExpertMatrix => {
    const bias = vector(`${name}_bias`, experts, rows);
    const to = allocateExperts(buffers, name, [experts, rows, columns], bias, maxBindingBytes);
    parameters.push({
      name: `${name}_weight`,
      shape: [experts, rows, columns],
      kind: 'experts',
      to,
    });
    return to;
  };

  const embedding = dense('embedding.weight', [vocabularySize, hiddenSize]);
  const block = config.slidingLayers.map((_, layer) => {
    const attn = `block.${layer}.attn`;
    const mlp = `block.${layer}.mlp`;
    return {
      attn: {
        norm: vector(`${attn}.norm.scale`, hiddenSize),
        qkv: {
          weight: dense(`${attn}.qkv.weight`, [qkvRows, hiddenSize], format, HEAD_ROWS),
          bias: vector(`${attn}.qkv.bias`, qkvRows),
        },
        sinks: vector(`${attn}.sinks`, heads),
        out: {
          weight: dense(`${attn}.out.weight`, [hiddenSize, heads * HEAD_ROWS]),
          bias: vector(`${attn}.out.bias`, hiddenSize),
        },
      },
      mlp: {
        norm: vector(`${mlp}.norm.scale`, hiddenSize),
        gate: {
          // As published: the choice of experts should not hang on rounding.
          weight: dense(`${mlp}.gate.weight`, [experts, hiddenSize], 'bf16'),
          bias: vector(`${mlp}.gate.bias`, experts),
        },
        mlp1: expert(`${mlp}.mlp1`, 2 * intermediateSize, hiddenSize),
        mlp2: expert(`${mlp}.mlp2`, hiddenSize, intermediateSize),
      },
    };
  });
  const norm = vector('norm.scale', hiddenSize);
  const unembedding = dense('unembedding.weight', [vocabularySize, hiddenSize]);
  return { weights: { embedding, block, norm, unembedding }, parameters };
}

/** Bytes that the weights take on the GPU. */
export function weightBytes(config: ModelConfig, format: DenseFormat): number {
  const { dense, expert, unembedding } = partBytes(config, format);
  return dense + config.layers * config.experts * expert + 2 * unembedding;
}

/** Bytes of weights that one token reads in a decode: all but the experts that it does not choose, and the embedding. */
export function tokenBytes(config: ModelConfig, format: DenseFormat): number {
  const { dense, expert, unembedding } = partBytes(config, format);
  return dense + config.layers * config.expertsPerToken * expert + unembedding;
}

function partBytes(
  config: ModelConfig,
  format: DenseFormat,
): {
  /** All but experts, embedding and unembedding. */
  readonly dense: number;
  /** One expert of one layer. */
  readonly expert: number;
  /** As large as the embedding. */
  readonly unembedding: number;
} {
  const { layers, hiddenSize, intermediateSize, heads, kvHeads, experts, vocabularySize } = config;
  const qkvRows = (heads + 2 * kvHeads) * HEAD_ROWS;
  const dense = (rows: number, columns: number, as: DenseFormat = format): number => {
    const tile = denseTileBytes(as, columns);
    return Math.ceil(rows / TILE_ROWS) * (tile.values + tile.scales);
  };
  const expert = (rows: number, columns: number): number => {
    const bytes = expertBytes(rows, columns);
    return bytes.blocks + bytes.scales + 4 * rows;
  };
  const layer =
    dense(qkvRows, hiddenSize) +
    dense(hiddenSize, heads * HEAD_ROWS) +
    dense(experts, hiddenSize, 'bf16') +
    4 * (3 * hiddenSize + qkvRows + heads + experts);
  return {
    dense: layers * layer + 4 * hiddenSize,
    expert: expert(2 * intermediateSize, hiddenSize) + expert(hiddenSize, intermediateSize),
    unembedding: dense(vocabularySize, hiddenSize),
  };
}
