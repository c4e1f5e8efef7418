/**
 * Calls a listener of the application. If it throws, the error is reported like that of an event listener, and the
 * caller goes on.
 */
export function notify<Values extends unknown[]>(
  listener: ((...values: Values) => unknown) | undefined,
  ...values: Values
): void {
  try {
    listener?.(...values);
  } catch (error) {
    if (typeof reportError === 'function') reportError(error);
    else queueMicrotask(() => rethrow(error)); // Node
  }
}

function rethrow(error: unknown): never {
  throw error;
}
