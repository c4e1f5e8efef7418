import { messageOf, OssicleError } from '../errors.ts';
import {
  type ByteSource,
  FileChanged,
  type FileVersion,
  isSameVersion,
  MAX_READ_BYTES,
  missing,
  tooLarge,
  truncated,
} from './byte-source.ts';
import { HttpAnswer } from './http-answer.ts';
import { failureOf, parseLength, parseTotal } from './http-failure.ts';
import { RETRY_POLICY, RequestFailure, Retries, type RetryPolicy } from './retry.ts';

/** The most bytes that are received only to be skipped where a server does not know ranges. */
const MAX_SKIPPED_BYTES = 64 * 2 ** 20;

/** Statuses by which hosts say that there is no such file. */
const MISSING_STATUSES: readonly number[] = [404, 410];

/** Settings of {@link HttpSource}. */
export interface HttpSettings {
  /** The identity. Default: the address. */
  readonly id?: string;
  /** The value of an Authorization header; browsers do not send it along to where a redirect leads. */
  readonly authorization?: string | undefined;
  /** Default: {@link RETRY_POLICY}. */
  readonly retry?: RetryPolicy | undefined;
}

/**
 * Reads the files of a folder on a web server by ranged requests. A request that fails for now is made again, each time at
 * the folder's own address, so that redirects to signed addresses are fresh; a stream goes on where it broke.
 */
export class HttpSource implements ByteSource {
  /** See {@link ByteSource.id}. */
  readonly id: string;
  readonly #folder: URL;
  readonly #authorization: string | undefined;
  readonly #retry: RetryPolicy;
  readonly #versions = new Map<string, FileVersion>();
  #hasAnswered = false;
  #hasRanges = true;
  #revision: string | undefined;

  /** @param folder - Ends in a slash; or the address of one file, whose path is then empty. A query is sent with each request, and is no part of the identity. */
  constructor(folder: URL, { id, authorization, retry = RETRY_POLICY }: HttpSettings = {}) {
    this.#folder = folder;
    this.id = id ?? folder.origin + folder.pathname;
    this.#authorization = authorization;
    this.#retry = retry;
  }

  /** See {@link ByteSource.hasRanges}. */
  get hasRanges(): boolean {
    return this.#hasRanges;
  }

  /** See {@link ByteSource.revision}. */
  get revision(): string | undefined {
    return this.#revision;
  }

