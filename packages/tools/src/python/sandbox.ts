import frameText from './sandbox.html?raw';
import type { FromWorker, SandboxFile, ToWorker } from './sandbox-messages.ts';
import workerText from './sandbox-worker.ts?raw';

/** How long the frame and its worker may take to answer. If the policy of the page forbids them, they never do. */
const START_PATIENCE_MS = 30_000;

/** The longest time that timers can count. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** Files of Pyodide that every session reads. */
const CORE_FILES = [
  'pyodide.mjs',
  'pyodide.asm.mjs',
  'pyodide.asm.wasm',
  'python_stdlib.zip',
  'pyodide-lock.json',
];

/** What a sandbox is made with. */
export interface SandboxOptions {
  /** The folder of Pyodide's files, with a final slash. */
  readonly indexURL: string;
  /** A copy of `sandbox.html` on a server; without one, the frame is part of the page. */
  readonly sandboxURL: string | undefined;
  readonly timeLimitMs: number;
  readonly memoryLimit: number;
  readonly outputLimit: number;
  readonly fileLimit: number;
}

/** What a cell gave. */
export type CellResult = FromWorker & { readonly type: 'result' };

/**
 * Python in a worker, in a frame that has an origin of its own and may not use the network: the page reads Pyodide's
 * files for it. It runs one cell at a time.
 */
export class Sandbox {
  readonly #options: SandboxOptions;
  readonly #frame = document.createElement('iframe');
  readonly #frames = new MessageChannel();
  readonly #workers = new MessageChannel();
  /** Aborts what is being read. */
  readonly #end = new AbortController();
  /** Name of a package's file → its hash in hexadecimal. */
  #packages: Promise<ReadonlyMap<string, string>> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Each stage has a limit of its own, but for the loading of files. */
  #stage: 'start' | 'load' | 'run' = 'start';
  /** Ends the cell that runs. */
  #settle: { resolve(result: CellResult): void; reject(error: unknown): void } | undefined;

