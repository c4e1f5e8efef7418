import type { AdapterSummary, LoadOptions } from './load.ts';

/** A limit that a GPU has, and what is needed of it. */
export interface LimitCheck {
  /** As WebGPU calls it. */
  readonly name: string;
  /** The least that suffices. */
  readonly needed: number;
  /** What the GPU has. */
  readonly available: number;
}

/** What of the load to come matters beforehand. */
export type SupportOptions = Pick<
  LoadOptions,
  'contextLength' | 'dense' | 'kvCache' | 'prefillChunkLength' | 'huggingFace' | 'store' | 'signal'
>;

/** How fast a model can answer at most, and what that is worked out from. */
export interface SpeedEstimate {
  /** Tokens per second that answers cannot exceed: {@link SpeedEstimate.bytesPerSecond} by {@link SpeedEstimate.bytesPerToken}. */
  readonly maxTokensPerSecond: number;
  /** Bytes of weights that are read for each token. */
  readonly bytesPerToken: number;
  /** Bytes per second at which this GPU has just copied within its memory. */
  readonly bytesPerSecond: number;
  /** What it is worked out from, in words and with the numbers. */
  readonly basis: string;
}

/** What a machine has, and what a model needs of it. */
export interface SupportReport {
  /** Whether nothing speaks against it. */
  readonly isSupported: boolean;
  /**
   * Why it will not run, each with a remedy; none where it will, as far as can be told beforehand. `load()` with the same
   * options rejects with these sentences.
   */
  readonly reasons: readonly string[];
  /** The adapter that would be used, where there is one. */
  readonly adapter?: AdapterSummary;
  /** The features of WebGPU that are needed, which are none, and those that the adapter has. */
  readonly features?: { readonly needed: readonly string[]; readonly available: readonly string[] };
  /** What the model, or without a source any model, needs of the adapter's limits. */
  readonly limits?: readonly LimitCheck[];
  /** What the model comes to; absent where no source was given. */
  readonly model?: {
    /** As the store knows it. */
    readonly id: string;
    /** Bytes on the GPU: weights, activations and one conversation. Browsers do not tell how many there are. */
    readonly gpuBytes: number;
    /** Bytes of all its files. */
    readonly totalBytes: number;
    /** Bytes that a load would yet store: none of files on this disk, and none with `store: false`. */
    readonly missingBytes: number;
    /** Whether the store has all of it, so that nothing is downloaded. */
    readonly isStored: boolean;
  };
  /** How fast it can be at most; where it runs at all. */
  readonly speed?: SpeedEstimate;
  /**
   * Bytes that the site holds and may hold, as the browser tells. A hint: Chrome tells less than it allows, so that
   * too little is no reason; a load asks for all its room before it downloads.
   */
  readonly storage?: { readonly usedBytes: number; readonly quotaBytes: number };
}