  /** See {@link ByteSource.size}. */
  async size(path: string, signal?: AbortSignal): Promise<number | undefined> {
    return this.#retried(signal, async () => {
      const answer = await this.#request(path, { headers: { Range: 'bytes=0-0' } }, signal);
      if (!answer) return undefined;
      const told = this.#versions.get(path)?.sizeBytes;
      if (told !== undefined) {
        await answer.discard();
        return told;
      }
      if (answer.status === 206) {
        await answer.discard();
        // Servers that hide Content-Range from other origins still show the length of the whole file.
        const whole = await this.#request(path, { method: 'HEAD' }, signal);
        return whole && parseLength(whole);
      }
      let counted = 0;
      for await (const bytes of this.#pieces(answer, path, signal)) {
        counted += bytes.length;
        if (counted > MAX_SKIPPED_BYTES) throw this.#withoutRanges(path);
      }
      return counted;
    });
  }

  /** See {@link ByteSource.version}. */
  async version(path: string, signal?: AbortSignal): Promise<FileVersion | undefined> {
    if (!this.#versions.has(path)) {
      const sizeBytes = await this.size(path, signal);
      if (sizeBytes === undefined) return undefined;
      if (!this.#versions.has(path)) this.#versions.set(path, { sizeBytes });
    }
    return this.#versions.get(path);
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
    maxBytes: number = MAX_READ_BYTES,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.#retried(signal, async () => {
      const answer = await this.#request(path, {}, signal);
      if (!answer) return undefined;
      const pieces: Uint8Array<ArrayBuffer>[] = [];
      let sizeBytes = 0;
      for await (const bytes of this.#pieces(answer, path, signal)) {
        sizeBytes += bytes.length;
        if (sizeBytes > maxBytes) throw tooLarge(this.#address(path), maxBytes);
        pieces.push(bytes.slice());
      }
      const expected = parseLength(answer) ?? sizeBytes;
      if (sizeBytes < expected) {
        throw new RequestFailure(truncated(this.#address(path), expected, sizeBytes));
      }
      return new Uint8Array(await new Blob(pieces).arrayBuffer());
    });
  }

  /**
   * See {@link ByteSource.stream}. A server that ignores ranges is read from the file's start; where that is also the
   * stream's start, no matter how much has to be received again after a break.
   */
  async *stream(
    path: string,
    offsetBytes: number,
    sizeBytes: number,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    signal?.throwIfAborted();
    const retries = new Retries(this.#retry, signal);
    const maxSkipped = offsetBytes === 0 ? Infinity : MAX_SKIPPED_BYTES;
    let done = 0;
    while (done < sizeBytes) {
      const start = offsetBytes + done;
      try {
        for await (const bytes of this.#range(path, start, sizeBytes - done, maxSkipped, signal)) {
          done += bytes.length;
          retries.reset();
          yield bytes;
        }
        if (done < sizeBytes) {
          throw new RequestFailure(truncated(this.#address(path), sizeBytes, done));
        }
      } catch (failure) {
        await retries.wait(failure, this.#hasAnswered);
      }
    }
  }

  /** What one answer gives of `[start, start + sizeBytes)`; at most that. */
  async *#range(
    path: string,
    start: number,
    sizeBytes: number,
    maxSkipped: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    const range = `bytes=${start}-${start + sizeBytes - 1}`;
    const headers = { Range: range, ...this.#ifUnchanged(path) };
    const answer = await this.#request(path, { headers }, signal);
    if (!answer) throw missing(path, this.id);
    const isWhole = answer.status === 200;
    const contentRange = answer.headers.get('Content-Range');
    const isRight = contentRange === null || contentRange.startsWith(`${range.replace('=', ' ')}/`);
    if (answer.status === 416 || (!isWhole && !isRight)) {
      await answer.discard();
      throw new OssicleError(
        'integrity',
        `${this.#address(path)}: asked for ${range}, the server answered ${contentRange ?? 'that it has no such bytes'}. ` +
          'The file is cut short or has changed: load again.',
      );
    }
    let skip = isWhole ? start : 0;
    if (skip > maxSkipped) {
      await answer.discard();
      throw this.#withoutRanges(path);
    }
    let left = sizeBytes;
    for await (let bytes of this.#pieces(answer, path, signal)) {
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
  }

  /** Asks for the whole file where it is another one. Across origins that would need the server's permission. */
  #ifUnchanged(path: string): Record<string, string> {
    const etag = this.#versions.get(path)?.etag;
    const isHome = this.#folder.origin === globalThis.location?.origin;
    return isHome && etag?.startsWith('"') ? { 'If-Range': etag } : {};
  }

  /** The answer to a GET; `undefined` where there is no such file. */
  async #request(
    path: string,
    init: RequestInit,
    signal: AbortSignal | undefined,
  ): Promise<HttpAnswer | undefined> {
    signal?.throwIfAborted();
    const url = new URL(path.split('/').map(encodeURIComponent).join('/'), this.#folder);
    url.search = this.#folder.search;
    const headers = {
      ...(init.headers as Record<string, string> | undefined),
      ...(this.#authorization !== undefined && { Authorization: this.#authorization }),
    };
    const limits = { stallMs: this.#retry.stallMs, signal };
    let answer: HttpAnswer;
    try {
      answer = await HttpAnswer.request(url, { ...init, headers }, limits);
    } catch (cause) {
      throw this.#unreadable(path, cause, signal);
    }
    const { status } = answer;
    const isOk = status >= 200 && status < 300;
    // Hosts of single-page sites answer for a missing file with a page, and S3 with 403.
    const isPage = isOk && (answer.headers.get('Content-Type') ?? '').startsWith('text/html');
    const isUnknown = this.#hasAnswered && !this.#versions.has(path);
    if (isPage || MISSING_STATUSES.includes(status) || (status === 403 && isUnknown)) {
      await answer.discard();
      return undefined;
    }
    const isRanged = 'Range' in headers;
    if (!isOk && !(status === 416 && isRanged)) {
      await answer.discard();
      throw failureOf(answer, this.#address(path), this.#versions.has(path));
    }
    this.#hasAnswered = true;
    if (isOk) await this.#notice(path, answer, isRanged);
    else if (/^bytes \*\/0$/.test(answer.headers.get('Content-Range') ?? '')) {
      this.#versions.set(path, { sizeBytes: 0 });
    }
    return answer;
  }

  /** Remembers the version that an answer is of. */
  async #notice(path: string, answer: HttpAnswer, isRanged: boolean): Promise<void> {
    const { headers, status } = answer;
    const known = this.#versions.get(path);
    const sizeBytes = status === 206 ? parseTotal(answer) : parseLength(answer);
    const etag = headers.get('ETag');
    const lastModified = headers.get('Last-Modified');
    const sha256 = /^"?([\da-f]{64})"?$/.exec(headers.get('X-Linked-ETag') ?? '')?.[1];
    const version = {
      sizeBytes: sizeBytes ?? known?.sizeBytes ?? -1,
      ...(etag !== null && { etag }),
      ...(lastModified !== null && { lastModified }),
      ...(sha256 !== undefined && { sha256 }),
    };
    const commit = headers.get('X-Repo-Commit') ?? this.#revision;
    if ((known && !isSameVersion(known, version)) || commit !== (this.#revision ?? commit)) {
      await answer.discard();
      this.#versions.delete(path);
      this.#revision = undefined;
      throw new FileChanged(
        path,
        `${this.#address(path)} has changed while it was read. Load again to read all of what is there now.`,
      );
    }
    this.#revision = commit;
    if (isRanged && status === 200 && !headers.has('Content-Encoding')) this.#hasRanges = false;
    if (version.sizeBytes >= 0) this.#versions.set(path, { ...version, ...known });
  }

  async *#pieces(
    answer: HttpAnswer,
    path: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    try {
      yield* answer.pieces();
    } catch (cause) {
      throw this.#unreadable(path, cause, signal);
    }
  }

  async #retried<T>(signal: AbortSignal | undefined, attempt: () => Promise<T>): Promise<T> {
    const retries = new Retries(this.#retry, signal);
    for (;;) {
      try {
        return await attempt();
      } catch (failure) {
        await retries.wait(failure, this.#hasAnswered);
      }
    }
  }

  #address(path: string): string {
    return `${this.#folder.origin}${this.#folder.pathname}${path}`;
  }

  #unreadable(path: string, cause: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return signal.reason;
    return new RequestFailure(
      new OssicleError(
        'download-failed',
        `${this.#address(path)} could not be read (${messageOf(cause)}). Check the connection, and that the server ` +
          "allows this page's origin (CORS); then load again.",
        { cause },
      ),
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
