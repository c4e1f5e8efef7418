import { streamPieces } from './stream-pieces.ts';

/** An HTTP answer whose body arrives piece by piece, and fails if it stops arriving. */
export class HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly #body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  readonly #timeout: StallTimeout;

  private constructor(response: Response, timeout: StallTimeout) {
    this.status = response.status;
    this.headers = response.headers;
    this.#body = response.body;
    this.#timeout = timeout;
  }

  /**
   * Makes a request. Bypasses every cache: a cached redirect would lead to an address that has expired.
   *
   * @param stallMs - A connection that brings no byte for this long counts as dead.
   * @throws The errors of `fetch`; DOMException `TimeoutError` for a dead connection.
   */
  static async request(url: URL, init: RequestInit, stallMs: number): Promise<HttpAnswer> {
    const timeout = new StallTimeout(stallMs, init.signal);
    const response = await timeout.await(
      fetch(url, { ...init, cache: 'no-store', signal: timeout.signal }),
    );
    return new HttpAnswer(response, timeout);
  }

  /** The size of the whole file, by Content-Range, or by Content-Length if the body is not compressed. */
  get fileBytes(): number | undefined {
    const { headers, status } = this;
    if (status === 206) {
      const total = /\/(\d+)$/.exec(headers.get('Content-Range') ?? '')?.[1];
      return total === undefined ? undefined : Number(total);
    }
    const length = headers.get('Content-Length');
    return length && !headers.has('Content-Encoding') ? Number(length) : undefined;
  }

  /** The pieces of the body; see {@link streamPieces}. */
  async *pieces(): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    if (this.#body) yield* streamPieces(this.#body, (piece) => this.#timeout.await(piece));
  }

  /** Cancels a body that is not needed. */
  async discard(): Promise<void> {
    await this.#body?.cancel().catch(() => undefined); // a failed body needs no cancelling
  }
}

/** Aborts a request when a single wait takes too long. */
class StallTimeout {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #ms: number;

  constructor(ms: number, signal: AbortSignal | null | undefined) {
    this.#ms = ms;
    this.signal = signal
      ? AbortSignal.any([signal, this.#controller.signal])
      : this.#controller.signal;
  }

  async await<T>(promise: Promise<T>): Promise<T> {
    const timer = setTimeout(() => {
      const message = `no byte arrived for ${this.#ms / 1000} s`;
      this.#controller.abort(new DOMException(message, 'TimeoutError'));
    }, this.#ms);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }
}
