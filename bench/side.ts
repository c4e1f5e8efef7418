import type { AdapterSummary } from '../packages/core/src/types/load.ts';
import type { Sample, Stage, StageName, StageOptions } from './stage.ts';

/** One side of a bench: a {@link StageHost} in a page or in Node, driven from here. */
export interface Side {
  /** The adapter that it runs on. */
  readonly adapter: AdapterSummary;
  /**
   * Gets a stage ready.
   *
   * @param checkpoint - A folder; left out for the kernels.
   */
  open(
    name: StageName,
    checkpoint: string | undefined,
    options: StageOptions,
  ): Promise<Pick<Stage, 'facts' | 'measurements'>>;
  /** Takes one round of a measurement of the open stage. */
  measure(measurement: string): Promise<Sample[]>;
  /** Closes the open stage. */
  close(): Promise<void>;
  /** Bytes of the JavaScript heap, array buffers included. */
  heapBytes(): Promise<number>;
}

/** Where sides run. */
export interface SideRuntime {
  /** What it is called in records. */
  readonly name: 'chrome' | 'node';
  /** Its version. */
  readonly version: string;
  /** Whether it has a store to load by way of. */
  readonly hasStore: boolean;
  /**
   * Starts a side.
   *
   * @param checkout - The folder of the repository whose code it runs.
   */
  start(checkout: string): Promise<Side>;
  /** Ends everything that it started. */
  dispose(): Promise<void>;
}
