import * as Comlink from 'comlink';
import { type ErrorCode, isOssicleError, OssicleError } from '../errors.ts';

/** An error as it crosses the boundary. Anything else that is thrown crosses as it is, if it can be cloned. */
interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: ErrorCode | undefined;
  readonly cause: WireError | undefined;
}

type Wire = { readonly error: WireError } | { readonly value: unknown };

/** Lets errors keep their class, code and cause across Comlink, which carries their text only. */
export function installErrorTransfer(): void {
  const comlinkHandler = Comlink.transferHandlers.get('throw');
  if (!comlinkHandler) throw new Error('this Comlink has no handler for what is thrown');
  Comlink.transferHandlers.set('throw', {
    canHandle: comlinkHandler.canHandle,
    serialize: (thrown): [Wire, Transferable[]] => {
      const { value } = thrown as { value: unknown };
      return [value instanceof Error ? { error: toWire(value) } : { value }, []];
    },
    deserialize: (wire: Wire): never => {
      throw 'error' in wire ? fromWire(wire.error) : wire.value;
    },
  } as Comlink.TransferHandler<unknown, Wire>);
}

function toWire(error: Error): WireError {
  const { name, message, stack, cause } = error;
  return {
    name,
    message,
    stack,
    code: isOssicleError(error) ? error.code : undefined,
    cause: cause instanceof Error ? toWire(cause) : undefined,
  };
}

const CLASSES = { TypeError, RangeError, SyntaxError } as const;

function fromWire({ name, message, stack, code, cause }: WireError): Error {
  const options = cause ? { cause: fromWire(cause) } : {};
  if (code !== undefined) return withStack(new OssicleError(code, message, options), stack);
  if (name in CLASSES) {
    return withStack(new CLASSES[name as keyof typeof CLASSES](message, options), stack);
  }
  // DOMException's name is what programs look at, as in AbortError.
  const isDomException = ['AbortError', 'TimeoutError', 'QuotaExceededError'].includes(name);
  return isDomException
    ? new DOMException(message, name)
    : withStack(new Error(message, options), stack);
}

function withStack(error: Error, stack: string | undefined): Error {
  if (stack !== undefined) error.stack = stack;
  return error;
}
