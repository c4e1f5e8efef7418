import { OssicleError } from '../../errors.ts';
import { Buffers } from '../../gpu/buffers.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { StagedRows } from '../../kernels/repack.ts';
import type { ByteSource, FileRange } from '../../sources/byte-source.ts';
import { WakeUp } from '../../wake-up.ts';

/** The most memory for staging, on both sides of the copy together. */
const MAX_STAGING_BYTES = 64 * 2 ** 20;

/** Options of an {@link Uploader}. */
export interface UploaderOptions {
  /** The size of a chunk; a chunk of one tile may be larger. Default: 8 MiB. */
  readonly chunkBytes?: number;
  /** The most chunks in flight. Default: 4; fewer if they would take more than 64 MiB. */
  readonly slots?: number;
}

/** One tensor to upload. */
export interface Upload {
  /** Its bytes: whole rows. */
  readonly piece: FileRange;
  readonly rowBytes: number;
  /** Chunks have whole multiples of this many rows, except the last. */
  readonly rowsPerTile: number;
  /**
   * Encodes the use of a chunk. Chunks may come out of order.
   *
   * @param encoder - Submitted right after.
   * @param chunk - Its first row is a multiple of the tile.
   */
  readonly consume: (encoder: GPUCommandEncoder, chunk: StagedRows) => void;
  readonly signal?: AbortSignal | undefined;
  /** Called with the size of each chunk once it is submitted. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

interface Slot {
  /** MAP_WRITE | COPY_SRC; mapped whenever the slot is free. */
  readonly staging: GPUBuffer;
  /** STORAGE | COPY_DST. */
  readonly storage: GPUBuffer;
}

/**
 * Streams tensors to the GPU through a ring of mapped staging buffers: the source reads straight into mapped memory,
 * and the caller's kernel brings each chunk to its place. Uploads run one after another.
 */
export class Uploader {
  readonly #gpu: Gpu;
  readonly #buffers: Buffers;
  readonly #maxSlots: number;
  #chunkBytes: number;
  #slots: Slot[] = [];
  #free: Slot[] = [];
  readonly #mapping = new Set<Promise<void>>();
  #isDisposed = false;
  /** Wakes when a slot becomes free, or is lost. */
  readonly #slotNews = new WakeUp();
  #last: Promise<void> = Promise.resolve();

  /** @throws RangeError if an option is not a positive integer. */
  constructor(gpu: Gpu, { chunkBytes = 8 * 2 ** 20, slots = 4 }: UploaderOptions = {}) {
    assertPositive('chunkBytes', chunkBytes);
    assertPositive('slots', slots);
    this.#gpu = gpu;
    this.#buffers = new Buffers(gpu, 'upload');
    this.#chunkBytes = chunkBytes;
    this.#maxSlots = slots;
  }

  /** The size of all staging buffers, on both sides of the copy. */
  get sizeBytes(): number {
    return this.#buffers.sizeBytes;
  }

  /**
   * Uploads a tensor. Resolves when all of it is submitted; {@link Uploader.finish} waits for the GPU.
   *
   * @throws The errors of {@link ByteSource.read} and of the device. RangeError if the bytes are not whole rows.
   */
  async upload(source: ByteSource, upload: Upload): Promise<void> {
    const { piece, rowBytes } = upload;
    assertPositive('rowBytes', rowBytes);
    assertPositive('rowsPerTile', upload.rowsPerTile);
    if (piece.sizeBytes % rowBytes !== 0) {
      throw new RangeError(
        `${piece.sizeBytes} bytes of ${piece.path} are not whole rows of ${rowBytes} bytes`,
      );
    }
    const uploaded = this.#last.then(() => this.#upload(source, upload));
    this.#last = uploaded.catch(() => undefined); // the caller handles it
    await uploaded;
  }

