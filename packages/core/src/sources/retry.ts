import type { OssicleError } from '../errors.ts';

/** How patient reads from the network are. */
export interface RetryPolicy {
  /** How often a request fails in a row, without a byte in between, before it is given up. */
  readonly attempts: number;
  /** The same for a source that has never answered: its address may be wrong. */
  readonly firstAttempts: number;
  /** The longest wait before the second attempt; each further one may take twice as long. */
  readonly firstDelayMs: number;
  /** The longest wait that this library chooses. */
  readonly maxDelayMs: number;
  /** The longest wait that a server may ask for. */
  readonly maxRetryAfterMs: number;
  /** After this long without a byte, a connection is taken to be dead. */
  readonly stallMs: number;
}

/** Rides out about a minute and a half without a network. */
export const RETRY_POLICY: RetryPolicy = {
  attempts: 8,
  firstAttempts: 3,
  firstDelayMs: 500,
  maxDelayMs: 30_000,
  maxRetryAfterMs: 300_000,
  stallMs: 30_000,
};

/** A request that failed. The error is what callers of a source are told when no further attempt is made. */
export class RequestFailure extends Error {
  /** What to tell. */
  readonly error: OssicleError;
  /** The most attempts that make sense: 1 where the same answer would come again. */
  readonly maxAttempts: number;
  /** How long the server asked to wait. */
  readonly retryAfterMs: number | undefined;

  /** @param maxAttempts - Default: as many as the policy allows. */
  constructor(error: OssicleError, maxAttempts: number = Infinity, retryAfterMs?: number) {
    super(error.message, { cause: error });
    this.error = error;
    this.maxAttempts = maxAttempts;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Counts the failures of one request in a row, and waits between its attempts: exponentially longer, with jitter. */
export class Retries {
  readonly #policy: RetryPolicy;
  readonly #signal: AbortSignal | undefined;
  #failures = 0;

  /** @param signal - Ends a wait. */
  constructor(policy: RetryPolicy, signal: AbortSignal | undefined) {
    this.#policy = policy;
    this.#signal = signal;
  }

  /** Bytes have come: the next failure is a first one. */
  reset(): void {
    this.#failures = 0;
  }

  /**
   * Waits until the next attempt is due.
   *
   * @param hasAnswered - Whether the source has ever answered.
   * @throws What is no {@link RequestFailure}, as it is. {@link RequestFailure.error} where no further attempt makes
   * sense. `signal.reason` where the wait is aborted.
   */
  async wait(failure: unknown, hasAnswered: boolean): Promise<void> {
    if (this.#signal?.aborted) throw this.#signal.reason;
    if (!(failure instanceof RequestFailure)) throw failure;
    const { attempts, firstAttempts, firstDelayMs, maxDelayMs, maxRetryAfterMs } = this.#policy;
    const { error, maxAttempts, retryAfterMs = 0 } = failure;
    this.#failures++;
    const allowed = Math.min(maxAttempts, hasAnswered ? attempts : firstAttempts);
    if (this.#failures >= allowed || retryAfterMs > maxRetryAfterMs) throw error;
    const longest = Math.min(maxDelayMs, firstDelayMs * 2 ** (this.#failures - 1));
    // Half of it is random, so that clients that failed together do not come back together.
    await sleep(Math.max(retryAfterMs, longest * (0.5 + Math.random() / 2)), this.#signal);
  }
}

/** Reads a Retry-After header: seconds, or a date. */
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
