import * as Comlink from 'comlink';
import { beforeAll, describe, expect, test } from 'vitest';
import { isOssicleError, OssicleError } from '../errors.ts';
import { installErrorTransfer, restoreError } from './error-transfer.ts';

/** Sends a thrown value to the page as Comlink does: written by the worker's handler, read by the page's own one. */
let send: (value: unknown) => unknown;

beforeAll(() => {
  const page = Comlink.transferHandlers.get('throw')!;
  installErrorTransfer();
  const worker = Comlink.transferHandlers.get('throw')!;
  send = (value) => {
    const [wire] = worker.serialize({ value });
    try {
      page.deserialize(structuredClone(wire));
    } catch (received) {
      return restoreError(received);
    }
    throw new Error('nothing was thrown');
  };
});

describe('an error that crosses from the worker', () => {
  test('keeps the code, message and stack of an OssicleError', () => {
    const error = new OssicleError('out-of-memory', 'The GPU has no room for keys.0 (16 MiB).');
    const received = send(error);
    expect(isOssicleError(received)).toBe(true);
    expect(received).not.toBe(error);
    expect(received).toMatchObject({
      code: 'out-of-memory',
      message: error.message,
      name: error.name,
      stack: error.stack,
    });
  });

  test.each([TypeError, RangeError, SyntaxError])('keeps its class: %o', (Class) => {
    const received = send(new Class('topP must be above 0'));
    expect(received).toBeInstanceOf(Class);
    expect(received).toMatchObject({ name: Class.name, message: 'topP must be above 0' });
    expect(isOssicleError(received)).toBe(false);
  });

  test('is still an AbortError', () => {
    const received = send(new DOMException('The load was aborted.', 'AbortError'));
    expect(received).toBeInstanceOf(DOMException);
    expect(received).toMatchObject({ name: 'AbortError', message: 'The load was aborted.' });
  });

  test('keeps its causes, each with its class', () => {
    const quota = new DOMException('no room', 'QuotaExceededError');
    const write = new TypeError('could not write', { cause: quota });
    const received = send(new OssicleError('storage-full', 'The disk is full.', { cause: write }));
    const { cause } = received as Error;
    expect(cause).toBeInstanceOf(TypeError);
    expect((cause as Error).cause).toBeInstanceOf(DOMException);
    expect((cause as Error).cause).toMatchObject({ name: 'QuotaExceededError' });
  });

  test('may be its own cause, or have any number of them', () => {
    const own = new RangeError('own');
    own.cause = own;
    expect(send(own)).toMatchObject({ message: 'own', cause: { message: 'own' } });
    let deep = new Error('first');
    for (let i = 0; i < 50_000; i++) deep = new Error(`${i}`, { cause: deep });
    expect(send(deep)).toMatchObject({ message: '49999', cause: { message: '49998' } });
  });

  test('is an Error if the page does not know its class', () => {
    class Unknown extends Error {
      override readonly name = 'Unknown';
      readonly secret = () => 'cannot be cloned';
    }
    const received = send(new Unknown('what is this'));
    expect(received).toBeInstanceOf(Error);
    expect((received as Error).message).toBe('what is this');
  });
});

test.each(['a reason', 7, undefined, { reason: 'enough' }])(
  'a thrown value that is not an Error stays as it is: %o',
  (value) => expect(send(value)).toEqual(value),
);

test('errors of the page stay as they are', () => {
  const error = new RangeError('of the page');
  expect(restoreError(error)).toBe(error);
});
