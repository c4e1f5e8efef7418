/** Runs tasks one at a time, in the order in which they were added. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Runs a task after all earlier ones, whether or not they failed.
   *
   * @param signal - Removes the task while it waits: the call rejects at once with the signal's reason.
   */
  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const cancel = (): void => reject(signal?.reason);
      signal?.addEventListener('abort', cancel, { once: true });
      this.#last = this.#last.then(async () => {
        signal?.removeEventListener('abort', cancel);
        try {
          signal?.throwIfAborted();
          resolve(await task());
        } catch (error) {
          reject(error);
        }
      });
    });
  }
}
