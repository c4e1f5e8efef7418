/** The weights of one layer, the embedding and the unembedding, for tests of operations. */

import { expect } from 'vitest';
import { HEAD_SIZE, type KernelShape, TILE_ROWS } from '../src/kernels/shape.ts';
import type { TestGpu } from './gpu.ts';
import {
  type HeldExperts,
  type HeldMatrix,
  randomMxfp4,
  randomValues,
  uploadDense,
  uploadExperts,
  uploadFloats,
} from './kernel-inputs.ts';

/** Matrices on the GPU with their values; vectors as values. */
export interface LayerWeights {
  /** [vocabularySize, hiddenSize]. */
  readonly embedding: HeldMatrix;
  /** [vocabularySize, hiddenSize]. */
  readonly unembedding: HeldMatrix;
  /** [(heads + 2 * kvHeads) * 64, hiddenSize]. */
  readonly qkv: HeldMatrix;
  /** [(heads + 2 * kvHeads) * 64]. */
  readonly qkvBias: Float64Array;
  /** [hiddenSize, heads * 64]. */
  readonly out: HeldMatrix;
  /** [hiddenSize]. */
  readonly outBias: Float64Array;
  /** [heads]. */
  readonly sinks: Float64Array;
  /** [experts, hiddenSize], bf16. */
  readonly gate: HeldMatrix;
  /** [experts]. */
  readonly gateBias: Float64Array;
  /** [experts, 2 * intermediateSize, hiddenSize]. */
  readonly mlp1: HeldExperts;
  /** [experts, hiddenSize, intermediateSize]. */
  readonly mlp2: HeldExperts;
  /** The scale of all norms, [hiddenSize]. */
  readonly scale: Float64Array;
  /** The same on the GPU. */
  readonly scaleBuffer: GPUBuffer;
}

/** How a random matrix is divided into parts. */
interface PartedMatrix {
  readonly seed: number;
  readonly rowsPerPart: number;
  /** Rows that stay in one part. Default: those of a tile. */
  readonly rowsPerUnit?: number;
  readonly format?: KernelShape['dense'];
}

/** Uploads random weights whose products stay around 1, most of them split into several parts. */
export async function uploadLayerWeights(gpu: TestGpu, shape: KernelShape): Promise<LayerWeights> {
  const { hiddenSize, intermediateSize, heads, kvHeads, experts, vocabularySize, dense } = shape;
  const matrix = (
    rows: number,
    columns: number,
    { seed, rowsPerPart, rowsPerUnit = TILE_ROWS, format = dense }: PartedMatrix,
  ): Promise<HeldMatrix> =>
    uploadDense(
      gpu,
      format,
      [rows, columns],
      randomValues(rows * columns, seed, 1 / Math.sqrt(columns)),
      { maxBindingBytes: rowsPerPart * columns * (format === 'bf16' ? 2 : 1), rowsPerUnit },
    );
  const expertMatrix = (rows: number, columns: number, seed: number): Promise<HeldExperts> =>
    uploadExperts(
      gpu,
      [experts, rows, columns],
      randomMxfp4(experts * rows * columns, seed),
      randomValues(experts * rows, seed),
      { maxBindingBytes: (3 * rows * columns) / 2 },
    );
  const qkvRows = (heads + 2 * kvHeads) * HEAD_SIZE;
  const scale = randomValues(hiddenSize, 9);
  const weights: LayerWeights = {
    embedding: await matrix(vocabularySize, hiddenSize, { seed: 1, rowsPerPart: 320 }),
    unembedding: await matrix(vocabularySize, hiddenSize, { seed: 2, rowsPerPart: 512 }),
    qkv: await matrix(qkvRows, hiddenSize, {
      seed: 3,
      rowsPerPart: 3 * HEAD_SIZE,
      rowsPerUnit: HEAD_SIZE,
    }),
    qkvBias: randomValues(qkvRows, 4),
    out: await matrix(hiddenSize, heads * HEAD_SIZE, { seed: 5, rowsPerPart: 64 }),
    outBias: randomValues(hiddenSize, 6),
    sinks: Float64Array.from({ length: heads }, (_, head) => [-50, 1, 3, 0][head % 4]!),
    gate: await matrix(experts, hiddenSize, { seed: 7, rowsPerPart: 4096, format: 'bf16' }),
    gateBias: randomValues(experts, 8),
    mlp1: await expertMatrix(2 * intermediateSize, hiddenSize, 10),
    mlp2: await expertMatrix(hiddenSize, intermediateSize, 11),
    scale,
    scaleBuffer: uploadFloats(gpu, scale),
  };
  for (const { matrix: held } of [weights.embedding, weights.qkv, weights.out, weights.mlp1]) {
    expect(held.parts.length).toBeGreaterThan(1);
  }
  return weights;
}
