import type { RetryPolicy } from './retry.ts';
import { streamPieces } from './stream-pieces.ts';

/** The range of a whole file, of any size. */
export const WHOLE = 'bytes=0-';

/** What is asked for. */
export interface HttpRequest {
  readonly method?: 'HEAD';
  readonly headers?: { readonly Range?: string; readonly [name: string]: string };
  readonly signal?: AbortSignal;
}

/** An HTTP answer whose body arrives piece by piece, and fails if it stops arriving. */
export class HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly #range: string | undefined;
  /** Whether the body may be compressed without a header that says so: pages see few headers of other origins. */
  readonly #hidesEncoding: boolean;
  readonly #body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  readonly #timeout: StallTimeout;

  private constructor(response: Response, range: string | undefined, timeout: StallTimeout) {
    this.status = response.status;
    this.headers = response.headers;
    this.#range = range;
    this.#hidesEncoding = response.type === 'cors' && range === undefined;
    this.#body = response.body;
    this.#timeout = timeout;
  }

  /**
   * Makes a request. Bypasses every cache: a cached redirect would lead to an address that has expired.
   *
   * @param limits - A connection that brings no byte for `stallMs`, or is too slow for `slowMs`, counts as dead.
   * @throws The errors of `fetch`; DOMException `TimeoutError` for a dead connection.
   */
  static async request(url: URL, init: HttpRequest, limits: SpeedLimits): Promise<HttpAnswer> {
    const timeout = new StallTimeout(limits, init.signal);
    const response = await timeout.await(
      fetch(url, { ...init, cache: 'no-store', signal: timeout.signal }),
    );
    return new HttpAnswer(response, init.headers?.Range, timeout);
  }

  /**
   * The size of the whole file, by Content-Range, or by the Content-Length of a body that is all of it and not
   * compressed. Browsers ask for uncompressed bytes whenever they ask for ranges.
   */
  get fileBytes(): number | undefined {
    const { headers, status } = this;
    const total = /\/(\d+)$/.exec(headers.get('Content-Range') ?? '')?.[1];
    if (status === 206 && (total !== undefined || this.#range !== WHOLE)) return byteCount(total);
    if (headers.has('Content-Encoding') || this.#hidesEncoding) return undefined;
    return byteCount(headers.get('Content-Length'));
  }

  /** The pieces of the body; see {@link streamPieces}. */
  async *pieces(): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    if (!this.#body) return;
    for await (const piece of streamPieces(this.#body, (next) => this.#timeout.await(next))) {
      this.#timeout.count(piece.length);
      yield piece;
    }
  }

  /** Cancels a body that is not needed. */
  async discard(): Promise<void> {
    await this.#body?.cancel().catch(() => undefined); // a failed body needs no cancelling
  }
}

/** The number in a header; `undefined` if it is none that a file can have. */
function byteCount(digits: string | null | undefined): number | undefined {
  if (!digits || !/^\d+$/.test(digits)) return undefined;
  const bytes = Number(digits);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** When a connection counts as dead. */
type SpeedLimits = Pick<RetryPolicy, 'stallMs' | 'slowMs' | 'minBytesPerSecond'>;

/** Aborts a request when a single wait takes too long, or many waits bring too little. */
class StallTimeout {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #limits: SpeedLimits;
  /** The time spent in waits, without that in which the reader is busy, and what it brought. */
  #waitedMs = 0;
  #bytes = 0;

  constructor(limits: SpeedLimits, signal: AbortSignal | null | undefined) {
    this.#limits = limits;
    this.signal = signal
      ? AbortSignal.any([signal, this.#controller.signal])
      : this.#controller.signal;
  }

  async await<T>(promise: Promise<T>): Promise<T> {
    const { stallMs } = this.#limits;
    const startMs = performance.now();
    const timer = setTimeout(() => this.#abort(`no byte arrived for ${stallMs / 1000} s`), stallMs);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waitedMs += performance.now() - startMs;
    }
  }

  /** Counts bytes that have arrived. @throws DOMException `TimeoutError` if they are too few. */
  count(bytes: number): void {
    const { minBytesPerSecond, slowMs } = this.#limits;
    this.#bytes += bytes;
    if (this.#waitedMs < slowMs) return;
    const seconds = this.#waitedMs / 1000;
    if (this.#bytes < minBytesPerSecond * seconds) {
      const message = `only ${this.#bytes} bytes arrived in ${seconds.toFixed()} s`;
      throw this.#abort(message);
    }
    this.#waitedMs = 0;
    this.#bytes = 0;
  }

  #abort(message: string): DOMException {
    const reason = new DOMException(message, 'TimeoutError');
    this.#controller.abort(reason);
    return reason;
  }
}
