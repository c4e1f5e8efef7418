import { streamPieces } from './stream-pieces.ts';

/** What a request is made with. */
export interface RequestLimits {
  /** After this long without a byte, the connection is taken to be dead. */
  readonly stallMs: number;
  /** Ends the request and its answer. */
  readonly signal: AbortSignal | undefined;
}

/** An answer over HTTP whose body comes piece by piece, and fails when it stops coming. */
export class HttpAnswer {
  /** The HTTP status. */
  readonly status: number;
  /** Those that the server shows to this origin. */
  readonly headers: Headers;
  readonly #body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  readonly #patience: Patience;

  private constructor(response: Response, patience: Patience) {
    this.status = response.status;
    this.headers = response.headers;
    this.#body = response.body;
    this.#patience = patience;
  }

  /**
   * Makes a request, past every cache: a redirect that was kept would lead to an address that has expired.
   *
   * @throws What `fetch` throws; DOMException `TimeoutError` where nothing comes.
   */
  static async request(
    url: URL,
    init: RequestInit,
    { stallMs, signal }: RequestLimits,
  ): Promise<HttpAnswer> {
    const patience = new Patience(stallMs, signal);
    const response = await patience.await(
      fetch(url, { ...init, cache: 'no-store', signal: patience.signal }),
    );
    return new HttpAnswer(response, patience);
  }

  /** The pieces of the body; see {@link streamPieces}. */
  async *pieces(): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    if (this.#body) yield* streamPieces(this.#body, (piece) => this.#patience.await(piece));
  }

  /** Lets go of a body that is not wanted. */
  async discard(): Promise<void> {
    await this.#body?.cancel().catch(() => undefined); // a body that has failed has nothing to cancel
  }
}

/** Aborts what is waited for too long. */
class Patience {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #ms: number;

  constructor(ms: number, signal: AbortSignal | undefined) {
    this.#ms = ms;
    this.signal = signal
      ? AbortSignal.any([signal, this.#controller.signal])
      : this.#controller.signal;
  }

  async await<T>(promise: Promise<T>): Promise<T> {
    const timer = setTimeout(() => {
      const seconds = this.#ms / 1000;
      this.#controller.abort(new DOMException(`no byte came for ${seconds} s`, 'TimeoutError'));
    }, this.#ms);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }
}
