import { OssicleError } from '../errors.ts';
import { shortHash } from '../sha256.ts';
import {
  type ByteSource,
  type FilePosition,
  type FileRange,
  MissingFile,
  streamReads,
  truncated,
} from './byte-source.ts';
import { displayName } from './display-name.ts';

/** How deep a picked folder is searched: the checkpoint's own folder, and one like `original/` below it. */
const MAX_DEPTH = 3;

interface PathFile {
  readonly path: string;
  readonly file: File;
}

/**
 * Opens files that a person picked or dropped. The checkpoint's folder is the shallowest one with a `config.json`, a
 * safetensors file, or the `ossicle.json` of an export above its weights. Without safetensors files, the shallowest GGUF
 * file stands for the first two.
 */
export function openFiles(files: readonly (File | PathFile)[]): FileSource {
  const all = files.map((item) =>
    'file' in item ? item : { path: item.webkitRelativePath || item.name, file: item },
  );
  const ggufs = all.filter(({ path }) => /\.gguf$/i.test(path));
  const safetensors = all.filter(({ path }) => path.endsWith('.safetensors'));
  const isGguf = safetensors.length === 0 && ggufs.length > 0;
  const weights = isGguf ? ggufs : safetensors;
  const marks = all.filter(({ path }) => {
    const folder = folderOf(path);
    const name = path.slice(folder.length);
    if (name === 'ossicle.json') return weights.some((file) => file.path.startsWith(folder));
    return isGguf ? /\.gguf$/i.test(name) : /^(config\.json|.+\.safetensors)$/.test(name);
  });
  const folder = folderOf(shallowest(marks)?.path ?? '');
  const root = folder.replace(/(^|\/)original\/$/, '$1'); // its tokenizer lies beside original/
  const inside = new Map(
    all
      .filter(({ path }) => path.startsWith(root))
      .map(({ path, file }) => [path.slice(root.length), file]),
  );
  const prints = [...inside].map(([path, file]) => `${path} ${file.size} ${file.lastModified}`);
  const gguf = isGguf ? shallowest(ggufs.filter(({ path }) => folderOf(path) === root)) : undefined;
  const name = gguf?.path.slice(root.length) ?? root.split('/').at(-2) ?? 'picked';
  return new FileSource(`files:${name}#${shortHash(prints.sort().join('\n'))}`, inside);
}

/** The folder of a path, with its final slash; empty if it has none. */
function folderOf(path: string): string {
  return path.replace(/[^/]*$/, '');
}

function shallowest(files: readonly PathFile[]): PathFile | undefined {
  const depth = ({ path }: PathFile): number => path.split('/').length;
  return files.toSorted((a, b) => depth(a) - depth(b) || (a.path < b.path ? -1 : 1))[0];
}

/** Lists the files of a folder and of its subfolders. */
export async function readDirectory(
  directory: FileSystemDirectoryHandle,
  path: string = directory.name,
): Promise<PathFile[]> {
  const found: PathFile[] = [];
  for await (const [name, entry] of directory.entries()) {
    const entryPath = `${path}/${name}`;
    if (entry.kind === 'file') {
      found.push({ path: entryPath, file: await (entry as FileSystemFileHandle).getFile() });
    } else if (entryPath.split('/').length <= MAX_DEPTH) {
      found.push(...(await readDirectory(entry as FileSystemDirectoryHandle, entryPath)));
    }
  }
  return found;
}

/** Reads `File`s, or anything that can be sliced like one. */
export class FileSource implements ByteSource {
  readonly id: string;
  readonly #files: ReadonlyMap<string, Blob>;

  /** @param files - By their paths within the checkpoint's folder. */
  constructor(id: string, files: ReadonlyMap<string, Blob>) {
    this.id = id;
    this.#files = files;
  }

  async list(): Promise<readonly string[]> {
    return [...this.#files.keys()];
  }

  async size(path: string, signal?: AbortSignal): Promise<number | undefined> {
    signal?.throwIfAborted();
    return this.#files.get(path)?.size;
  }

  async read(from: FilePosition, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { path, offsetBytes } = from;
    signal?.throwIfAborted();
    const file = this.#files.get(path);
    if (!file) throw new MissingFile(path, displayName(this.id));
    const end = offsetBytes + into.length;
    if (end > file.size) throw truncated(`${path} of ${displayName(this.id)}`, end, file.size);
    let bytes: ArrayBuffer;
    try {
      bytes = await file.slice(offsetBytes, end).arrayBuffer();
    } catch (cause) {
      throw new OssicleError(
        'download-failed',
        `${path} of ${displayName(this.id)} can no longer be read: it was changed, moved or removed. Pick the files again.`,
        { cause },
      );
    }
    signal?.throwIfAborted();
    into.set(new Uint8Array(bytes));
  }

  stream(range: FileRange, signal?: AbortSignal): AsyncIterable<Uint8Array<ArrayBuffer>> {
    return streamReads(this, range, signal);
  }
}
