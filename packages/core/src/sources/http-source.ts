import { messageOf, OssicleError } from '../errors.ts';
import { type FilePosition, type FileRange, MissingFile, truncated } from './byte-source.ts';
import { HttpAnswer, type HttpRequest, WHOLE } from './http-answer.ts';
import {
  failureOf,
  isRefused,
  refusedRange,
  withoutRanges,
  withoutSecrets,
  withoutSize,
} from './http-failure.ts';
import {
  BrokenStream,
  FileChanged,
  type FileVersion,
  isSameVersion,
  type PublishedSource,
} from './published-source.ts';
import { RETRY_POLICY, RequestFailure, Retries, type RetryPolicy } from './retry.ts';

/** The most bytes that are received only to be skipped if a server ignores ranges. */
const MAX_SKIPPED_BYTES = 64 * 2 ** 20;

/** Statuses by which hosts say that there is no such file. */
const MISSING_STATUSES: readonly number[] = [404, 410];

/** Settings of {@link HttpSource}. */
export interface HttpSettings {
  /** The identity. Default: the address. */
  readonly id?: string;
  /** The value of an Authorization header. Browsers drop it when a redirect leads to another origin. */
  readonly authorization?: string | undefined;
  /** Default: {@link RETRY_POLICY}. */
  readonly retry?: RetryPolicy | undefined;
}

/**
 * Reads the files of a folder on a web server by ranged requests. A request that fails temporarily is repeated, each
 * time at the folder's own address, so that redirects to signed addresses are fresh. A stream resumes where it broke.
 */
export class HttpSource implements PublishedSource {
  readonly id: string;
  readonly #folder: URL;
  readonly #authorization: string | undefined;
  readonly #retry: RetryPolicy;
  readonly #versions = new Map<string, FileVersion>();
  /** Files that the server sends compressed, asked or not: they have no ranges. */
  readonly #compressed = new Set<string>();
  #hasAnswered = false;
  #hasRanges = true;
  /**
   * Whether files of an extension are cut to ranges, with status 200 and without a length, as Chrome does; `undefined`
   * until it is known.
   */
  #isSliced: boolean | undefined;
  #revision: string | undefined;

  /**
   * @param folder - Ends in a slash; or the address of one file, whose path is then empty. Its query goes with each
   * request, and is not part of the identity.
   */
  constructor(folder: URL, { id, authorization, retry = RETRY_POLICY }: HttpSettings = {}) {
    this.#folder = folder;
    this.id = id ?? addressOf(folder);
    this.#authorization = authorization;
    this.#retry = retry;
  }

  get hasRanges(): boolean {
    return this.#hasRanges;
  }

  get revision(): string | undefined {
    return this.#revision;
  }

  /** Web servers do not list folders. */
  async list(): Promise<readonly string[]> {
    return [];
  }

