import type { OssicleError } from '../errors.ts';

/** How patient reads from the network are. */
export interface RetryPolicy {
  /**
   * How many times in a row a request may fail before it is given up. Failures with a second's worth of bytes of
   * `minBytesPerSecond` in between are not in a row; for dead connections, those of `slowMs`.
   */
  readonly attempts: number;
  /** The same for a source that has never answered: its address may be wrong. */
  readonly firstAttempts: number;
  /** The longest wait before the second attempt; it doubles with each further one. */
  readonly firstDelayMs: number;
  /** The longest wait, unless a server asks for more. */
  readonly maxDelayMs: number;
  /** The longest wait that a server may ask for. */
  readonly maxRetryAfterMs: number;
  /** A connection that brings no byte for this long counts as dead. */
  readonly stallMs: number;
  /** A connection that brings fewer bytes per second than this, over `slowMs`, counts as dead, too. */
  readonly minBytesPerSecond: number;
  /** How long a connection may be slower than `minBytesPerSecond`. */
  readonly slowMs: number;
}

/** Rides out about a minute and a half without a network. */
export const RETRY_POLICY: RetryPolicy = {
  attempts: 8,
  firstAttempts: 3,
  firstDelayMs: 500,
  maxDelayMs: 30_000,
  maxRetryAfterMs: 300_000,
  stallMs: 30_000,
  minBytesPerSecond: 1000,
  slowMs: 60_000,
};

/** A request that failed. Callers of a source get {@link RequestFailure.error} once no further attempt is made. */
export class RequestFailure extends Error {
  readonly error: OssicleError;
  /** The most attempts that make sense: 1 if the answer would be the same. */
  readonly maxAttempts: number;
  /** The wait that the server asked for. */
  readonly retryAfterMs: number | undefined;
  /** Whether the connection was given up because too little arrived. */
  readonly isTimeout: boolean;

  /** @param maxAttempts - Default: as many as the policy allows. */
  constructor(error: OssicleError, maxAttempts: number = Infinity, retryAfterMs?: number) {
    super(error.message, { cause: error });
    this.error = error;
    this.maxAttempts = maxAttempts;
    this.retryAfterMs = retryAfterMs;
    this.isTimeout = error.cause instanceof DOMException && error.cause.name === 'TimeoutError';
  }
}

/** Counts consecutive failures of a request, and waits between its attempts: exponential backoff with jitter. */
export class Retries {
  readonly #policy: RetryPolicy;
  readonly #signal: AbortSignal | undefined;
  #failures = 0;
  /** Bytes received since the last failure. */
  #bytes = 0;

  constructor(policy: RetryPolicy, signal: AbortSignal | undefined) {
    this.#policy = policy;
    this.#signal = signal;
  }

  /** Notes that bytes have arrived: if they are enough, the next failure is counted as the first. */
  received(bytes: number): void {
    this.#bytes += bytes;
  }

  /**
   * Waits until the next attempt is due.
   *
   * @param hasAnswered - Whether the source has ever answered.
   * @throws `failure` itself, unless it is a {@link RequestFailure}; its {@link RequestFailure.error} if no further
   * attempt makes sense; `signal.reason` if the wait is aborted.
   */
  async wait(failure: unknown, hasAnswered: boolean): Promise<void> {
    if (this.#signal?.aborted) throw this.#signal.reason;
    if (!(failure instanceof RequestFailure)) throw failure;
    const { attempts, firstAttempts, firstDelayMs, maxDelayMs, maxRetryAfterMs } = this.#policy;
    const { error, maxAttempts, retryAfterMs = 0 } = failure;
    const { minBytesPerSecond, slowMs } = this.#policy;
    // A source that drips would otherwise go on forever.
    const enough =
      Math.max(1, minBytesPerSecond) * (failure.isTimeout ? Math.max(1, slowMs / 1000) : 1);
    this.#failures = this.#bytes >= enough ? 1 : this.#failures + 1;
    this.#bytes = 0;
    const allowed = Math.min(maxAttempts, hasAnswered ? attempts : firstAttempts);
    if (this.#failures >= allowed || retryAfterMs > maxRetryAfterMs) throw error;
    const longest = Math.min(maxDelayMs, firstDelayMs * 2 ** (this.#failures - 1));
    // Half of the wait is random, so that clients that failed together do not return together.
    await sleep(Math.max(retryAfterMs, longest * (0.5 + Math.random() / 2)), this.#signal);
  }
}

/** Parses a Retry-After header, in seconds or as a date, into milliseconds. */
export function parseRetryAfter(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - nowMs;
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
