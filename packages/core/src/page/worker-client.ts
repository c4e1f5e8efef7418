import * as Comlink from 'comlink';
import { messageOf, OssicleError } from '../errors.ts';
import type { LoadOptions } from '../types/load.ts';
import { restoreError } from '../worker/error-transfer.ts';
import type { ModelService, TaskArguments } from '../worker/model-service.ts';
import InlineWorker from '../worker/worker.ts?worker&inline';

/** How long the worker has to release its memory before it is terminated anyway. */
const DISPOSE_PATIENCE_MS = 1000;

/** The worker's service, as the page calls it. */
export type RemoteService = Comlink.Remote<ModelService>;

/** Options of {@link WorkerClient.run}. */
export interface RunOptions<Report> {
  /** Aborts the task; whether it then rejects is up to the task. */
  readonly signal?: AbortSignal | undefined;
  /** Called with each report in order, and never after the task has ended. Must not throw. */
  readonly onReport?: (report: Report) => void;
}

/** Options of {@link runInWorker}. */
interface OwnWorkerOptions<Report> extends RunOptions<Report> {
  /** See `LoadOptions`. */
  readonly worker?: LoadOptions['worker'] | undefined;
}

/** The page's end of the worker. If the worker dies, all calls reject instead of waiting forever. */
export class WorkerClient {
  readonly #worker: Worker;
  readonly #service: RemoteService;
  readonly #ended: Promise<never>;
  #end: (error: OssicleError) => void = () => undefined;
  #isEnded = false;
  #isTerminated = false;
  #lastTask = 0;

  /**
   * @param worker - Default: a new worker.
   * @throws {@link OssicleError} `worker-failed` if the browser does not start a worker.
   */
  constructor(worker: Worker = startWorker()) {
    this.#ended = new Promise((_, reject) => {
      this.#end = (error) => {
        this.#isEnded = true;
        reject(error);
      };
    });
    this.#ended.catch(() => undefined); // handled by the calls
    this.#worker = worker;
    this.#worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#end(workerFailed(event.message));
      this.#terminate();
    });
    this.#service = Comlink.wrap<ModelService>(this.#worker);
  }

  /** Calls the worker. Rejects if the worker has ended, or ends before it answers. */
  async call<T>(use: (service: RemoteService) => Promise<T>): Promise<T> {
    if (this.#isEnded) return this.#ended;
    try {
      return await Promise.race([this.#ended, use(this.#service)]);
    } catch (error) {
      if (error instanceof DOMException && error.name === 'DataCloneError') {
        throw new TypeError(`An option cannot be sent to a worker: ${error.message}`);
      }
      throw restoreError(error);
    }
  }

  /** Runs a task that can report and be aborted. */
  async run<T, Report = never>(
    start: (service: RemoteService, task: TaskArguments<Report>) => Promise<T>,
    { signal, onReport }: RunOptions<Report> = {},
  ): Promise<T> {
    const id = ++this.#lastTask;
    let isRunning = true;
    const report = Comlink.proxy((value: Report) => {
      if (isRunning) onReport?.(value);
    });
    const abort = (): void => {
      this.call((service) => service.abort(id)).catch(() => undefined);
    };
    try {
      const answer = this.call((service) => start(service, [id, report]));
      signal?.addEventListener('abort', abort);
      if (signal?.aborted) abort();
      return await answer;
    } finally {
      isRunning = false;
      signal?.removeEventListener('abort', abort);
    }
  }

  /**
   * Ends the worker. Calls in progress reject with `disposed`.
   *
   * @param last - A last call; the worker has a second to complete it.
   */
  async dispose(last?: (service: RemoteService) => Promise<unknown>): Promise<void> {
    this.#end(new OssicleError('disposed', 'The model was disposed of. Load it again to go on.'));
    if (last && !this.#isTerminated) {
      const patience = new Promise((resolve) => setTimeout(resolve, DISPOSE_PATIENCE_MS));
      await Promise.race([last(this.#service), patience]).catch(() => undefined);
    }
    this.#terminate();
  }

  #terminate(): void {
    if (this.#isTerminated) return;
    this.#isTerminated = true;
    this.#service[Comlink.releaseProxy]();
    this.#worker.terminate();
  }
}

/**
 * Runs one task in its own worker.
 *
 * @throws `signal.reason` if aborted, and whatever the task throws.
 */
export async function runInWorker<T, Report = never>(
  start: (service: RemoteService, task: TaskArguments<Report>) => Promise<T>,
  options: OwnWorkerOptions<Report> = {},
): Promise<T> {
  const { signal } = options;
  signal?.throwIfAborted();
  const worker = new WorkerClient(toWorker(options.worker));
  try {
    return await worker.run(start, options);
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    void worker.dispose();
  }
}

/**
 * The worker to load a model in; `undefined` for the library's own.
 *
 * @throws TypeError if it is not a worker.
 */
export function toWorker(worker: LoadOptions['worker']): Worker | undefined {
  const found = typeof worker === 'function' ? worker() : worker;
  if (found === undefined && worker === undefined) return undefined;
  if (typeof found?.postMessage === 'function') return found;
  throw new TypeError('worker must be a Worker, or a function that returns one');
}

function startWorker(): Worker {
  if (typeof Worker === 'undefined') {
    throw new OssicleError(
      'worker-failed',
      'ossicle needs a page to start its worker in. Elsewhere, use createEngine() of ossicle/engine.',
    );
  }
  try {
    return new InlineWorker({ name: 'ossicle' });
  } catch (cause) {
    throw workerFailed(messageOf(cause), cause);
  }
}

function workerFailed(reason: string, cause?: unknown): OssicleError {
  return new OssicleError(
    'worker-failed',
    `The worker of ossicle did not start, or it crashed${reason ? `: ${reason}` : ''}. If the page has a ` +
      'Content-Security-Policy, it must allow worker-src blob:, or load() needs a worker made from ossicle/worker. ' +
      'Otherwise, load the model again.',
    { cause },
  );
}
