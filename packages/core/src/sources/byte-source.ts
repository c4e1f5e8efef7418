import { formatInvalid, OssicleError } from '../errors.ts';
import { displayName } from './display-name.ts';

/** The most that {@link readAll} takes into memory by default: 64 MiB. */
const MAX_READ_BYTES = 64 * 2 ** 20;

/** The size of the pieces of {@link streamReads}. */
const PIECE_BYTES = 4 * 2 ** 20;

/** A file of a source. */
export interface SourceFile {
  /** Its path within the source. */
  readonly path: string;
  readonly sizeBytes: number;
}

/** A place in a file. */
export interface FilePosition {
  /** The file's path within the source. */
  readonly path: string;
  readonly offsetBytes: number;
}

/** A contiguous part of a file. */
export interface FileRange extends FilePosition {
  readonly sizeBytes: number;
}

/** The size of several files in bytes. */
export function totalBytes(files: readonly SourceFile[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** Read access to the files of one folder. Paths are relative to it, with `/` between their parts. */
export interface ByteSource {
  /** The checkpoint's stable identity: `owner/name@revision`, the folder's URL, or `files:NAME#…`. */
  readonly id: string;
  /** The paths of the files, in any order; empty if the source cannot list them. */
  list(signal?: AbortSignal): Promise<readonly string[]>;
  /** The size of a file in bytes; `undefined` if there is no such file. */
  size(path: string, signal?: AbortSignal): Promise<number | undefined>;
  /**
   * Fills `into` with the bytes at a position.
   *
   * @throws {@link MissingFile}. {@link OssicleError} `download-failed` if the bytes cannot be read, `integrity` if the
   * file ends too early.
   */
  read(from: FilePosition, into: Uint8Array, signal?: AbortSignal): Promise<void>;
  /**
   * Streams a part of a file, to its end if the size is `Infinity`. A piece is valid until the next one is requested.
   *
   * @throws The errors of {@link ByteSource.read}, while iterating.
   */
  stream(range: FileRange, signal?: AbortSignal): AsyncIterable<Uint8Array<ArrayBuffer>>;
  /** Closes open files. */
  dispose?(): void;
}

/** A file that is needed is not there. */
export class MissingFile extends OssicleError {
  /** @param place - Where the file should be. */
  constructor(path: string, place: string) {
    super(
      'download-failed',
      `${place} has no file ${path}. Check the name of the source, and that the checkpoint is complete.`,
    );
  }
}

/** The error for a file that ends before bytes that should be in it. */
export function truncated(file: string, expectedBytes: number, foundBytes: number): OssicleError {
  return new OssicleError(
    'integrity',
    `${file} is cut short: expected ${expectedBytes} bytes, found ${foundBytes}. Get the file again.`,
  );
}

/** Finds a file; `undefined` if it is not there. */
export async function findFile(
  source: ByteSource,
  path: string,
  signal?: AbortSignal,
): Promise<SourceFile | undefined> {
  const sizeBytes = await source.size(path, signal);
  return sizeBytes === undefined ? undefined : { path, sizeBytes };
}

/** Finds files. @throws {@link MissingFile} if one is not there. */
export function requireFiles(
  source: ByteSource,
  paths: readonly string[],
  signal?: AbortSignal,
): Promise<SourceFile[]> {
  return Promise.all(
    paths.map(async (path) => {
      const file = await findFile(source, path, signal);
      if (!file) throw new MissingFile(path, displayName(source.id));
      return file;
    }),
  );
}

/** Options of {@link readAll}. */
export interface ReadOptions {
  /** The largest file to take into memory. Default: 64 MiB. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads a whole file into memory; `undefined` if there is no such file.
 *
 * @throws {@link OssicleError} `format-invalid` if the file is too large; the errors of {@link ByteSource.stream}.
 */
export async function readAll(
  source: Pick<ByteSource, 'id' | 'stream'>,
  path: string,
  { maxBytes = MAX_READ_BYTES, signal }: ReadOptions = {},
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let sizeBytes = 0;
  try {
    const whole = { path, offsetBytes: 0, sizeBytes: Infinity };
    for await (const piece of source.stream(whole, signal)) {
      sizeBytes += piece.length;
      if (sizeBytes > maxBytes) {
        throw formatInvalid(
          `${path} of ${displayName(source.id)} is larger than ${maxBytes} bytes, the most that such a file may have. ` +
            'Check that it is the right file.',
        );
      }
      pieces.push(piece.slice());
    }
  } catch (error) {
    if (error instanceof MissingFile) return undefined;
    throw error;
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/** Implements {@link ByteSource.stream} for a source whose single reads are cheap. */
export async function* streamReads(
  source: ByteSource,
  { path, offsetBytes, sizeBytes }: FileRange,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  // A missing file has no end: its first read throws.
  const fileEnd = sizeBytes === Infinity ? await source.size(path, signal) : undefined;
  const end = fileEnd ?? offsetBytes + sizeBytes;
  for (let start = offsetBytes; start < end; start += PIECE_BYTES) {
    const piece = new Uint8Array(Math.min(PIECE_BYTES, end - start));
    await source.read({ path, offsetBytes: start }, piece, signal);
    yield piece;
  }
}

/** Checks that a path stays inside its folder and contains only characters that every file system allows. */
export function isSafePath(path: string): boolean {
  return (
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are refused
    !/[\\:\u0000-\u001f\u007f]/.test(path) &&
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}
