import { OssicleError } from '../errors.ts';

/** The most that {@link ByteSource.readAll} takes into memory, unless it is told otherwise: 64 MiB. */
export const MAX_READ_BYTES: number = 64 * 2 ** 20;

/** A file of a source. */
export interface SourceFile {
  /** Its path within the source. */
  readonly path: string;
  /** Its size in bytes. */
  readonly sizeBytes: number;
}

/** What tells a published file from others that were or will be at its address. */
export interface FileVersion {
  /** Its size. */
  readonly sizeBytes: number;
  /** The server's name for these bytes, where it shows one. */
  readonly etag?: string;
  /** When the server says that they were changed. */
  readonly lastModified?: string;
  /** The publisher's SHA-256 of them, in hexadecimal digits, where the source tells it. */
  readonly sha256?: string;
}

/** Read access to the files of one folder. Paths are relative to it, with `/` between their parts. */
export interface ByteSource {
  /** The checkpoint's stable identity: `owner/name@revision`, the folder's URL, or `files:NAME#…`. */
  readonly id: string;
  /** The size of a file in bytes; `undefined` where there is no such file. */
  size(path: string, signal?: AbortSignal): Promise<number | undefined>;
  /**
   * Fills `into` with the file's bytes from `offsetBytes` on.
   *
   * @throws {@link OssicleError} `download-failed` where they cannot be had, `integrity` where there are fewer.
   */
  read(path: string, offsetBytes: number, into: Uint8Array, signal?: AbortSignal): Promise<void>;
  /**
   * Reads a whole file; `undefined` where there is no such file.
   *
   * @param maxBytes - The most that is taken into memory. Default: {@link MAX_READ_BYTES}.
   * @throws {@link OssicleError} `download-failed` where it cannot be had, `format-invalid` where it is larger.
   */
  readAll(
    path: string,
    signal?: AbortSignal,
    maxBytes?: number,
  ): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /**
   * The file's bytes `[offsetBytes, offsetBytes + sizeBytes)` in pieces as they arrive, exactly that many.
   * A piece is valid until the next one is asked for.
   *
   * @throws {@link OssicleError} as {@link ByteSource.read} does, while it is iterated.
   */
  stream(
    path: string,
    offsetBytes: number,
    sizeBytes: number,
    signal?: AbortSignal,
  ): AsyncIterable<Uint8Array<ArrayBuffer>>;
  /**
   * What is published at a path now; `undefined` where there is no such file. Asks the source only for what it has not
   * told before. From then on, no read mixes in bytes of another version: it throws a {@link FileChanged}.
   */
  version?(path: string, signal?: AbortSignal): Promise<FileVersion | undefined>;
  /** The paths of all files, in any order, where the source knows them. */
  list?(signal?: AbortSignal): Promise<readonly string[] | undefined>;
  /** Whether parts of a file can be had by themselves, as far as it is known. */
  readonly hasRanges?: boolean;
  /** The commit that all files are read from, once it is known. */
  readonly revision?: string | undefined;
  /** Lets go of open files. */
  dispose?(): void;
}

/** Says whether a path stays inside its folder and is plain enough to be a file's name anywhere. */
export function isSafePath(path: string): boolean {
  return (
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    !/[\\:\u0000-\u001f\u007f]/.test(path) &&
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}

/** Says whether bytes of both versions may stand in one file. What only one of them tells is no difference. */
export function isSameVersion(a: FileVersion, b: FileVersion): boolean {
  if (a.sizeBytes !== b.sizeBytes) return false;
  if (a.sha256 !== undefined && b.sha256 !== undefined) return a.sha256 === b.sha256;
  if (a.etag !== undefined && b.etag !== undefined) return a.etag === b.etag;
  if (a.lastModified === undefined || b.lastModified === undefined) return true;
  return a.lastModified === b.lastModified;
}

/** Raised where a file is not, or no longer, the one that was begun with: all of it has to be read again. */
export class FileChanged extends OssicleError {
  /** The file's path within its source. */
  readonly path: string;

  /** @param message - As of {@link OssicleError}. */
  constructor(path: string, message: string) {
    super('integrity', message);
    this.path = path;
  }
}

/** The error for a file that is needed and not there. */
export function missing(path: string, place: string): OssicleError {
  return new OssicleError(
    'download-failed',
    `${place} has no file ${path}. Check the name of the source, and that the checkpoint is complete.`,
  );
}

/** The error for a file that ends before bytes that should be in it. */
export function truncated(file: string, expectedBytes: number, foundBytes: number): OssicleError {
  return new OssicleError(
    'integrity',
    `${file} is cut short: ${expectedBytes} bytes were expected, ${foundBytes} are there. Get the file again.`,
  );
}

/** The error for a file that is larger than its kind can be. */
export function tooLarge(file: string, maxBytes: number): OssicleError {
  return new OssicleError(
    'format-invalid',
    `${file} is larger than the ${maxBytes} bytes that such a file may have. Check that it is the right file.`,
  );
}
