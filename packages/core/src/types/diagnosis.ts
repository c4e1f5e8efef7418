import type { AdapterSummary, ModelInfo } from './load.ts';

/** How right the kernels are on this GPU. */
export interface SelfTestResult {
  /** Whether the results are as exact as the model needs. */
  readonly passed: boolean;
  /**
   * The largest difference from the same computed in float64, or between wide and narrow tiles, in units of the largest
   * number.
   */
  readonly error: number;
}

/**
 * A variant of a kernel or of a part of kernels that needs a feature of the GPU, and whether it is used; or tiles of many
 * tokens that are wrong on this GPU.
 */
export interface VariantChoice {
  /** Its file below `shaders/`, without extension. */
  readonly variant: string;
  /** `wrong`: not used, as the self-test failed with it. `slower`: not used, as it took longer. */
  readonly choice: 'used' | 'wrong' | 'slower';
  /** How long some work of the model took with it, and without it; absent if it was not timed. */
  readonly milliseconds?: { readonly used: number; readonly unused: number };
}

/** The time of all dispatches of one kernel in the decoding of one token. */
export interface KernelTime {
  /** Its entry point. */
  readonly kernel: string;
  readonly dispatches: number;
  readonly microseconds: number;
}

/** What ossicle runs on, what it has chosen for it, and whether that works: plain data. */
export interface Diagnosis {
  /** All of it as text, to be pasted into a report. */
  readonly text: string;
  /** Tells versions of ossicle's kernels apart: a checksum of their sources. */
  readonly shaders: string;
  /** The browser and the system, as the browser describes them. */
  readonly userAgent: string;
  readonly adapter: AdapterSummary;
  /** The features of the GPU device. */
  readonly features: readonly string[];
  /** The limits of the GPU device. */
  readonly limits: Readonly<Record<string, number>>;
  readonly model: Pick<
    ModelInfo,
    'id' | 'contextLength' | 'dense' | 'kvCache' | 'prefill' | 'gpuBytes' | 'parameterCount'
  >;
  /** The variants that the device can run. */
  readonly variants: readonly VariantChoice[];
  /** Whether the choices come from an earlier load. */
  readonly isRemembered: boolean;
  /** Of the kernels in use, run for this diagnosis. */
  readonly selfTest: SelfTestResult;
  /** How fast the GPU has been so far. */
  readonly speed: { readonly flopsPerSecond: number; readonly bytesPerSecond: number };
  /** The decoding of one token, the slowest kernel first; empty if the device has no `timestamp-query`. */
  readonly kernels: readonly KernelTime[];
}
