import type { StoreOperations } from './store-worker.ts';
import InlineWorker from './store-worker.ts?worker&inline';

/** A worker to use the store in: what another tab would be. Only in browsers. */
export class StoreWorker {
  readonly #worker = new InlineWorker();
  /** Called when more bytes are stored. */
  onProgress: (loadedBytes: number) => void = () => undefined;

  /** Lets the worker do something; one thing at a time. */
  call<Name extends keyof StoreOperations>(
    name: Name,
    ...args: Parameters<StoreOperations[Name]>
  ): Promise<Awaited<ReturnType<StoreOperations[Name]>>> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => {
        if ('progress' in data) this.onProgress(data.progress);
        else if (data.error) reject(data.error);
        else resolve(data.result);
      };
      this.#worker.onerror = ({ message }) => reject(new Error(message));
      this.#worker.postMessage({ name, args });
    });
  }

  /** Kills the worker, as the end of its tab would. */
  end(): void {
    this.#worker.terminate();
  }
}
