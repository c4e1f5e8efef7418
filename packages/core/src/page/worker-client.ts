import * as Comlink from 'comlink';
import { messageOf, OssicleError } from '../errors.ts';
import { restoreError } from '../worker/error-transfer.ts';
import type { ModelService } from '../worker/model-service.ts';
import InlineWorker from '../worker/worker.ts?worker&inline';

/** How long a worker may take to give its memory back before it is ended all the same. */
const DISPOSE_PATIENCE_MS = 1000;

/** The worker's service, as the page calls it. */
export type RemoteService = Comlink.Remote<ModelService>;

/** The page's end of the worker: calls that cannot outlive it. */
export class ModelWorker {
  readonly #worker: Worker;
  readonly #service: RemoteService;
  readonly #ended: Promise<never>;
  #end: (error: OssicleError) => void = () => undefined;
  #isEnded = false;
  #isTerminated = false;

  /** Starts a worker. */
  constructor() {
    this.#ended = new Promise((_, reject) => {
      this.#end = (error) => {
        this.#isEnded = true;
        reject(error);
      };
    });
    this.#ended.catch(() => undefined); // calls hear of it
    if (typeof Worker === 'undefined') {
      throw new OssicleError(
        'worker-failed',
        'No worker can be started here: ossicle needs a page. Elsewhere, use createEngine() of ossicle/engine.',
      );
    }
    try {
      this.#worker = new InlineWorker({ name: 'ossicle' });
    } catch (cause) {
      throw workerFailed(messageOf(cause), cause);
    }
    this.#worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#end(workerFailed(event.message));
      this.#terminate();
    });
    this.#service = Comlink.wrap<ModelService>(this.#worker);
  }

  /** Calls the worker; rejects when the worker ends before it answers, or has ended. */
  async call<T>(use: (service: RemoteService) => Promise<T>): Promise<T> {
    if (this.#isEnded) return this.#ended;
    try {
      return await Promise.race([this.#ended, use(this.#service)]);
    } catch (error) {
      if (error instanceof DOMException && error.name === 'DataCloneError') {
        throw new TypeError(`An option holds what no worker can be sent: ${error.message}`);
      }
      throw restoreError(error);
    }
  }

  /**
   * Ends the worker; calls under way reject with `disposed`.
   *
   * @param last - What the worker does before, if it still answers.
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
 * Has a worker of its own do one task, and ends it.
 *
 * @param signal - Stops the task.
 * @throws `signal.reason`, and what the task throws.
 */
export async function inWorker<T>(
  signal: AbortSignal | undefined,
  use: (service: RemoteService) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const worker = new ModelWorker();
  const abort = (): void => {
    worker.call((service) => service.abortTask()).catch(() => undefined);
  };
  signal?.addEventListener('abort', abort);
  try {
    return await worker.call(use);
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener('abort', abort);
    void worker.dispose();
  }
}

function workerFailed(reason: string, cause?: unknown): OssicleError {
  return new OssicleError(
    'worker-failed',
    `The worker of ossicle did not start, or it crashed${reason ? `: ${reason}` : ''}. Where the page has a ` +
      'Content-Security-Policy, it must allow worker-src blob:. Otherwise load the model again.',
    { cause },
  );
}

/** Makes a function callable from the worker. */
export function callback<T extends (...values: never[]) => void>(from: T): T & Comlink.ProxyMarked {
  return Comlink.proxy(from);
}