  async size(path: string, signal?: AbortSignal): Promise<number | undefined> {
    const retries = new Retries(this.#retry, signal);
    for (;;) {
      try {
        return await this.#requestSize(path, signal);
      } catch (failure) {
        await retries.wait(failure, this.#hasAnswered);
      }
    }
  }

  async version(path: string, signal?: AbortSignal): Promise<FileVersion | undefined> {
    if (!this.#versions.has(path)) {
      const sizeBytes = await this.size(path, signal);
      if (sizeBytes === undefined) return undefined;
      if (!this.#versions.has(path)) this.#versions.set(path, { sizeBytes });
    }
    return this.#versions.get(path);
  }

  async read(from: FilePosition, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    let filled = 0;
    for await (const bytes of this.stream({ ...from, sizeBytes: into.length }, signal)) {
      into.set(bytes, filled);
      filled += bytes.length;
    }
  }

  /**
   * Without range support, a stream from byte 0 restarts from the beginning after a break; others give up beyond
   * 64 MiB.
   */
  async *stream(
    range: FileRange,
    signal?: AbortSignal,
    isUnbroken = false,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    signal?.throwIfAborted();
    const { path, offsetBytes, sizeBytes } = range;
    const retries = new Retries(this.#retry, signal);
    const maxSkipped = offsetBytes === 0 ? Infinity : MAX_SKIPPED_BYTES;
    let start = offsetBytes;
    const end = offsetBytes + sizeBytes;
    while (start < end) {
      try {
        for await (const bytes of this.#range(path, { start, end, maxSkipped }, signal)) {
          start += bytes.length;
          retries.received(bytes.length);
          yield bytes;
        }
        return;
      } catch (failure) {
        if (isUnbroken && start > offsetBytes && failure instanceof RequestFailure) {
          throw new BrokenStream(
            path,
            `${failure.error.message} The server names no version of the file (ETag, Last-Modified), so that it cannot be ` +
              'continued.',
          );
        }
        await retries.wait(failure, this.#hasAnswered);
      }
    }
  }

  /** Whether the folder is in an extension, such as `chrome-extension://…`, and not on a web server. */
  get #isPackaged(): boolean {
    return !/^https?:$/.test(this.#folder.protocol);
  }

  async #requestSize(path: string, signal: AbortSignal | undefined): Promise<number | undefined> {
    if (this.#isPackaged) return this.#measure(path, signal);
    const answer = await this.#requestByte(path, signal);
    if (!answer) return undefined;
    const known = this.#versions.get(path)?.sizeBytes;
    if (answer.status === 206) {
      await this.#count(answer, path, signal); // to its end: browsers show answers that are cancelled as failed
      if (known !== undefined) return known;
      // Servers that hide Content-Range from other origins still show the length of the whole file.
      const init = { method: 'HEAD', headers: { Range: WHOLE } } as const;
      return (await this.#request(path, init, signal))?.fileBytes;
    }
    if (known === undefined) return this.#count(answer, path, signal);
    await answer.discard();
    return known;
  }

  /** Requests the first byte of a file, or all of it if the browser refuses that. */
  async #requestByte(
    path: string,
    signal: AbortSignal | undefined,
  ): Promise<HttpAnswer | undefined> {
    if (this.#compressed.has(path)) return this.#request(path, {}, signal);
    try {
      return await this.#request(path, { headers: { Range: 'bytes=0-0' } }, signal);
    } catch (failure) {
      // Browsers accept no compressed answer to a request for a range, nor do they tell it from other failures.
      if (!isRefused(failure)) throw failure;
      if (!path.endsWith('.json')) throw (await this.#refusal(path, signal)) ?? failure;
      const whole = await this.#request(path, {}, signal);
      this.#compressed.add(path);
      return whole;
    }
  }

  /** The failure to report if only the request for a range was refused; `undefined` if others are, too. */
  async #refusal(
    path: string,
    signal: AbortSignal | undefined,
  ): Promise<RequestFailure | undefined> {
    const whole = await this.#request(path, { method: 'HEAD' }, signal).catch(() => undefined);
    signal?.throwIfAborted();
    if (!whole) return undefined;
    return refusedRange(this.#address(path));
  }

  /** Counts the bytes of an answer. */
  async #count(answer: HttpAnswer, path: string, signal: AbortSignal | undefined): Promise<number> {
    let counted = 0;
    for await (const bytes of this.#pieces(answer, path, signal)) {
      counted += bytes.length;
      if (counted > MAX_SKIPPED_BYTES) throw withoutSize(this.#address(path));
    }
    return counted;
  }

  /** Measures a file of an extension by reading it, and finds out how ranges of such files are answered. */
  async #measure(path: string, signal: AbortSignal | undefined): Promise<number | undefined> {
    let sizeBytes = this.#versions.get(path)?.sizeBytes;
    if (sizeBytes === undefined) {
      const whole = await this.#request(path, {}, signal);
      if (!whole) return undefined;
      sizeBytes = 0;
      for await (const bytes of this.#pieces(whole, path, signal)) sizeBytes += bytes.length;
      this.#versions.set(path, { ...this.#versions.get(path), sizeBytes });
    }
    if (this.#isSliced !== undefined || sizeBytes < 2) return sizeBytes;
    const first = await this.#request(path, { headers: { Range: 'bytes=0-0' } }, signal);
    let counted = 0;
    for await (const bytes of first ? this.#pieces(first, path, signal) : []) {
      counted += bytes.length;
      if (counted > 1) break;
    }
    this.#isSliced = counted === 1;
    this.#hasRanges = this.#isSliced;
    return sizeBytes;
  }

  /** The bytes `[start, end)` by one request: for an `end` of Infinity, by one without a range. */
  async *#range(
    path: string,
    { start, end, maxSkipped }: { start: number; end: number; maxSkipped: number },
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    const isAll = end === Infinity || this.#compressed.has(path);
    const range = isAll ? undefined : `bytes=${start}-${end - 1}`;
    const headers = range === undefined ? {} : { Range: range, ...this.#ifUnchanged(path) };
    if (range !== undefined && this.#isPackaged) {
      const sizeBytes = (await this.#measure(path, signal)) ?? Infinity;
      if (end > sizeBytes) throw truncated(this.#address(path), end, sizeBytes);
    }
    const answer = await this.#request(path, { headers }, signal);
    if (!answer) throw new MissingFile(path, this.id);
    const isWhole = range === undefined || (answer.status === 200 && !this.#isSliced);
    if (!isWhole) await this.#checkRange(path, range, answer);
    let skip = isWhole ? start : 0;
    if (skip > maxSkipped) {
      await answer.discard();
      throw withoutRanges(this.#address(path));
    }
    let at = start;
    for await (let bytes of this.#pieces(answer, path, signal)) {
      const skipped = Math.min(skip, bytes.length);
      skip -= skipped;
      if (isWhole) bytes = bytes.subarray(skipped, skipped + end - at);
      at += bytes.length;
      if (at > end) {
        throw new OssicleError(
          'integrity',
          `${this.#address(path)}: the server sent more than the ${end - start} bytes requested. Load again.`,
        );
      }
      if (bytes.length > 0) yield bytes;
      if (isWhole && at === end) return;
    }
    const expected = end === Infinity ? (answer.fileBytes ?? at) : end;
    if (at < expected) throw new RequestFailure(truncated(this.#address(path), expected, at));
  }

  async #checkRange(path: string, range: string, answer: HttpAnswer): Promise<void> {
    const contentRange = answer.headers.get('Content-Range');
    const isRight = contentRange === null || contentRange.startsWith(`${range.replace('=', ' ')}/`);
    if (answer.status !== 416 && isRight) return;
    await answer.discard();
    throw new OssicleError(
      'integrity',
      `${this.#address(path)}: requested ${range}, and the server answered ${contentRange ?? 'that it has no such bytes'}. ` +
        'The file is cut short or has changed: load again.',
    );
  }

  /**
   * Requests the whole file instead if it has changed. Sent to the page's own origin only: others would have to allow
   * the header.
   */
  #ifUnchanged(path: string): Record<string, string> {
    const etag = this.#versions.get(path)?.etag;
    const isHome = this.#folder.origin === globalThis.location?.origin;
    return isHome && etag?.startsWith('"') ? { 'If-Range': etag } : {};
  }

  /** Makes a request; `undefined` if there is no such file. */
  async #request(
    path: string,
    init: HttpRequest,
    signal: AbortSignal | undefined,
  ): Promise<HttpAnswer | undefined> {
    signal?.throwIfAborted();
    const url = new URL(path.split('/').map(encodeURIComponent).join('/'), this.#folder);
    url.search = this.#folder.search;
    const headers = {
      ...init.headers,
      ...(this.#authorization !== undefined && { Authorization: this.#authorization }),
    };
    let answer: HttpAnswer;
    try {
      const all = { ...init, headers, ...(signal && { signal }) };
      answer = await HttpAnswer.request(url, all, this.#retry);
    } catch (cause) {
      // Extensions have no status for a missing file.
      if (this.#isPackaged && cause instanceof TypeError && !signal?.aborted) return undefined;
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
    const isRanged = ![undefined, WHOLE].includes(init.headers?.Range);
    if (!isOk && !(status === 416 && isRanged)) {
      await answer.discard();
      throw failureOf(answer, this.#address(path), this.#versions.has(path));
    }
    this.#hasAnswered = true;
    if (isOk) await this.#noteVersion(path, answer, isRanged);
    else if (/^bytes \*\/0$/.test(answer.headers.get('Content-Range') ?? '')) {
      this.#versions.set(path, { sizeBytes: 0 });
    }
    return answer;
  }

  /** Remembers the version of a file that an answer shows. @throws {@link FileChanged} if it is not the known one. */
  async #noteVersion(path: string, answer: HttpAnswer, isRanged: boolean): Promise<void> {
    const { headers, status } = answer;
    const known = this.#versions.get(path);
    const etag = headers.get('ETag');
    const lastModified = headers.get('Last-Modified');
    const sha256 = /^"?([\da-f]{64})"?$/.exec(headers.get('X-Linked-ETag') ?? '')?.[1];
    const version = {
      sizeBytes:
        (isRanged && this.#isPackaged ? undefined : answer.fileBytes) ?? known?.sizeBytes ?? -1,
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
        `${this.#address(path)} has changed while it was being read. Load again to read the new version from its start.`,
      );
    }
    this.#revision = commit;
    if (isRanged && status === 200 && !headers.has('Content-Encoding') && !this.#isPackaged) {
      this.#hasRanges = false;
    }
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

  #address(path: string): string {
    return addressOf(this.#folder) + path;
  }

  #unreadable(path: string, cause: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return signal.reason;
    return new RequestFailure(
      new OssicleError(
        'download-failed',
        `${this.#address(path)} could not be read (${withoutSecrets(messageOf(cause))}). Check the connection, and that the server ` +
          "allows this page's origin (CORS); then load again.",
        { cause },
      ),
    );
  }
}

/** An address without user, query and fragment. Some browsers give the pages of extensions no origin. */
export function addressOf({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}
