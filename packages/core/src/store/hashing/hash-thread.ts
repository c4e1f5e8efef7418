import { advanceHash, type HashStep } from './hash-step.ts';
import HashWorker from './hash-worker.ts?worker&inline';

/** The outcome of a {@link HashStep}. */
export interface HashResult {
  /** See {@link advanceHash}. */
  readonly result: Uint8Array<ArrayBuffer>;
  /** The memory of {@link HashStep.bytes}, to be reused. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Hashes whole files in a worker of its own, beside the thread that writes them. One step at a time. */
export class HashThread {
  readonly #worker: Promise<Worker | undefined> = startWorker();

  /** Adds bytes to a hash. Their memory is transferred until the result brings it back. */
  async advance(step: HashStep): Promise<HashResult> {
    const worker = await this.#worker;
    if (!worker) return { result: advanceHash(step), bytes: step.bytes };
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(`the hashing worker failed: ${message}`));
      worker.postMessage(step, [step.bytes.buffer]);
    });
  }

  async dispose(): Promise<void> {
    (await this.#worker)?.terminate();
  }
}

/** Starts the worker; `undefined` if the page's policy or the browser forbids it, which makes hashing slower. */
function startWorker(): Promise<Worker | undefined> {
  return new Promise((resolve) => {
    try {
      const worker = new HashWorker({ name: 'ossicle-hash' });
      worker.onmessage = () => resolve(worker);
      worker.onerror = (event: Event) => {
        event.preventDefault();
        resolve(undefined);
      };
    } catch {
      resolve(undefined);
    }
  });
}
