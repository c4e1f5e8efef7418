import { Uploader } from '../../packages/core/src/engine/load/upload.ts';
import { Gpu } from '../../packages/core/src/gpu/device.ts';
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

/** Measures the CPU's part of a load: from a stored file to the GPU, without the kernels that re-lay weights. */
export class UploadStage implements Stage {
  readonly facts: readonly Sample[] = [];
  readonly measurements: readonly string[] = ['upload'];
  readonly #gpu: Gpu;
  readonly #source: ByteSource;
  readonly #sizeBytes: number;

  private constructor(gpu: Gpu, source: ByteSource, sizeBytes: number) {
    this.#gpu = gpu;
    this.#source = source;
    this.#sizeBytes = sizeBytes;
  }

  /** Writes the file, to the browser's private file system or, in Node, to memory. */
  static async open(device: GPUDevice, { config }: StageOptions): Promise<UploadStage> {
    const sizeBytes = Number(config.hidden_size) < 1024 ? 2 ** 24 : 2 ** 30;
    const source =
      'FileSystemFileHandle' in globalThis
        ? await store(sizeBytes)
        : new FileSource('bench', new Map([[PATH, new Blob([...pieces(sizeBytes)])]]));
    return new UploadStage(new Gpu(device), source, sizeBytes);
  }

  async measure(measurement: string): Promise<Sample[]> {
    let readMs = 0;
    const { id } = this.#source;
    const timed: ByteSource = {
      id,
      list: () => this.#source.list(),
      size: (path) => this.#source.size(path),
      stream: (range) => this.#source.stream(range),
      read: async (from, into, signal) => {
        const startMs = performance.now();
        await this.#source.read(from, into, signal);
        readMs += performance.now() - startMs;
      },
    };
    const uploader = new Uploader(this.#gpu);
    const startMs = performance.now();
    await uploader.upload(timed, {
      piece: { path: PATH, offsetBytes: 0, sizeBytes: this.#sizeBytes },
      rowBytes: 4096,
      rowsPerTile: 1,
      consume: () => {},
    });
    await uploader.finish();
    const ms = performance.now() - startMs;
    uploader.dispose();
    return [
      { name: measurement, value: this.#sizeBytes / ms / 1e3, unit: 'MB/s' },
      { name: `${measurement}: reads`, value: this.#sizeBytes / readMs / 1e3, unit: 'MB/s' },
    ];
  }

  async dispose(): Promise<void> {
    this.#source.dispose?.();
    this.#gpu.dispose();
    if (this.#source instanceof FileSource) return;
    const root = await navigator.storage.getDirectory();
    await root.removeEntry(FOLDER, { recursive: true }).catch(() => undefined); // still open
  }
}

/** Pieces of a file, no two the same. */
function* pieces(sizeBytes: number): Generator<Uint8Array<ArrayBuffer>> {
  for (let i = 0; i < sizeBytes / PIECE_BYTES; i++) {
    yield new Uint8Array(PIECE_BYTES).fill(i + 1);
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
