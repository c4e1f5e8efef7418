import type { StoreOperations } from './store-worker.ts';
import InlineWorker from './store-worker.ts?worker&inline';

/** A worker that uses the store, like another tab. Only in browsers. */
export class StoreWorker {
  readonly #worker = new InlineWorker();
  /** Called when more bytes are stored. */
  onProgress: (loadedBytes: number) => void = () => undefined;

  /** Runs an operation in the worker, one at a time. */
  call<Name extends keyof StoreOperations>(
    name: Name,
    ...args: Parameters<StoreOperations[Name]>
  ): Promise<Awaited<ReturnType<StoreOperations[Name]>>> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => {
        if ('progress' in data) this.onProgress(data.progress);
        else if (data.error) reject(Object.assign(new Error(data.error.message), data.error));
        else resolve(data.result);
      };
      this.#worker.onerror = ({ message }) => reject(new Error(message));
      this.#worker.postMessage({ name, args });
    });
  }

  /** Kills the worker, as closing its tab would. */
  end(): void {
    this.#worker.terminate();
  }
}
