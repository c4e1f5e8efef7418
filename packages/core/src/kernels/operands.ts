/** Keys and values of one layer. */
export interface LayerCache {
  /** Whether the layer sees only its sliding window. */
  readonly isSliding: boolean;
  /** [kvHeads, capacity, 64]. */
  readonly keys: GPUBuffer;
  /** [kvHeads, capacity, 64]. */
  readonly values: GPUBuffer;
}

/** The chosen experts of each token, and what the grouped matmuls need to know of them. */
export interface ExpertChoice {
  /** f32 [tokens, experts]. */
  readonly routerLogits: GPUBuffer;
  /** u32 [tokens, expertsPerToken], best first. */
  readonly experts: GPUBuffer;
  /** f32 [tokens, expertsPerToken]. */
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

/** What sampling reads and writes. */
export interface SamplingState {
  /** Uniform `Sampling` of `shaders/lib/sampling.wgsl`. */
  readonly options: GPUBuffer;
  /** A bit for each token that has occurred. */
  readonly seen: GPUBuffer;
  readonly stripLogits: GPUBuffer;
  readonly stripTokens: GPUBuffer;
}
