/** What the page and the worker in the sandbox tell each other. The page believes nothing that the worker says. */

/** A file on the drive of the sandbox. */
export interface SandboxFile {
  /** Its path, such as `/mnt/data/table.csv`. */
  readonly path: string;
  readonly blob: Blob;
}

/** To the worker. */
export type ToWorker =
  | {
      readonly type: 'start';
      /** The most bytes of Python's memory. */
      readonly memoryLimit: number;
      /** The most characters of what a cell prints. */
      readonly outputLimit: number;
      /** The most bytes of files and images that a cell returns. */
      readonly fileLimit: number;
      /** The files that are on the drive from the beginning. */
      readonly files: readonly SandboxFile[];
    }
  /** A file of Pyodide that the worker has asked for; without bytes if there is none. */
  | { readonly type: 'file'; readonly name: string; readonly bytes?: ArrayBuffer }
  | {
      readonly type: 'run';
      readonly code: string;
      /** Files to put on the drive before. */
      readonly files: readonly SandboxFile[];
    };

/** From the worker. */
export type FromWorker =
  /** Asks for a file of Pyodide. */
  | { readonly type: 'read'; readonly name: string }
  /** The code begins to run: what it imports has been loaded. */
  | { readonly type: 'running' }
  | {
      readonly type: 'result';
      readonly text: string;
      readonly failed: boolean;
      readonly files: readonly SandboxFile[];
      readonly images: readonly Blob[];
    }
  /** The worker cannot go on. */
  | { readonly type: 'crashed'; readonly message: string };
