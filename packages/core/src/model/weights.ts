import type { Buffers } from '../gpu/buffers.ts';
import {
  allocateDense,
  allocateExperts,
  type DenseMatrix,
  denseBytes,
  type ExpertMatrix,
  expertBytes,
} from '../kernels/matrix.ts';
import type { ModelConfig } from '../types/config.ts';
import type { DenseFormat } from '../types/load.ts';
import {
  type AttentionParameters,
  type MlpParameters,
  type ModelParameters,
  mapParameters,
} from './parameters.ts';
import { product, sum } from './sizes.ts';

/** Weights of one attention layer, on the GPU. Vectors are f32. */
export type AttentionWeights = AttentionParameters<GPUBuffer, DenseMatrix>;

/** Weights of one mixture-of-experts layer, on the GPU. */
export type MlpWeights = MlpParameters<GPUBuffer, DenseMatrix, ExpertMatrix>;

/** Weights of the whole model, on the GPU. */
export type Weights = ModelParameters<GPUBuffer, DenseMatrix, ExpertMatrix>;

/** A parameter of the checkpoint, and the buffer or matrix that it fills. */
export type Parameter = {
  /** Its name in OpenAI's original layout; for experts, without `.blocks` or `.scales`. */
  readonly name: string;
  /** Extents, outermost first. */
  readonly shape: readonly number[];
} & (
  | { readonly kind: 'vector'; readonly to: GPUBuffer }
  | { readonly kind: 'dense'; readonly to: DenseMatrix }
  | { readonly kind: 'experts'; readonly to: ExpertMatrix }
);

/**
 * Allocates the weights, and lists the tensors that fill them, in the order of the forward pass.
 *
 * @param maxBindingBytes - The size of a binding; larger matrices are split.
 */
export function allocateWeights(
  config: ModelConfig,
  buffers: Buffers,
  format: DenseFormat,
  maxBindingBytes: number,
): { weights: Weights; parameters: Parameter[] } {
  const parameters: Parameter[] = [];
  const vector = (name: string, shape: readonly number[]): GPUBuffer => {
    const to = buffers.storage(name, 4 * product(shape));
    parameters.push({ name, shape, kind: 'vector', to });
    return to;
  };
  const weights = mapParameters(config, {
    vector,
    dense: (name, shape, options) => {
      const [rows, columns] = shape;
      const to = allocateDense(buffers, {
        label: name,
        format,
        rows,
        columns,
        maxBindingBytes,
        ...options,
      });
      parameters.push({ name, shape, kind: 'dense', to });
      return to;
    },
    experts: (name, shape) => {
      const [experts, rows, columns] = shape;
      const bias = vector(`${name}_bias`, [experts, rows]);
      const to = allocateExperts(buffers, {
        label: name,
        experts,
        rows,
        columns,
        bias,
        maxBindingBytes,
      });
      parameters.push({ name: `${name}_weight`, shape, kind: 'experts', to });
      return to;
    },
  });
  return { weights, parameters };
}

/** Bytes that the weights take on the GPU. */
export function weightBytes(config: ModelConfig, format: DenseFormat): number {
  return sum(parameterBytes(config, format, config.experts));
}

/** Bytes of weights that decoding one token reads: all except the embedding and the experts that it does not choose. */
export function tokenBytes(config: ModelConfig, format: DenseFormat): number {
  const bytes = parameterBytes(config, format, config.expertsPerToken);
  return sum(bytes) - bytes.embedding;
}

/** Bytes of each parameter, with that many experts. */
function parameterBytes(
  config: ModelConfig,
  format: DenseFormat,
  experts: number,
): ModelParameters<number, number, number> {
  return mapParameters(config, {
    vector: (_, shape) => 4 * product(shape),
    dense: (_, [rows, columns], options) => denseBytes(options.format ?? format, rows, columns),
    experts: (_, [, rows, columns]) => {
      const { blocks, scales } = expertBytes(rows, columns);
      return experts * (blocks + scales + 4 * rows);
    },
  });
}
