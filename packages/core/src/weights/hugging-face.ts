import { isOssicleError } from '../errors.ts';
import type { HuggingFaceOptions } from '../types.ts';
import type { ByteSource, FileVersion } from './byte-source.ts';
import { HttpSource } from './http-source.ts';
import { RETRY_POLICY, type RetryPolicy } from './retry.ts';
import { isSha256 } from './sha256.ts';

/** Where repos are read from. */
export const HUGGING_FACE = 'https://huggingface.co';

/** The most that is read of what the site tells about a repo. */
const MAX_INFO_BYTES = 8 * 2 ** 20;

/** A repo of Hugging Face. */
export interface Repo {
  /** `owner/name`. */
  readonly name: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

/** Reads the name of a repo, or the address of its page; `undefined` where it is neither. */
export function parseRepo(source: string): Repo | undefined {
  const match =
    /^([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?$/.exec(source) ??
    /^https:\/\/huggingface\.co\/([\w.-]+\/[\w.-]+)(?:\/(?:tree|resolve)\/([\w.-]+))?\/$/.exec(
      source,
    );
  if (!match?.[1]) return undefined;
  return { name: match[1], revision: match[2] ?? 'main' };
}

/**
 * Reads the files of a repo at one commit. Before the first read it asks the site which commit the revision is, and for
 * the SHA-256 of the large files. Where a mirror does not tell, files are read at the revision itself.
 */
export class HuggingFaceSource implements ByteSource {
  /** `owner/name@revision`: the same for every mirror. */
  readonly id: string;
  readonly #repo: Repo;
  readonly #base: URL;
  readonly #authorization: string | undefined;
  readonly #retry: RetryPolicy;
  #files: Promise<HttpSource> | undefined;
  #opened: HttpSource | undefined;
  #commit: string | undefined;
  #hashes: ReadonlyMap<string, string> = new Map();

  /** @throws TypeError where `baseUrl` is no address. */
  constructor(
    repo: Repo,
    { token, baseUrl = HUGGING_FACE }: HuggingFaceOptions = {},
    retry: RetryPolicy = RETRY_POLICY,
  ) {
    this.#repo = repo;
    this.id = `${repo.name}@${repo.revision}`;
    this.#base = parseBase(baseUrl);
    this.#authorization = token === undefined ? undefined : `Bearer ${token}`;
    this.#retry = retry;
  }

  /** See {@link ByteSource.hasRanges}. */
  get hasRanges(): boolean {
    return this.#opened?.hasRanges ?? true;
  }

  /** See {@link ByteSource.revision}. */
  get revision(): string | undefined {
    return this.#commit ?? this.#opened?.revision;
  }

  /** See {@link ByteSource.size}. */
  async size(path: string, signal?: AbortSignal): Promise<number | undefined> {
    return (await this.#open(signal)).size(path, signal);
  }

  /** See {@link ByteSource.version}. */
  async version(path: string, signal?: AbortSignal): Promise<FileVersion | undefined> {
    const version = await (await this.#open(signal)).version(path, signal);
    const sha256 = this.#hashes.get(path);
    return version && { ...version, ...(sha256 !== undefined && { sha256 }) };
  }

  /** See {@link ByteSource.read}. */
  async read(
    path: string,
    offsetBytes: number,
    into: Uint8Array,
    signal?: AbortSignal,
  ): Promise<void> {
    await (await this.#open(signal)).read(path, offsetBytes, into, signal);
  }

  /** See {@link ByteSource.readAll}. */
  async readAll(
    path: string,
    signal?: AbortSignal,
    maxBytes?: number,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return (await this.#open(signal)).readAll(path, signal, maxBytes);
  }

  /** See {@link ByteSource.stream}. */
  async *stream(
    path: string,
    offsetBytes: number,
    sizeBytes: number,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    yield* (await this.#open(signal)).stream(path, offsetBytes, sizeBytes, signal);
  }

  #open(signal: AbortSignal | undefined): Promise<HttpSource> {
    this.#files ??= this.#pin(signal).catch((error: unknown) => {
      this.#files = undefined; // an abort of this caller is not one of the next
      throw error;
    });
    return this.#files;
  }

  async #pin(signal: AbortSignal | undefined): Promise<HttpSource> {
    const info = await this.#readInfo(signal);
    this.#commit = readCommit(info);
    this.#hashes = readHashes(info);
    const revision = encodeURIComponent(this.#commit ?? this.#repo.revision);
    this.#opened = this.#folder(`${this.#repo.name}/resolve/${revision}/`);
    return this.#opened;
  }

  /** What the site tells about the repo; nothing where it does not answer as Hugging Face does. */
  async #readInfo(signal: AbortSignal | undefined): Promise<unknown> {
    const revision = encodeURIComponent(this.#repo.revision);
    const api = this.#folder(`api/models/${this.#repo.name}/revision/`, '?blobs=true');
    try {
      const bytes = await api.readAll(revision, signal, MAX_INFO_BYTES);
      return bytes && JSON.parse(new TextDecoder().decode(bytes));
    } catch (error) {
      if (signal?.aborted || !(isOssicleError(error) || error instanceof SyntaxError)) throw error;
      return undefined; // what is wrong with the repo is told by the first read of a file
    }
  }

  #folder(path: string, query = ''): HttpSource {
    return new HttpSource(new URL(path + query, this.#base), {
      id: this.id,
      authorization: this.#authorization,
      retry: this.#retry,
    });
  }
}

function parseBase(baseUrl: string): URL {
  const base = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (base?.protocol !== 'https:' && base?.protocol !== 'http:') {
    throw new TypeError(`huggingFace.baseUrl ${JSON.stringify(baseUrl)} is not an http(s) address`);
  }
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return base;
}

function readCommit(info: unknown): string | undefined {
  const { sha } = (info ?? {}) as { sha?: unknown };
  return typeof sha === 'string' && /^[0-9a-f]{40}$/.test(sha) ? sha : undefined;
}

/** The SHA-256 of the files in large file storage. */
function readHashes(info: unknown): ReadonlyMap<string, string> {
  const { siblings } = (info ?? {}) as { siblings?: unknown };
  const hashes = new Map<string, string>();
  for (const file of Array.isArray(siblings) ? siblings : []) {
    const { rfilename, lfs } = (file ?? {}) as { rfilename?: unknown; lfs?: { sha256?: unknown } };
    const sha256 = lfs?.sha256;
    if (typeof rfilename === 'string' && typeof sha256 === 'string' && isSha256(sha256)) {
      hashes.set(rfilename, sha256);
    }
  }
  return hashes;
}
