import type { AdapterSummary, LoadOptions } from './load.ts';

/** A limit of a GPU, and what the model needs of it. */
export interface LimitCheck {
  /** Its name in WebGPU. */
  readonly name: string;
  /** The least that suffices. */
  readonly needed: number;
  /** What the GPU has. */
  readonly available: number;
}

/** The options of the load to come that matter to a check. */
export type SupportOptions = Pick<
  LoadOptions,
  | 'contextLength'
  | 'dense'
  | 'kvCache'
  | 'prefillChunkLength'
  | 'huggingFace'
  | 'minBytesPerSecond'
  | 'store'
  | 'worker'
  | 'signal'
>;

/** An upper bound of a model's speed, from the bandwidth of GPU memory. */
export interface SpeedEstimate {
  /**
   * The most tokens per second: {@link SpeedEstimate.bytesPerSecond} divided by {@link SpeedEstimate.bytesPerToken}.
   */
  readonly maxTokensPerSecond: number;
  /** Bytes of weights that each token reads. */
  readonly bytesPerToken: number;
  /** The speed at which this GPU just copied within its memory, reads and writes counted, in bytes per second. */
  readonly bytesPerSecond: number;
}

/** What a machine has, and what a model needs of it. */
export interface SupportReport {
  /** Whether no obstacle was found. */
  readonly isSupported: boolean;
  /**
   * Why the model will not run, each reason with a remedy; empty if no obstacle was found. `load()` with the same
   * options rejects with these sentences.
   */
  readonly reasons: readonly string[];
  /** The adapter that would be used; absent if there is none. */
  readonly adapter?: AdapterSummary;
  /** The WebGPU features of the adapter. None is required. */
  readonly features?: readonly string[];
  /** What the model, or without a source any model, needs of the adapter's limits. */
  readonly limits?: readonly LimitCheck[];
  /** The size of the model; absent if no source was given. */
  readonly model?: {
    /** Its id in the store. */
    readonly id: string;
    /** GPU memory in bytes: weights, activations and one conversation that fills the context. Browsers do not report how much there is. */
    readonly gpuBytes: number;
    /** Bytes of all its files. */
    readonly totalBytes: number;
    /** Bytes still to download into the store; 0 for local files and with `store: false`. */
    readonly missingBytes: number;
    /** Whether the store has the whole model, so that nothing is downloaded. */
    readonly isStored: boolean;
  };
  /** How fast the model can be at most; absent if it does not run. */
  readonly speed?: SpeedEstimate;
  /**
   * Bytes that the site uses and may use, according to the browser. Only a hint: Chrome reports less than it allows, so
   * a low quota is not a reason. A load reserves all its space before it downloads.
   */
  readonly storage?: { readonly usedBytes: number; readonly quotaBytes: number };
}
