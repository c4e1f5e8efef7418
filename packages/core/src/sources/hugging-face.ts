import { isOssicleError } from '../errors.ts';
import { isSha256 } from '../sha256.ts';
import type { HuggingFaceOptions } from '../types/load.ts';
import { type FilePosition, type FileRange, readAll } from './byte-source.ts';
import { checkCredentials, shownAddress } from './http-failure.ts';
import { HttpSource } from './http-source.ts';
import type { FileVersion, PublishedSource } from './published-source.ts';
import { HUGGING_FACE, mirroredId, type Repo } from './repo.ts';
import { RETRY_POLICY, type RetryPolicy } from './retry.ts';

/** The largest answer that is read about a repo. */
const MAX_INFO_BYTES = 8 * 2 ** 20;

/** A repo at one commit, as the site describes it. */
interface PinnedRepo {
  readonly files: HttpSource;
  readonly commit: string | undefined;
  /** The listed files, by path, with the SHA-256 of those in large file storage. */
  readonly hashes: ReadonlyMap<string, string | undefined>;
}

/**
 * Reads the files of a repo at one commit. Before the first read it asks the site which commit the revision is at, and
 * for the SHA-256 of large files. If a mirror does not answer that, files are read at the revision itself.
 */
export class HuggingFaceSource implements PublishedSource {
  /** `owner/name@revision`, or `owner/name/path.gguf@revision`; ` via ` and the mirror's address, if there is one. */
  readonly id: string;
  readonly #repo: Repo;
  readonly #base: URL;
  readonly #authorization: string | undefined;
  readonly #retry: RetryPolicy;
  #pinning: Promise<PinnedRepo> | undefined;
  #pinned: PinnedRepo | undefined;

  /** @throws TypeError if `baseUrl` is not an http(s) address, or `token` cannot be sent. */
  constructor(
    repo: Repo,
    { token, baseUrl = HUGGING_FACE }: HuggingFaceOptions = {},
    retry: RetryPolicy = RETRY_POLICY,
  ) {
    this.#repo = repo;
    this.#base = parseBase(baseUrl);
    const id = `${[repo.name, repo.file].filter(Boolean).join('/')}@${repo.revision}`;
    this.id = this.#base.href === `${HUGGING_FACE}/` ? id : mirroredId(id, this.#base);
    this.#authorization = token === undefined ? undefined : `Bearer ${parseToken(token)}`;
    this.#retry = retry;
  }

  get hasRanges(): boolean {
    return this.#pinned?.files.hasRanges ?? true;
  }

  get revision(): string | undefined {
    return this.#pinned?.commit ?? this.#pinned?.files.revision;
  }

  async list(signal?: AbortSignal): Promise<readonly string[]> {
    return [...(await this.#pin(signal)).hashes.keys()];
  }

  async size(path: string, signal?: AbortSignal): Promise<number | undefined> {
    return (await this.#pin(signal)).files.size(path, signal);
  }

  async version(path: string, signal?: AbortSignal): Promise<FileVersion | undefined> {
    const { files, hashes } = await this.#pin(signal);
    const version = await files.version(path, signal);
    const sha256 = hashes.get(path);
    return version && { ...version, ...(sha256 !== undefined && { sha256 }) };
  }

  async read(from: FilePosition, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    await (await this.#pin(signal)).files.read(from, into, signal);
  }

  async *stream(
    range: FileRange,
    signal?: AbortSignal,
    isUnbroken?: boolean,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    yield* (await this.#pin(signal)).files.stream(range, signal, isUnbroken);
  }

  #pin(signal: AbortSignal | undefined): Promise<PinnedRepo> {
    this.#pinning ??= this.#ask(signal).catch((error: unknown) => {
      this.#pinning = undefined; // this caller's abort must not fail the next caller
      throw error;
    });
    return this.#pinning;
  }

  async #ask(signal: AbortSignal | undefined): Promise<PinnedRepo> {
    const info = await this.#readInfo(signal);
    const commit = readCommit(info);
    const revision = encodeURIComponent(commit ?? this.#repo.revision);
    const files = this.#folder(`${this.#repo.name}/resolve/${revision}/`);
    this.#pinned = { files, commit, hashes: readHashes(info) };
    return this.#pinned;
  }

  /** The site's description of the repo; `undefined` if it does not answer as Hugging Face does. */
  async #readInfo(signal: AbortSignal | undefined): Promise<unknown> {
    // Sources leave slashes in a path as they are; those of a revision such as refs/pr/1 must be encoded here.
    const revision = encodeURIComponent(this.#repo.revision);
    const api = this.#folder(`api/models/${this.#repo.name}/revision/${revision}`, '?blobs=true');
    try {
      const bytes = await readAll(api, '', { signal, maxBytes: MAX_INFO_BYTES });
      return bytes && JSON.parse(new TextDecoder().decode(bytes));
    } catch (error) {
      if (signal?.aborted || !(isOssicleError(error) || error instanceof SyntaxError)) throw error;
      return undefined; // the first read of a file reports what is wrong with the repo
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
    throw new TypeError(
      `huggingFace.baseUrl ${JSON.stringify(shownAddress(String(baseUrl)))} is not an http(s) address`,
    );
  }
  checkCredentials('huggingFace.baseUrl', base);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return base;
}

/** Headers cannot hold line breaks and most characters beyond ASCII; tokens have neither, nor spaces. */
function parseToken(token: unknown): string {
  if (typeof token === 'string' && /^[!-~]+$/.test(token)) return token;
  const what =
    typeof token !== 'string'
      ? 'is not a string'
      : token === ''
        ? 'is empty'
        : 'has a space, a line break or a character that is not ASCII';
  throw new TypeError(`huggingFace.token ${what}; it must be an access token, as in hf_….`);
}

function readCommit(info: unknown): string | undefined {
  const { sha } = (info ?? {}) as { sha?: unknown };
  return typeof sha === 'string' && /^[0-9a-f]{40}$/.test(sha) ? sha : undefined;
}

function readHashes(info: unknown): Map<string, string | undefined> {
  const { siblings } = (info ?? {}) as { siblings?: unknown };
  const hashes = new Map<string, string | undefined>();
  for (const file of Array.isArray(siblings) ? siblings : []) {
    const { rfilename, lfs } = (file ?? {}) as { rfilename?: unknown; lfs?: { sha256?: unknown } };
    const hash = lfs?.sha256;
    if (typeof rfilename !== 'string') continue;
    hashes.set(rfilename, typeof hash === 'string' && isSha256(hash) ? hash : undefined);
  }
  return hashes;
}
