import type { HuggingFaceOptions, ModelSource } from '../types/load.ts';
import { type FileSource, openFiles, readDirectory } from './file-source.ts';
import { addressOf, HttpSource } from './http-source.ts';
import { HuggingFaceSource } from './hugging-face.ts';
import { ImportedSource } from './imported-source.ts';
import type { PublishedSource } from './published-source.ts';
import { decoded, IMPORT, parseRepo } from './repo.ts';
import { resolveSource } from './resolve-source.ts';
import { RETRY_POLICY, type RetryPolicy } from './retry.ts';

/** Options of {@link openSource}. */
export interface SourceOptions {
  /** See `LoadOptions`. */
  readonly huggingFace?: HuggingFaceOptions | undefined;
  /** Default: `RETRY_POLICY`. */
  readonly retry?: RetryPolicy | undefined;
  /** See `LoadOptions`. Default: that of the policy. */
  readonly minBytesPerSecond?: number | undefined;
}

/**
 * Opens a source, without making a request.
 *
 * @throws TypeError if it is not a valid source, see {@link resolveSource}, or `huggingFace.baseUrl` is not an http(s)
 * address.
 */
export async function openSource(
  source: ModelSource,
  { huggingFace, retry: policy = RETRY_POLICY, minBytesPerSecond }: SourceOptions = {},
): Promise<FileSource | PublishedSource> {
  const retry = { ...policy, ...(minBytesPerSecond !== undefined && { minBytesPerSecond }) };
  const resolved = resolveSource(source);
  if (typeof resolved !== 'string') {
    return openFiles(Array.isArray(resolved) ? resolved : await readDirectory(resolved));
  }
  if (resolved.startsWith(IMPORT)) {
    return new ImportedSource(IMPORT + (await openSource(resolved.slice(IMPORT.length))).id);
  }
  const repo = parseRepo(resolved);
  if (repo) return new HuggingFaceSource(repo, huggingFace, retry);
  const { folder, id } = splitAddress(new URL(resolved));
  return new HttpSource(folder, { id, retry });
}

/** The folder of an address, and the checkpoint's id: for a GGUF file its own address, as a folder may have several. */
function splitAddress(url: URL): { folder: URL; id: string } {
  const folder = new URL('./', url);
  folder.search = url.search;
  const name = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
  return { folder, id: addressOf(folder) + decoded(name) };
}
