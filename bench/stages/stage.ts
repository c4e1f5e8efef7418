import type { AdapterSummary, KvCacheFormat } from '../../packages/core/src/types/load.ts';

/** The adapter in use, as far as it says who it is. */
export interface BenchAdapter extends AdapterSummary {
  /** Features of the device that kernels run on. */
  readonly features: readonly string[];
  /** What Chrome says with developer features, and Node always: `device`, `driver`, `backend`, `type`. */
  readonly details: Readonly<Record<string, string>>;
}

/** One measured value. */
export interface Sample {
  /** What was measured, as in `decode @128`. */
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

/**
 * `end-to-end`: a checkpoint through the engine; `synthetic`: the same with weights made on the GPU; `kernels`: the kernels
 * of the forward pass, alone; `upload`: stored bytes to the GPU, without kernels.
 */
export type StageName = 'end-to-end' | 'synthetic' | 'kernels' | 'upload';

/** What to measure, and how. Plain data, since it is sent to a page. */
export interface StageOptions {
  /** The parsed config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Format of dense weights on the GPU. */
  readonly dense: 'int8' | 'bf16';
  /** Format of keys and values. Default: the engine's. */
  readonly kvCache?: KvCacheFormat;
  /** Tokens of one prefill pass. */
  readonly chunk: number;
  /** Positions of the KV cache. */
  readonly context: number;
  /** Lengths of the prompts to evaluate. */
  readonly prompts: readonly number[];
  /** Numbers of tokens before those that are decoded. */
  readonly depths: readonly number[];
  /** Tokens to decode. */
  readonly decode: number;
  /** The temperature to sample at; 0 is greedy. */
  readonly temperature: number;
  /** Whether to load through the browser's store, and then once more from it. */
  readonly store: boolean;
}

/** An open stage. */
export interface Stage {
  /** Measured while it opened: load times, sizes, counts. */
  readonly facts: readonly Sample[];
  /** Names of its measurements, in order. */
  readonly measurements: readonly string[];
  /** Takes one round of a measurement: one sample for each name. */
  measure(measurement: string): Promise<Sample[]>;
  /** Releases its memory. */
  dispose(): Promise<void>;
}
