import { OssicleError } from '../errors.ts';
import { openCheckpoint } from '../formats/open-checkpoint.ts';
import { type ByteSource, isSafePath, readAll } from '../sources/byte-source.ts';
import { openSource } from '../sources/open-source.ts';
import type { PublishedSource } from '../sources/published-source.ts';
import { claimedId, IMPORT } from '../sources/repo.ts';
import type { ModelSource } from '../types/load.ts';
import { DESCRIPTION, type Description } from './export-model.ts';
import { publishedHashes } from './integrity.ts';
import { CHUNK_BYTES } from './manifest.ts';
import { type DownloadOptions, openStore } from './opfs-store.ts';

const MAX_DESCRIPTION_BYTES = 16 * 2 ** 20;

const MAX_ID_LENGTH = 1024;

const MAX_REVISION_LENGTH = 256;

/**
 * Stores a model from files, as a download of it would. Files with the published hashes of their model are stored as
 * that; all others under an id that says that they were imported. If it fails, nothing stays. Only in workers.
 *
 * @param id - What the files are. Default: what the folder's description says.
 * @returns The id in the store.
 * @throws TypeError if there is no id, or a wrong one. RangeError if other files were imported under it.
 * {@link OssicleError} `format-invalid`, `integrity`, `storage-full`; `storage-unavailable` if there is no store.
 */
export async function importModel(
  files: Exclude<ModelSource, string | URL>,
  id: string | undefined,
  options: Omit<DownloadOptions, 'integrity' | 'chunkHashes' | 'isImport'>,
): Promise<string> {
  const given = id === undefined ? undefined : await parseId(id);
  const store = await openStore();
  if (!store) {
    throw new OssicleError(
      'storage-unavailable',
      'The browser does not let this page store files, as in some private windows. Load the files without storing them.',
    );
  }
  const source = await openSource(files);
  const description = await readDescription(source, options.signal);
  const claimed = given ?? description?.id;
  if (claimed === undefined) {
    throw new TypeError(
      `The files have no usable ${DESCRIPTION}: name their model, for example { id: 'openai/gpt-oss-20b' }`,
    );
  }
  const checkpoint = await openCheckpoint(source, options.signal);
  const known = publishedHashes(claimed);
  const isProvable = checkpoint.files.every(({ path }) => known[path] !== undefined);
  const published = isProvable
    ? asPublished(source, claimed, undefined)
    : asPublished(source, IMPORT + claimed, description?.revision);
  const chunkHashes = description && hashesOf(description);
  await store.download(published, checkpoint.files, { ...options, chunkHashes, isImport: true });
  return published.id;
}

/** What files claim to be, given any id of it. @throws TypeError if it is none. */
async function parseId(id: unknown): Promise<string> {
  if (typeof id !== 'string' || id.length > MAX_ID_LENGTH) {
    throw new TypeError(
      `The id of a model must be a string of at most ${MAX_ID_LENGTH} characters`,
    );
  }
  return claimedId((await openSource(claimedId(id))).id);
}

/** Reads the description; `undefined` if there is none that can be used. */
export async function readDescription(
  source: ByteSource,
  signal: AbortSignal | undefined,
): Promise<Description | undefined> {
  const bytes = await readAll(source, DESCRIPTION, { signal, maxBytes: MAX_DESCRIPTION_BYTES });
  if (!bytes) return undefined;
  let value: Partial<Description> | null;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
  const id = await parseId(value?.id).catch(() => undefined);
  const isUsable =
    id !== undefined &&
    isRevision(value?.revision) &&
    value?.chunkBytes === CHUNK_BYTES &&
    Array.isArray(value.files) &&
    value.files.every(
      (file) =>
        typeof file?.path === 'string' &&
        isSafePath(file.path) &&
        typeof file.chunkHashes === 'string' &&
        file.chunkHashes.length % 64 === 0 &&
        /^[0-9a-f]*$/.test(file.chunkHashes),
    );
  return isUsable ? ({ ...value, id } as Description) : undefined;
}

function isRevision(value: unknown): boolean {
  return value === undefined || (typeof value === 'string' && value.length <= MAX_REVISION_LENGTH);
}

/** Path → the SHA-256 of each chunk, concatenated. */
export function hashesOf({ files }: Description): ReadonlyMap<string, Uint8Array> {
  return new Map(
    files.map(({ path, chunkHashes }) => [
      path,
      Uint8Array.from(chunkHashes.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16)),
    ]),
  );
}

/** Presents local files as the published source `id`. */
function asPublished(
  source: ByteSource,
  id: string,
  revision: string | undefined,
): PublishedSource {
  return {
    id,
    revision,
    hasRanges: true,
    version: async (path, signal) => {
      const sizeBytes = await source.size(path, signal);
      return sizeBytes === undefined ? undefined : { sizeBytes, etag: source.id };
    },
    list: (signal) => source.list(signal),
    size: (...args) => source.size(...args),
    read: (...args) => source.read(...args),
    stream: (range, signal) => source.stream(range, signal),
  };
}
