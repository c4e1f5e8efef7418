import type { LoadOptions } from './load.ts';

/** Options of operations that take a while. */
export interface TaskOptions {
  /** Called after each chunk. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** The worker to run in, as for a load. It serves one operation, and is terminated with it. */
  readonly worker?: LoadOptions['worker'];
  /** Aborts the operation. */
  readonly signal?: AbortSignal;
}
