import { OssicleError } from '../errors.ts';
import type { HttpAnswer } from './http-answer.ts';
import { parseRetryAfter, RequestFailure } from './retry.ts';

/** Statuses after which the same request may succeed. */
const TRANSIENT_STATUSES: readonly number[] = [408, 425, 429, 500, 502, 503, 504];

/** Attempts when the server denies a file that it served before: a signed address had expired. */
const DENIED_ATTEMPTS = 3;

/** Attempts when only requests for ranges fail. */
const REFUSED_RANGE_ATTEMPTS = 3;

/**
 * The failure that an HTTP status stands for.
 *
 * @param address - For people: without the query.
 * @param isKnown - Whether the server has served bytes of the file before.
 */
export function failureOf(answer: HttpAnswer, address: string, isKnown: boolean): RequestFailure {
  const { status } = answer;
  const error = new OssicleError(
    'download-failed',
    `${address} answered HTTP ${status}. ${nextStep(status)}`,
  );
  const isDenied = status === 401 || status === 403;
  if (isDenied) return new RequestFailure(error, isKnown ? DENIED_ATTEMPTS : 1);
  const isTransient = TRANSIENT_STATUSES.includes(status);
  return new RequestFailure(
    error,
    isTransient ? Infinity : 1,
    parseRetryAfter(answer.headers.get('Retry-After'), Date.now()),
  );
}

/** Whether the browser gave no answer, and does not say why. */
export function isRefused(failure: unknown): boolean {
  return failure instanceof RequestFailure && failure.error.cause instanceof TypeError;
}

/** The failure of a request for a range if the browser gives no answer to it, but one to others. */
export function refusedRange(address: string): RequestFailure {
  const error = new OssicleError(
    'download-failed',
    `${address} is there, but the browser accepts no part of it. The server probably sends it compressed ` +
      '(Content-Encoding), or does not allow the header Range: have it send weights as they are.',
  );
  return new RequestFailure(error, REFUSED_RANGE_ATTEMPTS);
}

/** The error for a file that is too large to be read from its start for each of its parts. */
export function withoutRanges(address: string): OssicleError {
  return new OssicleError(
    'download-failed',
    `${address}: the server does not support range requests, which are needed to read parts of a file of that size. ` +
      'Load with the store on, or use another host.',
  );
}

/** The error for a large file whose size could only be counted. */
export function withoutSize(address: string): OssicleError {
  return new OssicleError(
    'download-failed',
    `${address}: the server neither supports range requests nor says how large the file is (Content-Length). Use another ` +
      'host.',
  );
}

/** An address, for messages: without user name, password, query and fragment, which may be secrets. */
export function shownAddress(address: string): string {
  return address.replace(/^([a-z][a-z\d+.-]*:)[/\\]*[^/\\?#]*@/i, '$1//').replace(/[?#].*$/s, '');
}

/** A message of the browser, with its addresses as {@link shownAddress} shows them. */
export function withoutSecrets(message: string): string {
  return message.replace(/\b[a-z][a-z\d+.-]*:\/\/[^\s"'<>]+/gi, shownAddress);
}

/** @throws TypeError if an address has a user name or a password: browsers request none that has. */
export function checkCredentials(what: string, { username, password }: URL): void {
  if (username === '' && password === '') return;
  throw new TypeError(
    `${what} has a user name or a password, and browsers refuse to request such an address. Leave them out.`,
  );
}

function nextStep(status: number): string {
  if (status === 401 || status === 403) {
    return 'The source does not exist, is private, or requires accepting its terms first.';
  }
  if (status === 429) return 'Too many requests: wait a few minutes, then load again.';
  return status >= 500 ? 'The server has a problem: load again later.' : 'Check the address.';
}