  /** Waits until the GPU has consumed every chunk. @throws {@link OssicleError} if the device failed. */
  async finish(): Promise<void> {
    await this.#last;
    await Promise.all(this.#mapping);
    await this.#gpu.settle(this.#gpu.device.queue.onSubmittedWorkDone());
  }

  dispose(): void {
    this.#isDisposed = true;
    this.#buffers.dispose();
    this.#slotNews.wake();
  }

  async #upload(source: ByteSource, upload: Upload): Promise<void> {
    const { piece, rowBytes, rowsPerTile, consume, signal, onBytes } = upload;
    const tileBytes = rowBytes * rowsPerTile;
    if (tileBytes > this.#chunkBytes) await this.#grow(tileBytes);
    const rowsPerChunk = Math.floor(this.#chunkBytes / tileBytes) * rowsPerTile;
    const totalRows = piece.sizeBytes / rowBytes;

    const failure = new AbortController();
    const either = signal ? AbortSignal.any([signal, failure.signal]) : failure.signal;
    const fail = (error: unknown): void => failure.abort(error);
    const chunks = new Set<Promise<void>>();
    for (let firstRow = 0; firstRow < totalRows && !either.aborted; firstRow += rowsPerChunk) {
      const rows = Math.min(rowsPerChunk, totalRows - firstRow);
      const offsetBytes = piece.offsetBytes + firstRow * rowBytes;
      const range = { path: piece.path, offsetBytes, sizeBytes: rows * rowBytes };
      const slot = await this.#acquire().catch(fail);
      if (!slot) break;
      const chunk = this.#fill(slot, source, range, either)
        .then(() => {
          this.#submit(slot, range.sizeBytes, (encoder) =>
            consume(encoder, { staged: slot.storage, firstRow, rows }),
          );
          onBytes?.(range.sizeBytes);
        })
        .catch(fail);
      chunks.add(chunk);
      void chunk.then(() => chunks.delete(chunk));
    }
    await Promise.all(chunks);
    either.throwIfAborted();
  }

  /** Reads a chunk into a slot, and unmaps it. If that fails, gives the slot back. */
  async #fill(
    slot: Slot,
    source: ByteSource,
    range: FileRange,
    signal: AbortSignal,
  ): Promise<void> {
    const { staging } = slot;
    try {
      const mapped = staging.getMappedRange(0, copySize(range.sizeBytes));
      await source.read(range, new Uint8Array(mapped, 0, range.sizeBytes), signal);
      signal.throwIfAborted();
      this.#check();
    } catch (error) {
      this.#check();
      // The mapped memory may have gone with the device; then mapping fails, and the device says why.
      if (staging.mapState !== 'mapped') await this.#gpu.settle(staging.mapAsync(GPUMapMode.WRITE));
      // A range stays handed out until its buffer is unmapped, so the slot must be mapped again.
      staging.unmap();
      this.#recycle(slot);
      throw error;
    }
    staging.unmap();
  }

  /** Submits the use of a filled slot, and gives it back. */
  #submit(slot: Slot, sizeBytes: number, consume: (encoder: GPUCommandEncoder) => void): void {
    const { device } = this.#gpu;
    try {
      this.#check();
      const encoder = device.createCommandEncoder({ label: 'upload' });
      encoder.copyBufferToBuffer(slot.staging, 0, slot.storage, 0, copySize(sizeBytes));
      consume(encoder);
      device.queue.submit([encoder.finish()]);
    } finally {
      this.#recycle(slot);
    }
  }

  /** Maps a slot again; it becomes free once the GPU is done with it. */
  #recycle(slot: Slot): void {
    const mapping = slot.staging
      .mapAsync(GPUMapMode.WRITE)
      .then(() => {
        this.#free.push(slot);
      })
      .catch(() => {
        // The device is lost or the uploader disposed: the next #acquire finds out which.
        this.#slots = this.#slots.filter((other) => other !== slot);
      })
      .finally(() => {
        this.#mapping.delete(mapping);
        this.#slotNews.wake();
      });
    this.#mapping.add(mapping);
  }

  /** Waits for a free slot; creates one while the limit allows. */
  async #acquire(): Promise<Slot> {
    const fitting = Math.floor(MAX_STAGING_BYTES / (2 * this.#chunkBytes));
    const limit = Math.max(1, Math.min(this.#maxSlots, fitting));
    for (;;) {
      this.#check();
      const slot = this.#free.shift();
      if (slot) return slot;
      if (this.#slots.length < limit) return this.#create();
      await this.#gpu.settle(this.#slotNews.wait());
    }
  }

  async #create(): Promise<Slot> {
    const index = this.#slots.length;
    const { MAP_WRITE, COPY_SRC, STORAGE, COPY_DST } = GPUBufferUsage;
    const buffers = this.#buffers;
    const staging = buffers.create(`staging.${index}`, this.#chunkBytes, MAP_WRITE | COPY_SRC);
    const storage = buffers.create(`staged.${index}`, this.#chunkBytes, STORAGE | COPY_DST);
    try {
      await buffers.allocated();
      await this.#gpu.settle(staging.mapAsync(GPUMapMode.WRITE));
    } catch (error) {
      buffers.release(staging);
      buffers.release(storage);
      throw error;
    }
    const slot = { staging, storage };
    this.#slots.push(slot);
    return slot;
  }

  #check(): void {
    this.#gpu.check();
    if (this.#isDisposed) {
      throw new OssicleError('disposed', 'The upload ended because the model was disposed of.');
    }
  }

  /** Replaces the ring by one of larger chunks. */
  async #grow(chunkBytes: number): Promise<void> {
    await Promise.all(this.#mapping);
    for (const { staging, storage } of this.#slots) {
      this.#buffers.release(staging);
      this.#buffers.release(storage);
    }
    this.#slots = [];
    this.#free = [];
    this.#chunkBytes = chunkBytes;
  }
}

function assertPositive(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`${name} must be a positive integer, not ${value}`);
  }
}

/** Copies are of whole 4-byte words. */
function copySize(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 4) * 4;
}
