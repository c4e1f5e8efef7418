import type { Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { type Dispatch, Kernel } from '../gpu/kernel.ts';
import { type DenseMatrix, type ExpertMatrix, TILE_ROWS } from './matrix.ts';
import { type KernelName, kernelSource, type LibraryName } from './shaders.ts';
import { BLOCK_COLUMNS } from './shape.ts';

/** Workgroups of the flattened grid's first dimension, and invocations of a workgroup (`shaders/lib/repack.wgsl`). */
const GRID_WIDTH = 32768;
const WORKGROUP_SIZE = 64;

/** How published numbers are stored; `Q8_0` is ggml's: blocks of 32 in 34 bytes. */
export type NumberEncoding = 'BF16' | 'F16' | 'F32' | 'Q8_0';

/** Bytes of 32 columns of each, and the libraries by which kernels read them. */
const ENCODINGS: Readonly<
  Record<NumberEncoding, { readonly bytes: number; readonly libraries: readonly LibraryName[] }>
> = {
  BF16: { bytes: 64, libraries: ['rows_bf16'] },
  F16: { bytes: 64, libraries: ['rows_f16', 'f16'] },
  F32: { bytes: 128, libraries: ['rows_f32'] },
  Q8_0: { bytes: 34, libraries: ['rows_q8_0', 'bytes', 'f16'] },
};

/** Bytes of ggml's MXFP4 block of 32 columns. */
const GGML_MXFP4_BYTES = 17;

/** Which published rows a chunk holds: `[firstRow, firstRow + rows)` of the tensor; of all experts' rows in a row. */
export interface StagedRows {
  /** The rows as published, from byte 0 on. */
  readonly staged: GPUBuffer;
  readonly firstRow: number;
  readonly rows: number;
}

/** Where a tensor's rows go: row r becomes row `first + step * r` of the matrix, of all experts' rows in a row. */
export interface RowPlacement {
  readonly first: number;
  readonly step: number;
}

/** One published tensor on its way into the layout of the matmuls. */
export interface Repacking {
  /** The size of a published row. */
  readonly rowBytes: number;
  /** Chunks begin at multiples of this many published rows. */
  readonly rowsPerTile: number;
  /** What brings a chunk of published rows to its place. */
  dispatches(from: StagedRows): Dispatch[];
}

/** A part of a matrix: its rows, and what a kernel writes of it. */
interface Target {
  readonly firstRow: number;
  readonly rows: number;
  readonly buffers: Readonly<Record<string, GPUBuffer>>;
}

const IN_ORDER: RowPlacement = { first: 0, step: 1 };

/** The kernels that bring published tensors into the layout of the matmuls. Each is compiled when it is first asked for. */
export class RepackKernels {
  readonly #gpu: Gpu;
  readonly #buffers: Buffers;
  readonly #kernels = new Map<string, Promise<Kernel>>();

  /** @param buffers - Owns the kernels' parameters; they are of no use after the load. */
  constructor(gpu: Gpu, buffers: Buffers) {
    this.#gpu = gpu;
    this.#buffers = buffers;
  }

  /** Rows of a dense matrix: rounded to bfloat16 or quantised to 8 bits, but where they are that already. */
  dense(
    encoding: NumberEncoding,
    matrix: DenseMatrix,
    placement: RowPlacement = IN_ORDER,
  ): Promise<Repacking> {
    const { columns, format, parts } = matrix;
    const rowBytes = (columns / BLOCK_COLUMNS) * ENCODINGS[encoding].bytes;
    if (format === 'bf16') {
      const targets = parts.map((part) => ({ ...part, buffers: { weights: part.values } }));
      const libraries = ENCODINGS[encoding].libraries;
      const perRow = columns / 8;
      return this.#repacking(
        'repack_bf16',
        libraries,
        matrix,
        rowBytes,
        perRow,
        targets,
        placement,
      );
    }
    const targets = parts.map((part) => ({
      ...part,
      buffers: { weights: part.values, scales: part.scales },
    }));
    // What is 8 bits in groups of 32 already stays as it is.
    const libraries: readonly LibraryName[] =
      encoding === 'Q8_0'
        ? ['int8_q8_0', 'bytes']
        : ['int8_quantized', ...ENCODINGS[encoding].libraries];
    const perRow = Math.ceil(columns / (2 * BLOCK_COLUMNS));
    return this.#repacking('repack_int8', libraries, matrix, rowBytes, perRow, targets, placement);
  }

  /** Blocks of an expert matrix, as in the safetensors layouts. */
  blocks(matrix: ExpertMatrix): Promise<Repacking> {
    const { columns } = matrix;
    const targets = expertTargets(matrix, ({ blocks }) => ({ blocks }));
    const perRow = columns / BLOCK_COLUMNS;
    const name = 'repack_mxfp4_blocks';
    return this.#repacking(name, ['mxfp4_codes'], matrix, columns / 2, perRow, targets);
  }

  /** Scales of an expert matrix, as in the safetensors layouts. */
  scales(matrix: ExpertMatrix): Promise<Repacking> {
    const { columns } = matrix;
    const targets = expertTargets(matrix, ({ scales }) => ({ scales }));
    const perRow = Math.ceil(columns / (4 * BLOCK_COLUMNS));
    const rowBytes = columns / BLOCK_COLUMNS;
    const libraries: readonly LibraryName[] = ['bytes', 'mxfp4_scales'];
    const name = 'repack_mxfp4_scales';
    return this.#repacking(name, libraries, matrix, rowBytes, perRow, targets);
  }

  /** Blocks of an expert matrix with their scales, as in GGUF files. */
  ggmlBlocks(matrix: ExpertMatrix, placement: RowPlacement = IN_ORDER): Promise<Repacking> {
    const { columns } = matrix;
    const targets = expertTargets(matrix, ({ blocks, scales }) => ({ blocks, scales }));
    const perRow = Math.ceil(columns / (4 * BLOCK_COLUMNS));
    const rowBytes = (columns / BLOCK_COLUMNS) * GGML_MXFP4_BYTES;
    const libraries: readonly LibraryName[] = ['bytes', 'mxfp4_codes', 'mxfp4_scales'];
    const name = 'repack_ggml_mxfp4';
    return this.#repacking(name, libraries, matrix, rowBytes, perRow, targets, placement);
  }

  /** Rows of an expert matrix, [experts, rows, columns], to be quantised to MXFP4. The matrix must be all zeros before. */
  quantizedRows(
    encoding: NumberEncoding,
    matrix: ExpertMatrix,
    placement: RowPlacement = IN_ORDER,
  ): Promise<Repacking> {
    const perRow = matrix.columns / BLOCK_COLUMNS;
    const { bytes, libraries } = ENCODINGS[encoding];
    return this.#repacking(
      'quantize_mxfp4',
      libraries,
      matrix,
      perRow * bytes,
      perRow,
      expertTargets(matrix, ({ blocks, scales }) => ({ blocks, scales })),
      placement,
      { IS_TRANSPOSED: 0 },
    );
  }

  /**
   * Columns of an expert matrix, [experts, columns, rows], to be quantised to MXFP4. The matrix must be all zeros before.
   * A published row is a column here.
   */
  async quantizedColumns(encoding: NumberEncoding, matrix: ExpertMatrix): Promise<Repacking> {
    const { label, rows, columns, parts } = matrix;
    const { bytes, libraries } = ENCODINGS[encoding];
    const constants = { COLUMNS: columns, ROWS: rows, IS_TRANSPOSED: 1 };
    const kernel = await this.#kernel('quantize_mxfp4', libraries, constants);
    return {
      rowBytes: (rows / BLOCK_COLUMNS) * bytes,
      rowsPerTile: BLOCK_COLUMNS,
      dispatches: (from) =>
        parts.flatMap(({ firstExpert, experts, blocks, scales }) => {
          const partStart = firstExpert * columns;
          const first = Math.max(from.firstRow, partStart);
          const end = Math.min(from.firstRow + from.rows, partStart + experts * columns);
          if (first >= end) return [];
          const params = [first - from.firstRow, first - partStart, end - first, 1];
          const invocations = ((end - first) / BLOCK_COLUMNS) * rows;
          return [this.#dispatch(kernel, label, from, params, { blocks, scales }, invocations)];
        }),
    };
  }

  async #repacking(
    name: KernelName,
    libraries: readonly LibraryName[],
    { label, columns }: DenseMatrix | ExpertMatrix,
    rowBytes: number,
    invocationsPerRow: number,
    targets: readonly Target[],
    { first, step }: RowPlacement = IN_ORDER,
    constants: Readonly<Record<string, number>> = {},
  ): Promise<Repacking> {
    const kernel = await this.#kernel(name, libraries, { COLUMNS: columns, ...constants });
    return {
      rowBytes,
      rowsPerTile: TILE_ROWS,
      dispatches: (from) =>
        targets.flatMap((target) => {
          // The published rows that the chunk and the part share.
          const toPublished = (row: number): number => Math.ceil((row - first) / step);
          const start = Math.max(from.firstRow, toPublished(target.firstRow));
          const end = Math.min(
            from.firstRow + from.rows,
            toPublished(target.firstRow + target.rows),
          );
          if (start >= end) return [];
          const toRow = first + step * start - target.firstRow;
          const params = [start - from.firstRow, toRow, end - start, step];
          const invocations = (end - start) * invocationsPerRow;
          return [this.#dispatch(kernel, label, from, params, target.buffers, invocations)];
        }),
    };
  }

  #dispatch(
    kernel: Kernel,
    label: string,
    { staged }: StagedRows,
    params: readonly number[],
    to: Readonly<Record<string, GPUBuffer>>,
    invocations: number,
  ): Dispatch {
    const workgroups = Math.ceil(invocations / WORKGROUP_SIZE);
    const resources = { params: this.#buffers.params(...params), rows: staged, ...to };
    return kernel.dispatch(label, resources, [
      Math.min(workgroups, GRID_WIDTH),
      Math.ceil(workgroups / GRID_WIDTH),
    ]);
  }

  #kernel(
    name: KernelName,
    libraries: readonly LibraryName[],
    constants: Readonly<Record<string, number>>,
  ): Promise<Kernel> {
    const key = [name, ...libraries, ...Object.values(constants)].join('/');
    let kernel = this.#kernels.get(key);
    if (!kernel) {
      const source = kernelSource(name, ['tile', 'repack', ...libraries], constants);
      kernel = Kernel.compile(this.#gpu, source);
      this.#kernels.set(key, kernel);
    }
    return kernel;
  }
}

function expertTargets(
  { rows, parts }: ExpertMatrix,
  buffers: (part: ExpertMatrix['parts'][number]) => Readonly<Record<string, GPUBuffer>>,
): Target[] {
  return parts.map((part) => ({
    firstRow: part.firstExpert * rows,
    rows: part.experts * rows,
    buffers: buffers(part),
  }));
}
