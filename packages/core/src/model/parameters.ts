import type { Linear } from '../kernels/operands.ts';
import { HEAD_SIZE } from '../kernels/shape.ts';
import type { ModelConfig } from '../types/config.ts';
import type { DenseFormat } from '../types/load.ts';
import { product, sum } from './sizes.ts';

/** Parameters of one attention layer. */
export type AttentionParameters<Vector, Dense> = {
  readonly norm: Vector;
  /** Query heads, key heads, value heads: [(heads + 2 kvHeads) * 64, hiddenSize]. */
  readonly qkv: Linear<Vector, Dense>;
  /** [heads]. */
  readonly sinks: Vector;
  /** [hiddenSize, heads * 64]. */
  readonly out: Linear<Vector, Dense>;
};

/** Parameters of one mixture-of-experts layer. */
export type MlpParameters<Vector, Dense, Experts> = {
  readonly norm: Vector;
  /** The router: [experts, hiddenSize]. */
  readonly gate: Linear<Vector, Dense>;
  /** Rows alternate between gate and up: [experts, 2 intermediateSize, hiddenSize], with a bias. */
  readonly mlp1: Experts;
  /** [experts, hiddenSize, intermediateSize], with a bias. */
  readonly mlp2: Experts;
};

/** One thing for each parameter of a model: its buffers, its bytes, … Names are those of openai/gpt-oss. */
export type ModelParameters<Vector, Dense, Experts> = {
  readonly embedding: Dense;
  readonly block: readonly {
    readonly attn: AttentionParameters<Vector, Dense>;
    readonly mlp: MlpParameters<Vector, Dense, Experts>;
  }[];
  readonly norm: Vector;
  readonly unembedding: Dense;
};

/** How a dense matrix differs from the others. */
export interface DenseOptions {
  /** A format of its own. */
  readonly format?: DenseFormat;
  /** Rows that must stay together if the matrix is split. */
  readonly rowsPerUnit?: number;
}

/** What to make of each parameter. Names are those of OpenAI's original layout. */
export interface ParameterVisitor<Vector, Dense, Experts> {
  /** Numbers that stay f32. */
  vector(name: string, shape: readonly number[]): Vector;
  /** A matrix, [rows, columns]. */
  dense(name: string, shape: readonly [number, number], options: DenseOptions): Dense;
  /** A matrix of each expert, [experts, rows, columns], with its bias: `${name}_weight` and `${name}_bias`. */
  experts(name: string, shape: readonly [number, number, number]): Experts;
}

/** The table of a model's parameters: visits each, in the order of the forward pass. */
export function mapParameters<Vector, Dense, Experts>(
  config: ModelConfig,
  { vector, dense, experts }: ParameterVisitor<Vector, Dense, Experts>,
): ModelParameters<Vector, Dense, Experts> {
  const { hiddenSize, intermediateSize, heads, kvHeads, vocabularySize } = config;
  const linear = (
    name: string,
    [rows, columns]: readonly [number, number],
    options: DenseOptions = {},
  ): Linear<Vector, Dense> => ({
    weight: dense(`${name}.weight`, [rows, columns], options),
    bias: vector(`${name}.bias`, [rows]),
  });
  const qkvRows = (heads + 2 * kvHeads) * HEAD_SIZE;
  return {
    embedding: dense('embedding.weight', [vocabularySize, hiddenSize], {}),
    block: config.slidingLayers.map((_, layer) => {
      const attn = `block.${layer}.attn`;
      const mlp = `block.${layer}.mlp`;
      return {
        attn: {
          norm: vector(`${attn}.norm.scale`, [hiddenSize]),
          // A head's rows stay together, because `qkv` rotates them together.
          qkv: linear(`${attn}.qkv`, [qkvRows, hiddenSize], { rowsPerUnit: HEAD_SIZE }),
          sinks: vector(`${attn}.sinks`, [heads]),
          out: linear(`${attn}.out`, [hiddenSize, heads * HEAD_SIZE]),
        },
        mlp: {
          norm: vector(`${mlp}.norm.scale`, [hiddenSize]),
          // As published: the choice of experts should not depend on rounding.
          gate: linear(`${mlp}.gate`, [config.experts, hiddenSize], { format: 'bf16' }),
          mlp1: experts(`${mlp}.mlp1`, [config.experts, 2 * intermediateSize, hiddenSize]),
          mlp2: experts(`${mlp}.mlp2`, [config.experts, hiddenSize, intermediateSize]),
        },
      };
    }),
    norm: vector('norm.scale', [hiddenSize]),
    unembedding: dense('unembedding.weight', [vocabularySize, hiddenSize], {}),
  };
}

/** Weights of the whole model, embedding and unembedding included. */
export function parameterCount(config: ModelConfig): number {
  const counts = mapParameters(config, {
    vector: (_, shape) => product(shape),
    dense: (_, shape) => product(shape),
    experts: (_, [experts, rows, columns]) => experts * rows * (columns + 1),
  });
  return sum(counts);
}
