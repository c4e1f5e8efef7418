import type { ToolDefinition, ToolNamespace } from '@ossicle/harmony';
import { type CellResult, Sandbox, type SandboxOptions } from './sandbox.ts';
import type { SandboxFile } from './sandbox-messages.ts';

/** Where the model expects the user's files. */
const DRIVE = '/mnt/data/';

/** Options of {@link createPython}. */
export interface PythonOptions {
  /**
   * The folder with Pyodide's files: the npm package `pyodide`, served by the application, or a CDN. Nothing is read
   * from anywhere else.
   */
  readonly indexURL: string | URL;
  /**
   * The address of a copy of `@ossicle/tools/sandbox.html`. Needed if the Content-Security-Policy of the page forbids
   * inline scripts, `eval` or workers from blobs: a page within the page would inherit it, one from a server does not.
   */
  readonly sandboxURL?: string | URL;
  /** How long a call may run, in milliseconds, without the time to load Python and its packages. Default: 120,000. */
  readonly timeLimitMs?: number;
  /** The most bytes of Python's memory. Default: 1 GiB. */
  readonly memoryLimit?: number;
  /** The most characters of a call's output; of more, the model reads the beginning and the end. Default: 8,000. */
  readonly outputLimit?: number;
  /** The most bytes of the files and images that a call returns. Default: 64 MiB. */
  readonly fileLimit?: number;
  /** Whether the user must approve a call, with this code, before it runs. Default: no. */
  readonly needsApproval?: NonNullable<ToolDefinition['needsApproval']>;
}

/** What a call of `python` gave: the `output` of its `tool-result`. */
export interface PythonResult {
  /** What the model reads: what was printed, the value of the last expression, or the traceback. */
  readonly text: string;
  /** Whether an exception was raised. */
  readonly failed: boolean;
  /** The files on `/mnt/data` that are new or have changed. */
  readonly files: readonly PythonFile[];
  /** Plots of matplotlib, or an image that is the value of the last expression, as PNG. */
  readonly images: readonly Blob[];
}

/** A file of Python's drive. */
export interface PythonFile {
  /** Its path, such as `/mnt/data/table.csv`. */
  readonly path: string;
  /** Its bytes. */
  readonly blob: Blob;
}

/** The built-in tool `python`: pass it as one of `builtInTools`. */
export interface Python extends ToolNamespace {
  /** Runs code, as a call of the model does. */
  run(code: string, options?: { readonly signal?: AbortSignal }): Promise<PythonResult>;
  /**
   * Puts a file on the drive before the next call, for example one of the user's.
   *
   * @param path - Relative to `/mnt/data`.
   */
  addFile(path: string, blob: Blob): void;
  /** Forgets all variables and files. A call that runs rejects. */
  reset(): void;
  /** Releases Python's memory. A call that runs rejects, as do later ones. */
  dispose(): void;
}

/**
 * Creates the built-in tool `python`, with the definition that gpt-oss was trained with: a notebook that keeps its state
 * from call to call. Python is Pyodide, in a worker that is loaded with the first call, has no network, and sees nothing of
 * the page. Calls run one at a time. A call that is aborted, takes too long or crashes ends Python: the next one starts
 * with the files of `/mnt/data`, but without variables.
 *
 * @throws TypeError if `indexURL` is missing or no address. RangeError if a limit is not above 0.
 */
export function createPython(options: PythonOptions): Python {
  const settings = checkOptions(options);
  const files = new Map<string, SandboxFile>();
  let added: SandboxFile[] = [];
  let sandbox: Sandbox | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  let isDisposed = false;

  const end = (reason: string): void => {
    sandbox?.close(new Error(reason));
    sandbox = undefined;
  };

  const runNext = async (code: string, signal?: AbortSignal): Promise<PythonResult> => {
    signal?.throwIfAborted();
    if (isDisposed) throw new Error('This python has been disposed of.');
    if (typeof document === 'undefined') throw new Error('python runs on a page only.');
    sandbox ??= new Sandbox(settings, [...files.values()]);
    const current = sandbox;
    const toAdd = added;
    added = [];
    try {
      const { type: _, ...result }: CellResult = await current.run(code, toAdd, signal);
      for (const file of result.files) files.set(file.path, file);
      return result;
    } catch (error) {
      current.close(error);
      if (sandbox === current) sandbox = undefined;
      throw error;
    }
  };

  const run: Python['run'] = (code, { signal } = {}) => {
    const result = queue.then(() => runNext(code, signal));
    queue = result.catch(() => undefined);
    return result;
  };

  return {
    name: 'python',
    description: describe(settings.timeLimitMs),
    ...(options.needsApproval !== undefined && { needsApproval: options.needsApproval }),
    execute: (code, { signal }) => run(String(code), { signal }),
    toModelOutput: (output) => (output as PythonResult).text,
    run,
    addFile: (path, blob) => {
      const file = { path: DRIVE + path, blob };
      files.set(file.path, file);
      added.push(file);
    },
    reset: () => {
      files.clear();
      added = [];
      end('Python has been reset.');
    },
    dispose: () => {
      isDisposed = true;
      files.clear();
      end('This python has been disposed of.');
    },
  };
}

/** The definition that gpt-oss was trained with. */
function describe(timeLimitMs: number): string {
  return `Use this tool to execute Python code in your chain of thought. The code will not be shown to the user. This tool should be used for internal reasoning, but not for code that is intended to be visible to the user (e.g. when creating plots, tables, or files).

When you send a message containing Python code to python, it will be executed in a stateful Jupyter notebook environment. python will respond with the output of the execution or time out after ${(timeLimitMs / 1000).toFixed(1)} seconds. The drive at '/mnt/data' can be used to save and persist user files. Internet access for this session is UNKNOWN. Depends on the cluster.`;
}

function checkOptions({
  indexURL,
  sandboxURL,
  timeLimitMs = 120_000,
  memoryLimit = 2 ** 30,
  outputLimit = 8_000,
  fileLimit = 2 ** 26,
}: PythonOptions): SandboxOptions {
  const limits = { timeLimitMs, memoryLimit, outputLimit, fileLimit };
  for (const [name, value] of Object.entries(limits)) {
    if (value > 0) continue;
    throw new RangeError(`${name} must be above 0, not ${value}`);
  }
  return {
    ...limits,
    indexURL: addressOf('indexURL', indexURL).replace(/\/*$/, '/'),
    sandboxURL: sandboxURL === undefined ? undefined : addressOf('sandboxURL', sandboxURL),
  };
}

function addressOf(name: string, url: string | URL): string {
  const text = url instanceof URL ? url.href : url;
  const base = globalThis.document?.baseURI;
  if (typeof text === 'string' && URL.canParse(text, base)) return new URL(text, base).href;
  throw new TypeError(`${name} must be an address, not ${String(url)}`);
}
