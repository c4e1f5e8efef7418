import { isOssicleError, OssicleError } from '../errors.ts';
import { type ByteSource, missing, tooLarge, truncated } from './byte-source.ts';

/** The most bytes that are received only to be skipped where a server does not know ranges. */
const MAX_SKIPPED_BYTES = 64 * 2 ** 20;

/** Statuses by which hosts say that there is no such file. */
const MISSING_STATUSES: readonly number[] = [404, 410];

/** Reads the files of a folder on a web server by ranged requests. */
export class HttpSource implements ByteSource {
  /** See {@link ByteSource.id}. */
  readonly id: string;
  readonly #folder: URL;
  #hasAnswered = false;

  /**
   * @param folder - Ends in a slash. A query is sent with each request, and is no part of the identity.
   * @param id - Default: the address.
   */
  constructor(folder: URL, id: string = folder.origin + folder.pathname) {
    this.#folder = folder;
    this.id = id;
  }

  /** See {@link ByteSource.size}. */
  async size(path: string, signal?: AbortSignal): Promise<number | undefined> {
    const response = await this.#request(path, { headers: { Range: 'bytes=0-0' } }, signal);
    if (!response) return undefined;
    const ranged = parseTotal(response);
    if (ranged !== undefined || response.status !== 200) {
      await cancel(response);
      // Servers that hide Content-Range from other origins still show the length of the whole file.
      return ranged ?? parseLength(await this.#request(path, { method: 'HEAD' }, signal));
    }
    const length = parseLength(response);
    if (length !== undefined) {
      await cancel(response);
      return length;
    }
    let counted = 0;
    for await (const bytes of this.#body(response, path, signal)) {
      counted += bytes.length;
      if (counted > MAX_SKIPPED_BYTES) throw this.#withoutRanges(path);
    }
    return counted;
  }

  /** See {@link ByteSource.read}. */
  async read(
    path: string,
    offsetBytes: number,
    into: Uint8Array,
    signal?: AbortSignal,
  ): Promise<void> {
    let filled = 0;
    for await (const bytes of this.stream(path, offsetBytes, into.length, signal)) {
      into.set(bytes, filled);
      filled += bytes.length;
    }
  }

  /** See {@link ByteSource.readAll}. */
  async readAll(
    path: string,
    signal?: AbortSignal,
    maxBytes: number = 64 * 2 ** 20,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const response = await this.#request(path, {}, signal);
    if (!response) return undefined;
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    let sizeBytes = 0;
    for await (const bytes of this.#body(response, path, signal)) {
      sizeBytes += bytes.length;
      if (sizeBytes > maxBytes) throw tooLarge(this.#address(path), maxBytes);
      pieces.push(bytes);
    }
    return new Uint8Array(await new Blob(pieces).arrayBuffer());
  }

  /** See {@link ByteSource.stream}. A server that ignores ranges is read from the file's start. */
  async *stream(
    path: string,
    offsetBytes: number,
    sizeBytes: number,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    signal?.throwIfAborted();
    if (sizeBytes === 0) return;
    const range = `bytes=${offsetBytes}-${offsetBytes + sizeBytes - 1}`;
    const response = await this.#request(path, { headers: { Range: range } }, signal);
    if (!response) throw missing(path, this.id);
    const isWhole = response.status === 200;
    const contentRange = response.headers.get('Content-Range');
    const isRight = contentRange === null || contentRange.startsWith(`${range.replace('=', ' ')}/`);
    if (response.status === 416 || (!isWhole && !isRight)) {
      await cancel(response);
      throw new OssicleError(
        'integrity',
        `${this.#address(path)}: asked for ${range}, the server answered ${contentRange ?? 'that it has no such bytes'}. ` +
          'The file is cut short or has changed: load again.',
      );
    }
    let skip = isWhole ? offsetBytes : 0;
    if (skip > MAX_SKIPPED_BYTES) {
      await cancel(response);
      throw this.#withoutRanges(path);
    }
    let left = sizeBytes;
    for await (let bytes of this.#body(response, path, signal)) {
      const skipped = Math.min(skip, bytes.length);
      skip -= skipped;
      if (isWhole) bytes = bytes.subarray(skipped, skipped + left);
      left -= bytes.length;
      if (left < 0) {
        throw new OssicleError(
          'integrity',
          `${this.#address(path)}: the server sent more than the ${sizeBytes} bytes asked for. Load again.`,
        );
      }
      if (bytes.length > 0) yield bytes;
      if (isWhole && left === 0) return;
    }
    if (left > 0) throw truncated(this.#address(path), sizeBytes, sizeBytes - left);
  }

  /** The answer to a GET; `undefined` where there is no such file. */
  async #request(
    path: string,
    init: RequestInit,
    signal: AbortSignal | undefined,
  ): Promise<Response | undefined> {
    signal?.throwIfAborted();
    const url = new URL(path.split('/').map(encodeURIComponent).join('/'), this.#folder);
    url.search = this.#folder.search;
    let response: Response;
    try {
      response = await fetch(url, { ...init, cache: 'no-store', ...(signal && { signal }) });
    } catch (cause) {
      throw this.#unreadable(path, cause, signal);
    }
    const { ok, status } = response;
    // Hosts of single-page sites answer for a missing file with a page, and S3 with 403.
    const isPage = ok && (response.headers.get('Content-Type') ?? '').startsWith('text/html');
    const isMissing = MISSING_STATUSES.includes(status) || (status === 403 && this.#hasAnswered);
    if (isPage || isMissing) {
      await cancel(response);
      return undefined;
    }
    if (!ok && !(status === 416 && 'headers' in init)) {
      await cancel(response);
      throw new OssicleError(
        'download-failed',
        `${this.#address(path)} answered HTTP ${status}. ${nextStep(status)}`,
      );
    }
    this.#hasAnswered = true;
    return response;
  }

  async *#body(
    response: Response,
    path: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    if (!response.body) return;
    try {
      for await (const bytes of response.body) yield bytes;
    } catch (cause) {
      throw this.#unreadable(path, cause, signal);
    }
  }

  #address(path: string): string {
    return `${this.#folder.origin}${this.#folder.pathname}${path}`;
  }

  #unreadable(path: string, cause: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return signal.reason;
    if (isOssicleError(cause)) return cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new OssicleError(
      'download-failed',
      `${this.#address(path)} could not be read (${reason}). Check the connection, and that the server ` +
        "allows this page's origin (CORS); then load again.",
      { cause },
    );
  }

  #withoutRanges(path: string): OssicleError {
    return new OssicleError(
      'download-failed',
      `${this.#address(path)}: the server does not answer range requests, which reading a file of that size ` +
        'in parts needs. Load with the store on, or use another host.',
    );
  }
}

function nextStep(status: number): string {
  if (status === 401 || status === 403) {
    return 'The source does not exist, is private, or needs its terms accepted first.';
  }
  if (status === 429) return 'Too many requests: wait some minutes, then load again.';
  return status >= 500 ? 'The server has a problem: load again later.' : 'Check the address.';
}

/** The size of the whole file that a Content-Range names. */
function parseTotal(response: Response): number | undefined {
  const total = /\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '')?.[1];
  return total === undefined ? undefined : Number(total);
}

/** The size of the whole file by Content-Length, where the body is not compressed. */
function parseLength(response: Response | undefined): number | undefined {
  const length = response?.headers.get('Content-Length');
  return length && !response?.headers.has('Content-Encoding') ? Number(length) : undefined;
}

async function cancel(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined); // a body that has failed has nothing to cancel
}
