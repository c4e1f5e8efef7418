/** The hyperparameters of a gpt-oss model, named as in openai/gpt-oss `torch/model.py`. */
export interface ModelConfig {
  readonly layers: number;
  readonly hiddenSize: number;
  /** The hidden size of one expert. */
  readonly intermediateSize: number;
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads; each serves `heads / kvHeads` query heads. */
  readonly kvHeads: number;
  readonly experts: number;
  readonly expertsPerToken: number;
  readonly vocabularySize: number;
  /** Positions that a sliding layer sees, the current one included. */
  readonly slidingWindow: number;
  /** For each layer, whether it sees only its sliding window. */
  readonly slidingLayers: readonly boolean[];
  /** The longest context that the model was made for, in tokens. */
  readonly maxContextLength: number;
  readonly normEpsilon: number;
  /** The value that SwiGLU clamps at. */
  readonly swigluLimit: number;
  readonly rope: RopeConfig;
}

/** Rotary position embedding, scaled with YaRN. */
export interface RopeConfig {
  readonly theta: number;
  /** How many times longer than `originalContextLength` a context may be. */
  readonly factor: number;
  readonly originalContextLength: number;
  /** Dimensions with more rotations than this over the original context keep their frequency. */
  readonly betaFast: number;
  /** Dimensions with fewer rotations than this are slowed down by `factor`. */
  readonly betaSlow: number;
  /**
   * Whether the range between the two is rounded outwards to whole dimensions: transformers' default, but false in
   * published models.
   */
  readonly truncate: boolean;
}
