import type { HuggingFaceOptions, ModelSource } from '../types.ts';
import type { ByteSource } from './byte-source.ts';
import { openFiles, readDirectory } from './file-source.ts';
import { HttpSource } from './http-source.ts';
import { decoded, HuggingFaceSource, parseRepo } from './hugging-face.ts';
import type { RetryPolicy } from './retry.ts';

export type { ByteSource };

/** How {@link openSource} reads. */
export interface SourceOptions {
  /** As in `LoadOptions`. */
  readonly huggingFace?: HuggingFaceOptions | undefined;
  /** Default: `RETRY_POLICY`. */
  readonly retry?: RetryPolicy | undefined;
}

/**
 * Makes a source independent of the page's address and fit for `postMessage`: relative addresses become absolute,
 * `URL`s become strings, collections of files become arrays.
 *
 * @throws TypeError where it is none of these, or a string is neither `owner/name`, nor an address, nor starts with `./`, `../` or `/`.
 */
export function resolveSource(source: ModelSource): string | File[] | FileSystemDirectoryHandle {
  if (typeof source === 'string' || source instanceof URL)
    return resolveAddress(String(source).trim());
  if (isDirectory(source)) return source;
  if (typeof source?.[Symbol.iterator] === 'function') {
    const files = [...source];
    if (files.every((file) => typeof file === 'object' && file !== null)) return files;
  }
  throw new TypeError('The source must be a string, a URL, files, or a FileSystemDirectoryHandle');
}

/**
 * Opens a source. Makes no request.
 *
 * @throws TypeError as {@link resolveSource} does, and where `huggingFace.baseUrl` is no address.
 */
export async function openSource(
  source: ModelSource,
  { huggingFace, retry }: SourceOptions = {},
): Promise<ByteSource> {
  const resolved = resolveSource(source);
  if (typeof resolved !== 'string') {
    return openFiles(Array.isArray(resolved) ? resolved : await readDirectory(resolved));
  }
  const repo = parseRepo(resolved);
  if (repo) return new HuggingFaceSource(repo, huggingFace, retry);
  const { folder, id } = splitAddress(new URL(resolved));
  return new HttpSource(folder, { id, retry });
}

function isDirectory(source: ModelSource): source is FileSystemDirectoryHandle {
  return (
    typeof source === 'object' && source !== null && 'kind' in source && source.kind === 'directory'
  );
}

function resolveAddress(source: string): string {
  if (/^(\.{0,2}\/|[a-z][a-z\d+.-]*:)/i.test(source)) {
    const base = globalThis.document?.baseURI ?? globalThis.location?.href;
    let url: URL;
    try {
      url = new URL(source, base);
    } catch (cause) {
      throw new TypeError(
        `The source ${JSON.stringify(source)} is not an address that can be resolved here`,
        {
          cause,
        },
      );
    }
    if (!/(\/|\.gguf)$/i.test(url.pathname)) url.pathname += '/';
    url.hash = '';
    return url.href;
  }
  if (parseRepo(source)) return source;
  throw new TypeError(
    `The source ${JSON.stringify(source)} is neither a Hugging Face repo (owner/name, owner/name@revision, or ` +
      'owner/name/file.gguf) nor an address; a relative folder starts with ./',
  );
}

/** The folder of an address, and the identity of what is there: of a GGUF file its own address, as a folder may have several. */
function splitAddress(url: URL): { folder: URL; id: string } {
  const folder = new URL('./', url);
  folder.search = url.search;
  const name = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
  return { folder, id: folder.origin + folder.pathname + decoded(name) };
}
