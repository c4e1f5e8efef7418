import { Uploader } from '../../packages/core/src/engine/load/upload.ts';
import { Buffers } from '../../packages/core/src/gpu/buffers.ts';
import { Gpu } from '../../packages/core/src/gpu/device.ts';
import { encode } from '../../packages/core/src/gpu/recorder.ts';
import { allocateExperts } from '../../packages/core/src/kernels/matrix.ts';
import { type Repacking, RepackKernels } from '../../packages/core/src/kernels/repack.ts';
import { parseConfig } from '../../packages/core/src/model/config.ts';
import type { ByteSource } from '../../packages/core/src/sources/byte-source.ts';
import { FileSource } from '../../packages/core/src/sources/file-source.ts';
import { emptyFile } from '../../packages/core/src/store/manifest.ts';
import { openSync } from '../../packages/core/src/store/opfs.ts';
import { StoredSource } from '../../packages/core/src/store/stored-source.ts';
import type { Sample, Stage, StageOptions } from './stage.ts';

const PATH = 'upload.bin';
const FOLDER = 'ossicle-bench';

/** Bytes that are written at a time. */
const PIECE_BYTES = 4 * 2 ** 20;

/** Bytes of a file that a load from the store verifies: its first chunk. */
const CHUNK_BYTES = 16 * 2 ** 20;

/** Bytes of a file, about. */
const FILE_BYTES = 2 ** 30;

/** Parts of an upload. What is left of its time are waits, for a mapped buffer or for the GPU at the end. */
const PARTS = ['verification', 'reads', 'calls'] as const;

/**
 * Measures the CPU's part of a load: from a stored file to the GPU, by way of mapped buffers. The kernels that re-lay weights
 * are encoded and submitted, with grids of no workgroups.
 */
export class UploadStage implements Stage {
  readonly facts: readonly Sample[];
  readonly measurements: readonly string[] = ['upload'];
  readonly #gpu: Gpu;
  readonly #buffers: Buffers;
  readonly #source: ByteSource;
  readonly #repacking: Repacking;
  /** Bytes of a tensor, and how often the file has it. */
  readonly #tensor: { readonly sizeBytes: number; readonly count: number };

  private constructor(
    gpu: Gpu,
    buffers: Buffers,
    source: ByteSource,
    repacking: Repacking,
    tensor: { readonly sizeBytes: number; readonly count: number },
  ) {
    this.#gpu = gpu;
    this.#buffers = buffers;
    this.#source = source;
    this.#repacking = repacking;
    this.#tensor = tensor;
    const megabytes = (tensor.count * tensor.sizeBytes) / 1e6;
    this.facts = [{ name: 'upload: size', value: megabytes, unit: 'MB' }];
  }

  /** Writes the blocks of experts to the browser's private file system or, in Node, to memory. */
  static async open(device: GPUDevice, options: StageOptions): Promise<UploadStage> {
    const config = parseConfig(options.config);
    const gpu = new Gpu(device);
    const buffers = new Buffers(gpu, 'bench');
    const matrix = allocateExperts(buffers, {
      label: 'mlp1',
      experts: config.experts,
      rows: 2 * config.intermediateSize,
      columns: config.hiddenSize,
      bias: buffers.storage('bias', 4),
      maxBindingBytes: device.limits.maxStorageBufferBindingSize,
    });
    const repacking = await new RepackKernels(gpu, buffers).blocks(matrix);
    await buffers.allocated();
    const sizeBytes = matrix.experts * matrix.rows * repacking.rowBytes;
    const fileBytes = config.hiddenSize < 1024 ? FILE_BYTES / 64 : FILE_BYTES;
    const tensor = { sizeBytes, count: Math.ceil(fileBytes / sizeBytes) };
    const totalBytes = tensor.count * sizeBytes;
    const source =
      'FileSystemFileHandle' in globalThis
        ? await store(totalBytes)
        : new FileSource('bench', new Map([[PATH, new Blob([...pieces(totalBytes)])]]));
    return new UploadStage(gpu, buffers, source, repacking, tensor);
  }

