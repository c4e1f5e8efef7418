import { OssicleError } from '../errors.ts';
import type { HttpAnswer } from './http-answer.ts';
import { parseRetryAfter, RequestFailure } from './retry.ts';

/** Statuses after which the same request may succeed. */
const TRANSIENT_STATUSES: readonly number[] = [408, 425, 429, 500, 502, 503, 504];

/** How often a file that was given before is asked for again when the server denies it: a signed address had expired. */
const DENIED_ATTEMPTS = 3;

/**
 * The failure that an HTTP status means.
 *
 * @param address - As people may read it: without query.
 * @param isKnown - Whether the server has given bytes of the file before.
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

/** The size of the whole file that a Content-Range names. */
export function parseTotal({ headers }: HttpAnswer): number | undefined {
  const total = /\/(\d+)$/.exec(headers.get('Content-Range') ?? '')?.[1];
  return total === undefined ? undefined : Number(total);
}

/** The size of the whole file by Content-Length, where the body is not compressed. */
export function parseLength({ headers }: HttpAnswer): number | undefined {
  const length = headers.get('Content-Length');
  return length && !headers.has('Content-Encoding') ? Number(length) : undefined;
}

function nextStep(status: number): string {
  if (status === 401 || status === 403) {
    return 'The source does not exist, is private, or needs its terms accepted first.';
  }
  if (status === 429) return 'Too many requests: wait some minutes, then load again.';
  return status >= 500 ? 'The server has a problem: load again later.' : 'Check the address.';
}
