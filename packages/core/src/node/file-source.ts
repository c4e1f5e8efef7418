import { open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';

/** How deep a folder is searched: the checkpoint's own folder, and one like `original/` below it. */
const MAX_DEPTH = 2;

/**
 * Lists the files of a checkpoint on disk, as a source for `createEngine()`. Reads nothing of them yet.
 *
 * Unlike files made by `fs.openAsBlob()`, which in Node 20, 22 and 24 reports sizes modulo 4 GiB, these have their true
 * sizes.
 *
 * @param path - A folder with a checkpoint, or a GGUF file; of a split one, any part.
 * @throws The error of `node:fs` if the path cannot be read.
 */
export async function fileSource(path: string): Promise<File[]> {
  const found = await stat(path);
  const folder = resolve(found.isDirectory() ? path : dirname(path));
  const paths = found.isDirectory() ? await listFiles(folder) : await listParts(resolve(path));
  return Promise.all(
    paths.map(async (file) => {
      const { size, mtimeMs } = await stat(file);
      const inFolder = relative(dirname(folder), file).split(sep).join('/');
      return new DiskFile(file, inFolder, size, mtimeMs) as unknown as File;
    }),
  );
}

async function listFiles(folder: string, depth = 1): Promise<string[]> {
  const nested = (await readdir(folder)).map(async (name): Promise<string[]> => {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined); // a dangling link is no file of a checkpoint
    if (found?.isFile()) return [path];
    if (!found?.isDirectory()) return []; // an open of a pipe would wait for ever
    return depth < MAX_DEPTH ? listFiles(path, depth + 1).catch(() => []) : [];
  });
  return (await Promise.all(nested)).flat();
}

/** A GGUF file, or all parts of the split one that it belongs to. */
async function listParts(path: string): Promise<string[]> {
  const stem = /^(.*)-\d{5}-of-\d{5}\.gguf$/i.exec(basename(path))?.[1];
  if (stem === undefined) return [path];
  const names = await readdir(dirname(path));
  return names
    .filter((name) => name.startsWith(`${stem}-`) && /-\d{5}-of-\d{5}\.gguf$/i.test(name))
    .map((name) => join(dirname(path), name));
}

/** As much of a `File` as sources use. Each read opens the file and closes it again. */
class DiskFile {
  readonly name: string;
  readonly webkitRelativePath: string;
  readonly size: number;
  readonly lastModified: number;
  readonly #path: string;

  constructor(path: string, webkitRelativePath: string, size: number, lastModified: number) {
    this.#path = path;
    this.name = basename(path);
    this.webkitRelativePath = webkitRelativePath;
    this.size = size;
    this.lastModified = lastModified;
  }

  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> } {
    return { arrayBuffer: () => this.#read(start, end - start) };
  }

  async #read(offsetBytes: number, sizeBytes: number): Promise<ArrayBuffer> {
    const bytes = new Uint8Array(sizeBytes);
    const file = await open(this.#path);
    try {
      const { size, mtimeMs } = await file.stat();
      if (size !== this.size || mtimeMs !== this.lastModified) {
        throw new Error(`${this.#path} has changed since it was listed`);
      }
      // The operating system may return less than was asked for.
      for (let done = 0; done < sizeBytes; ) {
        const { bytesRead } = await file.read(bytes, done, sizeBytes - done, offsetBytes + done);
        if (bytesRead === 0) throw new Error(`${this.#path} has become shorter than it was`);
        done += bytesRead;
      }
    } finally {
      await file.close();
    }
    return bytes.buffer;
  }
}
