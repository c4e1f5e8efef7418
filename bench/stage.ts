/** One value. */
export interface Sample {
  /** What was measured, as in `decode @128`. */
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

/** `end-to-end`: a checkpoint through the engine; `kernels`: the kernels of the forward pass by themselves. */
export type StageName = 'end-to-end' | 'kernels';

/** What is measured, and how. Plain data, which crosses to a page. */
export interface StageOptions {
  /** The parsed config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  /** How dense weights are held. */
  readonly dense: 'int8' | 'bf16';
  /** How keys and values are held. Default: the engine's. */
  readonly kvCache?: 'f16' | 'f32';
  /** Tokens of one pass of a prefill. */
  readonly chunk: number;
  /** Positions of the KV cache. */
  readonly context: number;
  /** Lengths of the prompts to prefill. */
  readonly prompts: readonly number[];
  /** Tokens in front of what is decoded. */
  readonly depths: readonly number[];
  /** How many tokens to decode. */
  readonly decode: number;
  /** Whether to load by way of the browser's store, and once more from it. */
  readonly store: boolean;
}

/** A stage that is ready to measure. */
export interface Stage {
  /** What was found while it got ready: loading, sizes, counts. */
  readonly facts: readonly Sample[];
  /** What it can measure, in order. */
  readonly measurements: readonly string[];
  /** Takes one round of a measurement: one value for each of its names. */
  measure(measurement: string): Promise<Sample[]>;
  /** Gives the memory back. */
  dispose(): Promise<void>;
}