  /** @param files - What is on the drive from the beginning. */
  constructor(options: SandboxOptions, files: readonly SandboxFile[]) {
    this.#options = options;
    for (const { port1 } of [this.#frames, this.#workers]) {
      port1.onmessage = ({ data }: MessageEvent<FromWorker>) => {
        try {
          this.#receive(data);
        } catch (error) {
          this.close(error); // no message of the library's own worker
        }
      };
    }
    const { memoryLimit, outputLimit, fileLimit } = options;
    this.#send({ type: 'start', memoryLimit, outputLimit, fileLimit, files });
    this.#frame.hidden = true;
    this.#frame.sandbox.add('allow-scripts');
    this.#frame.onload = () => {
      const worker = new Blob([workerText], { type: 'text/javascript' });
      const ports = [this.#frames.port2, this.#workers.port2];
      this.#frame.contentWindow?.postMessage(worker, '*', ports);
    };
    if (options.sandboxURL === undefined) this.#frame.srcdoc = frameText;
    else this.#frame.src = options.sandboxURL;
    document.documentElement.append(this.#frame);
    this.#limit(
      START_PATIENCE_MS,
      'The sandbox for Python did not start. If the page has a Content-Security-Policy, give createPython() a sandboxURL.',
    );
  }

  /**
   * Runs code. After an error, the sandbox must be closed.
   *
   * @param files - What to put on the drive before.
   * @throws Error if the code takes too long, or Python could not be loaded or crashes. The reason of the signal.
   */
  async run(
    code: string,
    files: readonly SandboxFile[],
    signal?: AbortSignal,
  ): Promise<CellResult> {
    signal?.throwIfAborted();
    const abort = (): void => this.close(signal?.reason);
    signal?.addEventListener('abort', abort);
    try {
      return await new Promise<CellResult>((resolve, reject) => {
        this.#settle = { resolve, reject };
        if (this.#end.signal.aborted) reject(this.#end.signal.reason);
        else this.#send({ type: 'run', code, files });
      });
    } finally {
      this.#settle = undefined;
      if (this.#stage === 'run') this.#advance('load');
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Ends the worker. A cell that runs rejects with the reason. */
  close(reason: unknown): void {
    clearTimeout(this.#timer);
    this.#end.abort(reason);
    this.#frame.remove();
    for (const { port1 } of [this.#frames, this.#workers]) port1.close();
    this.#settle?.reject(this.#end.signal.reason);
  }

  #send(message: ToWorker, transfer: Transferable[] = []): void {
    this.#workers.port1.postMessage(message, transfer);
  }

  #receive(message: FromWorker): void {
    const { timeLimitMs, outputLimit } = this.#options;
    if (message.type === 'read') {
      if (this.#stage === 'start') this.#advance('load');
      void this.#read(String(message.name));
    } else if (message.type === 'running') {
      if (this.#stage !== 'load') return;
      this.#advance('run');
      this.#limit(
        timeLimitMs,
        `The code ran for more than ${timeLimitMs / 1000} seconds and was stopped. Python has been restarted: all variables ` +
          'are lost, and changes of files since the call before.',
      );
    } else if (message.type === 'result') {
      const { text, failed, files, images } = message;
      const isFile = ({ path, blob }: SandboxFile): boolean =>
        typeof path === 'string' && blob instanceof Blob;
      this.#settle?.resolve({
        type: 'result',
        text: String(text).slice(0, 2 * outputLimit),
        failed: failed === true,
        files: [...files].filter(isFile).map(({ path, blob }) => ({ path, blob })),
        images: [...images].filter((image) => image instanceof Blob),
      });
    } else if (message.type === 'crashed') {
      this.close(
        new Error(
          `Python crashed, and all variables are lost: ${String(message.message).slice(0, 1000)}`,
        ),
      );
    }
  }

  #advance(stage: 'load' | 'run'): void {
    this.#stage = stage;
    clearTimeout(this.#timer);
  }

  #limit(timeMs: number, message: string): void {
    this.#timer = setTimeout(
      () => this.close(new Error(message)),
      Math.min(timeMs, MAX_TIMEOUT_MS),
    );
  }

  /** Gives the worker a file of Pyodide, and nothing else. */
  async #read(name: string): Promise<void> {
    const { signal } = this.#end;
    try {
      const bytes = CORE_FILES.includes(name)
        ? await this.#fetch(name)
        : await this.#fetchPackage(name);
      if (!signal.aborted)
        this.#send({ type: 'file', name, ...(bytes && { bytes }) }, bytes ? [bytes] : []);
    } catch (error) {
      if (signal.aborted) return;
      if (CORE_FILES.includes(name)) this.close(error);
      else this.#send({ type: 'file', name });
    }
  }

  async #fetchPackage(name: string): Promise<ArrayBuffer | undefined> {
    this.#packages ??= this.#fetch('pyodide-lock.json').then(readPackages);
    const sha256 = (await this.#packages).get(name);
    return sha256 === undefined ? undefined : this.#fetch(name, sha256);
  }

  async #fetch(name: string, sha256?: string): Promise<ArrayBuffer> {
    const url = this.#options.indexURL + name;
    try {
      const response = await fetch(url, {
        signal: this.#end.signal,
        credentials: 'omit',
        ...(sha256 !== undefined && { integrity: `sha256-${toBase64(sha256)}` }),
      });
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      return await response.arrayBuffer();
    } catch (error) {
      this.#end.signal.throwIfAborted();
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`Python could not be loaded: ${url}: ${reason}`);
    }
  }
}

/** The hashes of the packages in `pyodide-lock.json`, by the names of their files. */
function readPackages(lock: ArrayBuffer): ReadonlyMap<string, string> {
  interface Entry {
    readonly file_name: string;
    readonly sha256: string;
  }
  const { packages } = JSON.parse(new TextDecoder().decode(lock));
  const entries = Object.values(packages) as Entry[];
  return new Map(entries.map(({ file_name, sha256 }) => [file_name, sha256]));
}

function toBase64(hexadecimal: string): string {
  const bytes = hexadecimal.match(/../g) ?? [];
  return btoa(String.fromCharCode(...bytes.map((byte) => Number.parseInt(byte, 16))));
}
