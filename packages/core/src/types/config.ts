/** The numbers of a gpt-oss model. The field's words, as in openai/gpt-oss `torch/model.py`. */
export interface ModelConfig {
  readonly layers: number;
  readonly hiddenSize: number;
  /** Of one expert. */
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
  /** The most positions that the model is made for. */
  readonly maxContextLength: number;
  readonly normEpsilon: number;
  /** Where SwiGLU clamps. */
  readonly swigluLimit: number;
  readonly rope: RopeConfig;
}

/** Rotary position embedding, scaled by YaRN. */
export interface RopeConfig {
  readonly theta: number;
  /** How many times longer than `originalContextLength` contexts may be. */
  readonly factor: number;
  readonly originalContextLength: number;
  /** Rotations over the original context above which a dimension is left as it is. */
  readonly betaFast: number;
  /** Rotations below which it is slowed down by `factor`. */
  readonly betaSlow: number;
  /** Whether the range between the two is rounded outwards to whole dimensions, as transformers does by default. Published models: not. */
  readonly truncate: boolean;
}
