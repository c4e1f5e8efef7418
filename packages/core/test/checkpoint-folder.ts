import { openAsBlob } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';

/**
 * Opens the files of a folder on disk, in Node, without reading them, for an engine or `fileReader` to load.
 *
 * @param folder - Its subfolders are ignored.
 */
export async function openCheckpointFolder(folder: string): Promise<File[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async ({ name }) => new File([await openAsBlob(join(folder, name))], basename(name))),
  );
}
