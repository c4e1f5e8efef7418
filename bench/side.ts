import type { BenchAdapter, Sample, Stage, StageName, StageOptions } from './stages/stage.ts';

/** One side of a bench: a {@link StageHost} in a page or in Node, driven from here. */
export interface Side {
  /** The adapter in use. */
  readonly adapter: BenchAdapter;
  /**
   * Opens a stage.
   *
   * @param checkpoint - Folder of the checkpoint; not needed for kernels.
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
  /** CPU seconds that each kind of process has taken so far, all threads together. */
  cpuSeconds(): Promise<Readonly<Record<string, number>>>;
}

/** Runs sides, in Chrome or in Node. */
export interface SideRuntime {
  /** Name in records. */
  readonly name: 'chrome' | 'node';
  /** Version of the browser or of Node. */
  readonly version: string;
  /** Whether checkpoints can be loaded through a store. */
  readonly hasStore: boolean;
  /**
   * Starts a side.
   *
   * @param checkout - Folder of the repository whose code it runs.
   */
  start(checkout: string): Promise<Side>;
  /** Stops everything it started. */
  dispose(): Promise<void>;
}
