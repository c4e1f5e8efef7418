import * as Comlink from 'comlink';
import { OssicleError } from '../errors.ts';
import { installErrorTransfer } from './errors-across.ts';
import type { ModelService } from './model-service.ts';
import InlineWorker from './worker.ts?worker&inline';

/** The page's end of the worker: calls that cannot outlive it. */
export class ModelWorker {
  readonly #worker: Worker;
  readonly #service: Comlink.Remote<ModelService>;
  readonly #ended: Promise<never>;
  #end: (error: OssicleError) => void = () => undefined;

  /** Starts a worker. */
  constructor() {
    installErrorTransfer();
    this.#ended = new Promise((_, reject) => {
      this.#end = reject;
    });
    this.#ended.catch(() => undefined); // calls hear of it
    this.#worker = new InlineWorker({ name: 'ossicle' });
    this.#worker.addEventListener('error', (event) => {
      event.preventDefault();
      const detail = event.message ? `: ${event.message}` : '';
      this.#terminate(
        new OssicleError(
          'worker-failed',
          `The worker of ossicle did not start, or it crashed${detail}. Where the page has a Content-Security-Policy, ` +
            'it must allow worker-src blob:. Otherwise load the model again.',
        ),
      );
    });
    this.#service = Comlink.wrap<ModelService>(this.#worker);
  }

  /** Calls the worker; rejects when the worker ends before it answers. */
  call<T>(use: (service: Comlink.Remote<ModelService>) => Promise<T>): Promise<T> {
    return Promise.race([this.#ended, use(this.#service)]);
  }

  /** Ends the worker; calls under way reject with `disposed`. */
  dispose(): void {
    this.#terminate(
      new OssicleError('disposed', 'The model was disposed of. Load it again to go on.'),
    );
  }

  #terminate(error: OssicleError): void {
    this.#end(error);
    this.#service[Comlink.releaseProxy]();
    this.#worker.terminate();
  }
}

/** Makes a function callable from the worker. */
export function callback<T extends (...values: never[]) => void>(from: T): T & Comlink.ProxyMarked {
  return Comlink.proxy(from);
}
