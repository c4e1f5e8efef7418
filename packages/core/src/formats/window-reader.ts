import { type ByteSource, type SourceFile, truncated } from '../sources/byte-source.ts';

/** The first window; windows grow, because a reader that passes the end of one mostly reads on. */
const FIRST_WINDOW_BYTES = 64 * 2 ** 10;

/** The most that {@link WindowReader.prepare} brings into the window: 4 MiB. */
export const MAX_WINDOW_BYTES: number = 4 * 2 ** 20;

/**
 * Reads little-endian fields of a file from front to back, through a window of at most 4 MiB. Fields are read
 * synchronously, after {@link WindowReader.prepare} has brought them into the window; they throw an
 * {@link OssicleError} `integrity` if the file ends before them.
 */
export class WindowReader {
  readonly file: SourceFile;
  readonly #source: ByteSource;
  readonly #signal: AbortSignal | undefined;
  #window = new Uint8Array(0);
  #view = new DataView(this.#window.buffer);
  #windowStart: number;
  #nextWindowBytes = FIRST_WINDOW_BYTES;
  #position: number;

  constructor(
    source: ByteSource,
    file: SourceFile,
    position: number,
    signal: AbortSignal | undefined,
  ) {
    this.file = file;
    this.#source = source;
    this.#signal = signal;
    this.#windowStart = position;
    this.#position = position;
  }

  /** The offset of the next field. */
  get position(): number {
    return this.#position;
  }

  /** Whether the window contains this many bytes, or the rest of the file. */
  isPrepared(bytes: number): boolean {
    const end = Math.min(this.#position + bytes, this.file.sizeBytes);
    return this.#position >= this.#windowStart && end <= this.#windowStart + this.#window.length;
  }

  /**
   * Brings the next bytes into the window, or the rest of the file if that is shorter.
   *
   * @param bytes - At most 4 MiB.
   * @throws The errors of {@link ByteSource.read}.
   */
  async prepare(bytes: number): Promise<void> {
    if (this.isPrepared(bytes)) return;
    const { path, sizeBytes } = this.file;
    const left = Math.max(0, sizeBytes - this.#position);
    const window = new Uint8Array(Math.min(left, Math.max(bytes, this.#nextWindowBytes)));
    await this.#source.read({ path, offsetBytes: this.#position }, window, this.#signal);
    this.#window = window;
    this.#view = new DataView(window.buffer);
    this.#windowStart = this.#position;
    this.#nextWindowBytes = Math.min(4 * this.#nextWindowBytes, MAX_WINDOW_BYTES);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A number that is exact up to 2^53. */
  u64(): number {
    const at = this.#take(8);
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }

  /** The next bytes, to be read as a number of any type. */
  field(bytes: number): DataView {
    return new DataView(this.#view.buffer, this.#take(bytes), bytes);
  }

  /** A view of the next bytes, valid until the window moves. */
  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#window.subarray(at, at + count);
  }

  /** Skips bytes, whether or not the window contains them. */
  skip(bytes: number): void {
    const { path, sizeBytes } = this.file;
    const end = this.#position + bytes;
    if (end > sizeBytes) throw truncated(path, end, sizeBytes);
    this.#position = end;
  }

  /** Moves past the next bytes, and returns their start in the window. */
  #take(bytes: number): number {
    const start = this.#position;
    const isPrepared = start - this.#windowStart + bytes <= this.#window.length;
    this.skip(bytes);
    if (isPrepared) return start - this.#windowStart;
    throw new RangeError(`${bytes} bytes at ${start} of ${this.file.path} are not prepared`);
  }
}
