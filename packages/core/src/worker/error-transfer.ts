import * as Comlink from 'comlink';
import { type ErrorCode, isOssicleError, OssicleError } from '../errors.ts';

/** The most causes of an error that reach the page. */
const MAX_CAUSES = 16;

/** An error as plain data, with the fields that Comlink leaves out. */
interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: ErrorCode | undefined;
  readonly isDomException: boolean;
  readonly cause: WireError | undefined;
}

/**
 * Makes errors thrown by this worker keep their class, code and cause. Call it in the library's own worker only: the
 * page's Comlink, which the application may use too, needs no change to read them.
 */
export function installErrorTransfer(): void {
  const handler = Comlink.transferHandlers.get('throw');
  if (!handler) throw new Error('Comlink has no transfer handler for thrown values');
  Comlink.transferHandlers.set('throw', {
    ...handler,
    serialize: (thrown) => {
      const { value } = thrown as { value: unknown };
      if (!(value instanceof Error)) return handler.serialize(thrown);
      return [{ isError: true, value: toWire(value) }, []];
    },
  });
}

/** @param causes - The most causes to keep: they may be endless. */
function toWire(error: Error, causes: number = MAX_CAUSES): WireError {
  const { name, message, stack, cause } = error;
  return {
    name,
    message,
    stack,
    code: isOssicleError(error) ? error.code : undefined,
    isDomException: error instanceof DOMException,
    cause: cause instanceof Error && causes > 0 ? toWire(cause, causes - 1) : undefined,
  };
}

const CLASSES = { TypeError, RangeError, SyntaxError } as const;

/** Restores the class of an error from the worker, which Comlink has made an `Error` with the fields that were sent. */
export function restoreError(received: unknown): unknown {
  if (!(received instanceof Error) || !('isDomException' in received)) return received;
  return fromWire(received as Error & WireError);
}

function fromWire({ name, message, stack, code, isDomException, cause }: WireError): Error {
  if (isDomException) return new DOMException(message, name); // programs check its name, such as AbortError
  const options = cause ? { cause: fromWire(cause) } : {};
  const isKnown = name in CLASSES;
  const error =
    code !== undefined
      ? new OssicleError(code, message, options)
      : new (isKnown ? CLASSES[name as keyof typeof CLASSES] : Error)(message, options);
  if (stack !== undefined) error.stack = stack;
  return error;
}
