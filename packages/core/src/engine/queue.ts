/** Runs tasks one at a time, in the order of their calls. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Runs a task after all earlier ones, whether or not they failed.
   *
   * @param signal - Takes the task back while it waits: the call rejects at once with the signal's reason.
   */
  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const takeBack = (): void => reject(signal?.reason);
      signal?.addEventListener('abort', takeBack, { once: true });
      this.#last = this.#last.then(async () => {
        signal?.removeEventListener('abort', takeBack);
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
