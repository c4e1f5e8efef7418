import type { ModelSource } from '../types/load.ts';
import { checkCredentials, shownAddress } from './http-failure.ts';
import { claimedId, IMPORT, parseRepo } from './repo.ts';

/**
 * Makes a source independent of the page's address and ready for `postMessage`: relative addresses become absolute,
 * `URL`s become strings, collections of files become arrays.
 *
 * @throws TypeError if it is none of these, or a string is neither `owner/name` nor an address, nor starts with `./`,
 * `../` or `/`.
 */
export function resolveSource(source: ModelSource): string | File[] | FileSystemDirectoryHandle {
  if (typeof source === 'string' || source instanceof URL) {
    return resolveAddress(String(source).trim());
  }
  if (isDirectory(source)) return source;
  if (typeof source?.[Symbol.iterator] === 'function') {
    const files = [...source];
    if (files.every((file) => typeof file === 'object' && file !== null)) return files;
  }
  throw new TypeError('The source must be a string, a URL, files, or a FileSystemDirectoryHandle');
}

function isDirectory(source: ModelSource): source is FileSystemDirectoryHandle {
  return (
    typeof source === 'object' && source !== null && 'kind' in source && source.kind === 'directory'
  );
}

function resolveAddress(source: string): string {
  if (source.startsWith(IMPORT)) return IMPORT + resolveAddress(claimedId(source));
  if (/^(\.{0,2}\/|[a-z][a-z\d+.-]*:)/i.test(source)) {
    const base = globalThis.document?.baseURI ?? globalThis.location?.href;
    // Addresses such as `data:` have no folders.
    if (!URL.canParse(source, base) || !URL.canParse('./', new URL(source, base).href)) {
      throw new TypeError(
        `The source ${JSON.stringify(shownAddress(source))} is not an address that can be resolved here`,
      );
    }
    const url = new URL(source, base);
    checkCredentials('The source', url);
    if (!/(\/|\.gguf)$/i.test(url.pathname)) url.pathname += '/';
    url.hash = '';
    return url.href;
  }
  if (parseRepo(source)) return source;
  throw new TypeError(
    `The source ${JSON.stringify(shownAddress(source))} is neither a Hugging Face repo (owner/name, owner/name@revision, or ` +
      'owner/name/file.gguf) nor an address; relative folders start with ./',
  );
}
