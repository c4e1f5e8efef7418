import { OssicleError } from '../errors.ts';
import { openCheckpoint } from '../formats/open-checkpoint.ts';
import { type ByteSource, isSafePath, readAll } from '../sources/byte-source.ts';
import { openSource } from '../sources/open-source.ts';
import type { PublishedSource } from '../sources/published-source.ts';
import type { ModelSource } from '../types/load.ts';
import { DESCRIPTION, type Description } from './export-model.ts';
import { CHUNK_BYTES } from './manifest.ts';
import { type DownloadOptions, openStore } from './opfs-store.ts';

const MAX_DESCRIPTION_BYTES = 16 * 2 ** 20;

/**
 * Stores a model from files, as a download of it would. Only in workers.
 *
 * @param id - The model's id. Default: the one in the folder's description.
 * @returns The id.
 * @throws TypeError if there is no id. {@link OssicleError} `format-invalid`, `integrity`, `storage-full`;
 * `storage-unavailable` if there is no store.
 */
export async function importModel(
  files: Exclude<ModelSource, string | URL>,
  id: string | undefined,
  options: Omit<DownloadOptions, 'integrity' | 'chunkHashes'>,
): Promise<string> {
  const store = await openStore();
  if (!store) {
    throw new OssicleError(
      'storage-unavailable',
      'The browser does not let this page store files, as in some private windows. Load the files without storing them.',
    );
  }
  const source = await openSource(files);
  const description = await readDescription(source, options.signal);
  const ownId = id === undefined ? description?.id : (await openSource(id)).id;
  if (ownId === undefined) {
    throw new TypeError(
      `The files have no ${DESCRIPTION}: name their model, for example { id: 'openai/gpt-oss-20b' }`,
    );
  }
  const checkpoint = await openCheckpoint(source, options.signal);
  const published = asPublished(source, ownId, description?.revision);
  const chunkHashes = description && hashesOf(description);
  await store.download(published, checkpoint.files, { ...options, chunkHashes });
  return ownId;
}

/** Reads the description; `undefined` if there is none that can be used. */
async function readDescription(
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
  const isUsable =
    typeof value?.id === 'string' &&
    value.chunkBytes === CHUNK_BYTES &&
    Array.isArray(value.files) &&
    value.files.every(
      (file) =>
        typeof file?.path === 'string' &&
        isSafePath(file.path) &&
        typeof file.chunkHashes === 'string' &&
        /^([0-9a-f]{64})*$/.test(file.chunkHashes),
    );
  return isUsable ? (value as Description) : undefined;
}

function hashesOf({ files }: Description): ReadonlyMap<string, Uint8Array> {
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
      return sizeBytes === undefined ? undefined : { sizeBytes };
    },
    list: (signal) => source.list(signal),
    size: (...args) => source.size(...args),
    read: (...args) => source.read(...args),
    stream: (...args) => source.stream(...args),
  };
}
