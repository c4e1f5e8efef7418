/**
 * Calls a function that the application gave. What it throws is reported as the error of an event listener is, and does
 * not end what called it.
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
