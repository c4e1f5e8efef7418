/**
 * Waits for a promise, but not beyond an abort.
 *
 * @returns What the promise resolves to; `undefined` once the signal is aborted.
 */
export async function unlessAborted<T>(
  signal: AbortSignal,
  promise: T | PromiseLike<T>,
): Promise<Awaited<T> | undefined> {
  let stop: () => void = () => undefined;
  const stopped = new Promise<undefined>((resolve) => {
    stop = () => resolve(undefined);
  });
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    return await Promise.race([stopped, promise]);
  } finally {
    signal.removeEventListener('abort', stop); // the signal outlives many steps
  }
}
