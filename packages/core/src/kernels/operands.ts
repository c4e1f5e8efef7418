import type { DenseMatrix } from './matrix.ts';

/** A matrix and its bias: on the GPU, or one thing for each, such as its bytes. */
export type Linear<Vector = GPUBuffer, Dense = DenseMatrix> = {
  readonly weight: Dense;
  /** f32 [rows]. */
  readonly bias: Vector;
};

/** Keys and values of one layer. */
export interface LayerCache {
  /** Whether the layer sees only its sliding window. */
  readonly isSliding: boolean;
  /** Laid out as in `shaders/lib/cache.wgsl`. */
  readonly keys: GPUBuffer;
  /** Laid out as in `shaders/lib/cache.wgsl`. */
  readonly values: GPUBuffer;
}

/** The experts that each token chose, and how the tiled matmuls group them. */
export interface ExpertChoice {
  /** f32 [tokens, experts + 1]: the router's logits, and for few tokens 1 / rms of x. */
  readonly routerLogits: GPUBuffer;
  /** u32 [tokens, expertsPerToken], best first; for many tokens. */
  readonly experts: GPUBuffer;
  /** f32 [tokens, expertsPerToken]; for many tokens. */
  readonly weights: GPUBuffer;
  /** u32 [tokens * expertsPerToken]. */
  readonly sortedSlots: GPUBuffer;
  /** `SlotTile`s. */
  readonly tiles: GPUBuffer;
}

/** Scratch of decode attention over more than one split. */
export interface AttentionSplits {
  /** f32 [heads, splits, 64]. */
  readonly out: GPUBuffer;
  /** f32 [heads, splits, 2]. */
  readonly stats: GPUBuffer;
}

/** The buffers of sampling. */
export interface SamplingState {
  /** Uniform `Sampling` of `shaders/lib/sampling.wgsl`. */
  readonly options: GPUBuffer;
  /** `Adjustment`s of the vocabulary; read only if the options say so. */
  readonly adjustments: GPUBuffer;
  /** A bit per token of the vocabulary: whether it may be chosen. Read only if the options say so. */
  readonly mask: GPUBuffer;
  /** `Strip`s of the vocabulary. */
  readonly strips: GPUBuffer;
  /** `Found`: zeros before the first step. */
  readonly found: GPUBuffer;
  /** u32 [groups]: zeros before the first step. */
  readonly groups: GPUBuffer;
}
