import { type ByteSource, truncated } from '../sources/byte-source.ts';

/** The first window; windows grow, as whoever reads past one mostly reads on. */
const FIRST_WINDOW_BYTES = 64 * 2 ** 10;

/** The most that {@link WindowReader.prepare} brings into the window: 4 MiB. */
export const MAX_WINDOW_BYTES: number = 4 * 2 ** 20;

/**
 * Reads little-endian fields from the front of a file to its back, through a window of at most 4 MiB. Fields are read
 * synchronously from what {@link WindowReader.prepare} has brought into the window.
 */
export class WindowReader {
  /** The file's path within its source. */
  readonly path: string;
  /** The size of the file. */
  readonly sizeBytes: number;
  readonly #source: ByteSource;
  readonly #signal: AbortSignal | undefined;
  #window = new Uint8Array(0);
  #view = new DataView(this.#window.buffer);
  #windowStart: number;
  #nextWindowBytes = FIRST_WINDOW_BYTES;
  #position: number;

  /** @param position - Where to begin, from the file's start. */
  constructor(
    source: ByteSource,
    path: string,
    sizeBytes: number,
    position = 0,
    signal?: AbortSignal,
  ) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.#source = source;
    this.#signal = signal;
    this.#windowStart = position;
    this.#position = position;
  }

  /** Where the next field begins, from the file's start. */
  get position(): number {
    return this.#position;
  }

  /** Whether this many bytes, or all that the file still has, lie in the window. */
  isPrepared(bytes: number): boolean {
    const end = Math.min(this.#position + bytes, this.sizeBytes);
    return this.#position >= this.#windowStart && end <= this.#windowStart + this.#window.length;
  }

  /**
   * Brings the next bytes into the window.
   *
   * @param bytes - How many; fewer where the file ends before. At most 4 MiB.
   * @throws {@link OssicleError} as {@link ByteSource.read} does.
   */
  async prepare(bytes: number): Promise<void> {
    if (this.isPrepared(bytes)) return;
    const left = Math.max(0, this.sizeBytes - this.#position);
    const window = new Uint8Array(Math.min(left, Math.max(bytes, this.#nextWindowBytes)));
    await this.#source.read(this.path, this.#position, window, this.#signal);
    this.#window = window;
    this.#view = new DataView(window.buffer);
    this.#windowStart = this.#position;
    this.#nextWindowBytes = Math.min(4 * this.#nextWindowBytes, MAX_WINDOW_BYTES);
  }

  /** @throws {@link OssicleError} `integrity` where the file ends before. */
  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  /** @throws {@link OssicleError} `integrity` where the file ends before. */
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A number that is exact up to 2^53. @throws {@link OssicleError} `integrity` where the file ends before. */
  u64(): number {
    const at = this.#take(8);
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }

  /** The field's bytes, to be read as another type. @throws {@link OssicleError} `integrity` where the file ends before. */
  field(bytes: number): DataView {
    return new DataView(this.#view.buffer, this.#take(bytes), bytes);
  }

  /** A view of the next bytes, valid until the window moves. @throws {@link OssicleError} `integrity` where the file ends before. */
  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#window.subarray(at, at + count);
  }

  /** Goes on behind bytes that need not be in the window. @throws {@link OssicleError} `integrity` where the file ends before. */
  skip(bytes: number): void {
    const end = this.#position + bytes;
    if (end > this.sizeBytes) throw truncated(this.path, end, this.sizeBytes);
    this.#position = end;
  }

  /** Moves on, and returns where in the window the bytes begin. */
  #take(bytes: number): number {
    const at = this.#position - this.#windowStart;
    if (at + bytes > this.#window.length) {
      const end = this.#position + bytes;
      if (end > this.sizeBytes) throw truncated(this.path, end, this.sizeBytes);
      throw new RangeError(`${bytes} bytes at ${this.#position} of ${this.path} are not prepared`);
    }
    this.#position += bytes;
    return at;
  }
}
