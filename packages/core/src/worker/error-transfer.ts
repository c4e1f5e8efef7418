import * as Comlink from 'comlink';
import { type ErrorCode, isOssicleError, OssicleError } from '../errors.ts';

/** What Comlink carries of an error, and what it leaves out. */
interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: ErrorCode | undefined;
  readonly isDomException: boolean;
  readonly cause: WireError | undefined;
}

/**
 * Lets errors that this worker throws keep their code and cause. To be called in the library's own worker: the page's
 * Comlink, which the application may use, too, stays as it is, and reads what is sent here.
 */
export function installErrorTransfer(): void {
  const handler = Comlink.transferHandlers.get('throw');
  if (!handler) throw new Error('this Comlink has no handler for what is thrown');
  Comlink.transferHandlers.set('throw', {
    ...handler,
    serialize: (thrown) => {
      const { value } = thrown as { value: unknown };
      if (!(value instanceof Error)) return handler.serialize(thrown);
      return [{ isError: true, value: toWire(value) }, []];
    },
  });
}

function toWire(error: Error): WireError {
  const { name, message, stack, cause } = error;
  return {
    name,
    message,
    stack,
    code: isOssicleError(error) ? error.code : undefined,
    isDomException: error instanceof DOMException,
    cause: cause instanceof Error ? toWire(cause) : undefined,
  };
}

const CLASSES = { TypeError, RangeError, SyntaxError } as const;

/** Gives an error that came from the worker its class back. Comlink makes it an `Error` with the fields that were sent. */
export function restoreError(received: unknown): unknown {
  if (!(received instanceof Error) || !('isDomException' in received)) return received;
  return fromWire(received as Error & WireError);
}

function fromWire({ name, message, stack, code, isDomException, cause }: WireError): Error {
  if (isDomException) return new DOMException(message, name); // its name is what programs look at, as in AbortError
  const options = cause ? { cause: fromWire(cause) } : {};
  const isKnown = name in CLASSES;
  const error =
    code !== undefined
      ? new OssicleError(code, message, options)
      : new (isKnown ? CLASSES[name as keyof typeof CLASSES] : Error)(message, options);
  if (stack !== undefined) error.stack = stack;
  return error;
}
