import { OssicleError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';

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
  /** Whether parts of a file can be requested, as far as it is known. */
  readonly hasRanges: boolean;
  /** The commit that all files are read from, once it is known. */
  readonly revision: string | undefined;
}

/** Checks whether bytes of both versions may share a file. A property that only one of them has is ignored. */
export function isSameVersion(a: FileVersion, b: FileVersion): boolean {
  if (a.sizeBytes !== b.sizeBytes) return false;
  if (a.sha256 !== undefined && b.sha256 !== undefined) return a.sha256 === b.sha256;
  if (a.etag !== undefined && b.etag !== undefined) return a.etag === b.etag;
  if (a.lastModified === undefined || b.lastModified === undefined) return true;
  return a.lastModified === b.lastModified;
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