  /** Uploads the file. The shares of {@link PARTS} and of waits are those of the time. */
  async measure(measurement: string): Promise<Sample[]> {
    const { sizeBytes, count } = this.#tensor;
    const spentMs = { verification: 0, reads: 0, calls: 0 };
    const { id } = this.#source;
    let reading = 0; // in Node, reads overlap
    let readStartMs = 0;
    const timed: ByteSource = {
      id,
      list: () => this.#source.list(),
      size: (path) => this.#source.size(path),
      stream: (range) => this.#source.stream(range),
      read: async (from, into, signal) => {
        if (reading++ === 0) readStartMs = performance.now();
        await this.#source.read(from, into, signal);
        if (--reading === 0) spentMs.reads += performance.now() - readStartMs;
      },
    };
    const uploader = new Uploader(this.#gpu);
    const restore = timeCalls((ms) => {
      spentMs.calls += ms;
    });
    const startMs = performance.now();
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, count * sizeBytes));
    await this.#source.read({ path: PATH, offsetBytes: 0 }, chunk);
    await crypto.subtle.digest('SHA-256', chunk);
    spentMs.verification = performance.now() - startMs;
    try {
      for (let i = 0; i < count; i++) {
        await uploader.upload(timed, {
          piece: { path: PATH, offsetBytes: i * sizeBytes, sizeBytes },
          rowBytes: this.#repacking.rowBytes,
          rowsPerTile: this.#repacking.rowsPerTile,
          consume: (encoder, rows) => {
            const consumeStartMs = performance.now();
            const dispatches = this.#repacking.dispatches(rows);
            encode(
              encoder,
              dispatches.map((dispatch) => ({ ...dispatch, workgroups: [0, 0, 0] })),
            );
            spentMs.calls += performance.now() - consumeStartMs;
          },
        });
      }
      await uploader.finish();
    } finally {
      restore();
      uploader.dispose();
    }
    const ms = performance.now() - startMs;
    const share = (name: string, partMs: number): Sample => ({
      name: `${measurement}: ${name}`,
      value: (100 * partMs) / ms,
      unit: '%',
    });
    const busyMs = PARTS.reduce((sum, part) => sum + spentMs[part], 0);
    return [
      { name: measurement, value: (count * sizeBytes) / ms / 1e3, unit: 'MB/s' },
      ...PARTS.map((part) => share(part, spentMs[part])),
      share('waits', Math.max(0, ms - busyMs)),
    ];
  }

  async dispose(): Promise<void> {
    this.#source.dispose?.();
    this.#buffers.dispose();
    this.#gpu.dispose();
    if (this.#source instanceof FileSource) return;
    const root = await navigator.storage.getDirectory();
    await root.removeEntry(FOLDER, { recursive: true }).catch(() => undefined); // still open
  }
}

/** Adds up the time in the WebGPU calls that move memory. @returns Undoes that. */
function timeCalls(add: (ms: number) => void): () => void {
  const methods = [
    [GPUBuffer.prototype, 'getMappedRange'],
    [GPUBuffer.prototype, 'unmap'],
    [GPUQueue.prototype, 'submit'],
  ] as const;
  const originals = methods.map(([prototype, name]) => Reflect.get(prototype, name));
  for (const [i, [prototype, name]] of methods.entries()) {
    Reflect.set(prototype, name, function (this: unknown, ...args: unknown[]) {
      const startMs = performance.now();
      try {
        return Reflect.apply(originals[i], this, args);
      } finally {
        add(performance.now() - startMs);
      }
    });
  }
  return () => {
    for (const [i, [prototype, name]] of methods.entries()) {
      Reflect.set(prototype, name, originals[i]);
    }
  };
}

/** Pieces of a file, no two the same. */
function* pieces(sizeBytes: number): Generator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < sizeBytes; at += PIECE_BYTES) {
    yield new Uint8Array(Math.min(PIECE_BYTES, sizeBytes - at)).fill(at / PIECE_BYTES + 1);
  }
}

async function store(sizeBytes: number): Promise<StoredSource> {
  const root = await navigator.storage.getDirectory();
  const directory = await root.getDirectoryHandle(FOLDER, { create: true });
  const file = await openSync(await directory.getFileHandle(PATH, { create: true }), 'readwrite');
  let at = 0;
  for (const bytes of pieces(sizeBytes)) at += file.write(bytes, { at });
  file.flush();
  file.close();
  const files = [emptyFile({ path: PATH, sizeBytes }, PIECE_BYTES)];
  const now = Date.now();
  return new StoredSource(
    {
      version: 2,
      id: 'bench',
      revision: undefined,
      chunkBytes: PIECE_BYTES,
      files,
      storedAt: now,
      usedAt: now,
    },
    directory,
    () => undefined,
  );
}
