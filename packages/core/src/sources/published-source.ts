import { OssicleError } from '../errors.ts';
import type { ByteSource, FileRange } from './byte-source.ts';

/** One version of a published file. */
export interface FileVersion {
  readonly sizeBytes: number;
  /** The server's name for these bytes, if it shows one. */
  readonly etag?: string;
  readonly lastModified?: string;
  /** The publisher's SHA-256, in hexadecimal digits, if the source provides it. */
  readonly sha256?: string;
}

/** A source that a download can store, and check for changes when it resumes. */
export interface PublishedSource extends ByteSource {
  /**
   * The version published at a path now; `undefined` if there is no such file. Makes a request only if no earlier
   * answer showed it. From then on, a read that meets another version throws {@link FileChanged} rather than mix the
   * two.
   */
  version(path: string, signal?: AbortSignal): Promise<FileVersion | undefined>;
  /**
   * See {@link ByteSource.stream}. With `isUnbroken`, all bytes are those of a single answer: if it breaks, the stream
   * throws {@link BrokenStream}.
   */
  stream(
    range: FileRange,
    signal?: AbortSignal,
    isUnbroken?: boolean,
  ): AsyncIterable<Uint8Array<ArrayBuffer>>;
  /** Whether parts of a file can be requested, as far as it is known. */
  readonly hasRanges: boolean;
  /** The commit that all files are read from, once it is known. */
  readonly revision: string | undefined;
}

/** Checks whether a source is published somewhere; files that a person picked are on this disk already. */
export function isPublished(source: ByteSource): source is PublishedSource {
  return 'version' in source;
}

/** Checks whether bytes of both versions may share a file. A property that only one of them has is ignored. */
export function isSameVersion(a: FileVersion, b: FileVersion): boolean {
  if (a.sizeBytes !== b.sizeBytes) return false;
  if (a.sha256 !== undefined && b.sha256 !== undefined) return a.sha256 === b.sha256;
  if (a.etag !== undefined && b.etag !== undefined) return plainTag(a.etag) === plainTag(b.etag);
  if (a.lastModified === undefined || b.lastModified === undefined) return true;
  return a.lastModified === b.lastModified;
}

/** An ETag without the marks by which servers (nginx, Apache) tell a compressed answer from the file. */
function plainTag(etag: string): string {
  return etag.replace(/^W\//, '').replace(/-gzip"$/, '"');
}

/** Checks whether the server tells versions apart, and says that these are the same. Equal sizes prove nothing. */
export function isProvenSame(a: FileVersion, b: FileVersion): boolean {
  const isNamed = (['sha256', 'etag', 'lastModified'] as const).some(
    (name) => a[name] !== undefined && b[name] !== undefined,
  );
  return isNamed && isSameVersion(a, b);
}

/** A file is not, or is no longer, the version that was started with: all of it must be read again. */
export class FileChanged extends OssicleError {
  /** The file's path within its source. */
  readonly path: string;

  constructor(path: string, message: string) {
    super('integrity', message);
    this.path = path;
  }
}

/** An answer broke whose rest cannot be told to be of the same version. */
export class BrokenStream extends FileChanged {}
