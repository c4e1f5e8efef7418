import { FileSource } from '../sources/file-source.ts';
import { isComplete, readManifest } from './manifest.ts';
import { openModelDirectory, openRoot } from './stored-models.ts';
import { fileName } from './stored-source.ts';

/**
 * Opens a stored model to look into its headers, also on the page's own thread. Makes no request. Reading all of a model
 * goes through a worker, which reads faster.
 *
 * @returns `undefined` where it is not stored whole.
 */
export async function openStoredFiles(id: string): Promise<FileSource | undefined> {
  const manifest = await readManifest(id);
  if (!manifest || !isComplete(manifest)) return undefined;
  const directory = await openModelDirectory(await openRoot(), id);
  if (!directory) return undefined;
  const files = await Promise.all(
    manifest.files.map(async ({ path }): Promise<[string, File]> => {
      const handle = await directory.getFileHandle(fileName(path));
      return [path, await handle.getFile()];
    }),
  );
  return new FileSource(id, new Map(files));
}
