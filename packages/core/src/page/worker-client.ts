import * as Comlink from 'comlink';
import { messageOf, OssicleError } from '../errors.ts';
import type { LoadOptions } from '../types/load.ts';
import { restoreError } from '../worker/error-transfer.ts';
import type { ModelService, TaskArguments } from '../worker/model-service.ts';
import InlineWorker from '../worker/worker.ts?worker&inline';

/** How long the worker has to release its memory before it is terminated anyway. */
const DISPOSE_PATIENCE_MS = 1000;

/** How long a worker may take to answer an abort. One that is busy for longer may never answer: it is terminated. */
const ABORT_PATIENCE_MS = 3000;

/** How often the worker is asked for a sign of life while calls are in progress. */
const PING_INTERVAL_MS = 5000;

/** After this many intervals without a sign of life, the worker counts as dead: a minute. */
const MAX_MISSED_PINGS = 12;

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

/**
 * The page's end of the worker. If the worker dies, stops answering, or does not react to an abort, all calls reject
 * instead of waiting forever.
 */
export class WorkerClient {
  readonly #worker: Worker;
  readonly #service: RemoteService;
  /** Why the worker has ended, if it has. */
  #end: OssicleError | undefined;
  /** Rejects the calls in progress. */
  readonly #pending = new Set<(error: OssicleError) => void>();
  #isTerminated = false;
  #disposing: Promise<void> | undefined;
  #lastTask = 0;
  #missedPings = 0;
  #pings: ReturnType<typeof setInterval> | undefined;

  /**
   * @param worker - Default: a new worker.
   * @throws {@link OssicleError} `worker-failed` if the browser does not start a worker.
   */
  constructor(worker: Worker = startWorker()) {
    this.#worker = worker;
    this.#worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#fail(workerFailed(event.message));
    });
    this.#service = Comlink.wrap<ModelService>(this.#worker);
  }

  /** Calls the worker. Rejects if the worker has ended, or ends before it answers. */
  async call<T>(use: (service: RemoteService) => Promise<T>): Promise<T> {
    if (this.#end) throw this.#end;
    let fail: (error: OssicleError) => void = () => undefined;
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    this.#pending.add(fail);
    this.#pings ??= setInterval(() => this.#ping(), PING_INTERVAL_MS);
    try {
      return await Promise.race([failed, use(this.#service)]);
    } catch (error) {
      if (error instanceof DOMException && error.name === 'DataCloneError') {
        throw new TypeError(`An option cannot be sent to a worker: ${error.message}`);
      }
      throw restoreError(error);
    } finally {
      this.#pending.delete(fail);
      if (this.#pending.size === 0 || this.#end) this.#stopPings();
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
    const abort = (): void => void this.#abort(id);
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
  dispose(last?: (service: RemoteService) => Promise<unknown>): Promise<void> {
    this.#disposing ??= this.#dispose(last);
    return this.#disposing;
  }

  async #dispose(last?: (service: RemoteService) => Promise<unknown>): Promise<void> {
    this.#finish(
      new OssicleError('disposed', 'The model was disposed of. Load it again to go on.'),
    );
    if (last && !this.#isTerminated) {
      const patience = new Promise((resolve) => setTimeout(resolve, DISPOSE_PATIENCE_MS));
      await Promise.race([last(this.#service), patience]).catch(() => undefined);
    }
    this.#terminate();
  }

  /** Aborts a task. Terminates a worker that is too busy to notice. */
  async #abort(task: number): Promise<void> {
    const answer = this.call((service) => service.abort(task)).catch(() => undefined);
    if (await isWithin(answer, ABORT_PATIENCE_MS)) return;
    this.#fail(workerSilent(`${ABORT_PATIENCE_MS / 1000} s after an abort`));
  }

  /** Counts intervals, not time: pages that sleep have none. */
  #ping(): void {
    const isAnswered = this.#missedPings === 0;
    if (this.#missedPings === MAX_MISSED_PINGS) {
      this.#fail(workerSilent(`for ${(MAX_MISSED_PINGS * PING_INTERVAL_MS) / 1000} s`));
      return;
    }
    this.#missedPings++;
    if (!isAnswered) return;
    const answered = (): void => {
      this.#missedPings = 0;
    };
    this.#service.ping().then(answered, answered);
  }

  #stopPings(): void {
    clearInterval(this.#pings);
    this.#pings = undefined;
    this.#missedPings = 0;
  }

  /** Rejects calls in progress and later ones. The first reason counts. */
  #finish(error: OssicleError): void {
    this.#end ??= error;
    for (const reject of this.#pending) reject(this.#end);
  }

  #fail(error: OssicleError): void {
    this.#finish(error);
    this.#terminate();
  }

  #terminate(): void {
    this.#stopPings();
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

/** Whether a promise settles in time. The time in which the page itself is asleep counts only in part. */
async function isWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const steps = 6;
  let isSettled = false;
  const settled = promise.then(() => {
    isSettled = true;
  });
  for (let step = 0; step < steps && !isSettled; step++) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const pause = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms / steps);
    });
    await Promise.race([settled, pause]);
    clearTimeout(timer);
  }
  return isSettled;
}

function workerSilent(when: string): OssicleError {
  return new OssicleError(
    'worker-failed',
    `The worker of ossicle did not answer ${when}, and was terminated. Load the model again.`,
  );
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
