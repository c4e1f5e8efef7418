import type { Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { type Dispatch, Kernel } from '../gpu/kernel.ts';
import type { DenseMatrix, ExpertMatrix } from './matrix.ts';
import { type KernelOptions, kernelSource, shaderConstant } from './shaders.ts';
import { BLOCK_COLUMNS, TILE_ROWS, workgroupsOf } from './shape.ts';

/** Workgroups in the first dimension of the flattened grid. */
const GRID_WIDTH = shaderConstant('lib/repack', 'GRID_WIDTH');

/** How published numbers are stored; `Q8_0` is ggml's: an f16 scale and 32 int8. */
export type NumberEncoding = 'BF16' | 'F16' | 'F32' | 'Q8_0';

/** Bytes of 32 columns. */
const BLOCK_BYTES: Readonly<Record<NumberEncoding | 'MXFP4', number>> = {
  BF16: 2 * BLOCK_COLUMNS,
  F16: 2 * BLOCK_COLUMNS,
  F32: 4 * BLOCK_COLUMNS,
  Q8_0: shaderConstant('lib/q8_0', 'Q8_0_BYTES'),
  MXFP4: shaderConstant('repack_ggml_mxfp4', 'BLOCK_BYTES'), // ggml's
};

/** Published rows in a staging buffer: `[firstRow, firstRow + rows)` of the tensor, experts' rows counted through. */
export interface StagedRows {
  /** The rows as published, from byte 0 on. */
  readonly staged: GPUBuffer;
  readonly firstRow: number;
  readonly rows: number;
}

/** Row r of a tensor becomes row `first + step * r` of the matrix, experts' rows counted through. */
export interface RowPlacement {
  readonly first: number;
  readonly step: number;
}

/** Brings one published tensor into the layout of the matmuls. */
export interface Repacking {
  /** Bytes of a published row. */
  readonly rowBytes: number;
  /** Chunks must begin at multiples of this many published rows. */
  readonly rowsPerTile: number;
  /** Re-lays a chunk of published rows. */
  dispatches(from: StagedRows): Dispatch[];
}

/** A part of a matrix: its rows, and the buffers that a kernel writes. */
interface Target {
  readonly firstRow: number;
  readonly rows: number;
  readonly buffers: Readonly<Record<string, GPUBuffer>>;
}

const IN_ORDER: RowPlacement = { first: 0, step: 1 };

/** One kernel at work on one tensor. */
interface RowKernel {
  readonly kernel: string;
  readonly options?: KernelOptions;
  readonly rowBytes: number;
  readonly invocationsPerRow: number;
  readonly targets: readonly Target[];
  readonly placement: RowPlacement;
}

/** The kernels that bring published tensors into the layout of the matmuls, each compiled at its first use. */
export class RepackKernels {
  readonly #gpu: Gpu;
  readonly #buffers: Buffers;
  readonly #kernels = new Map<string, Promise<Kernel>>();

  /** @param buffers - Owns the kernels' parameters; can be disposed of after the load. */
  constructor(gpu: Gpu, buffers: Buffers) {
    this.#gpu = gpu;
    this.#buffers = buffers;
  }

  /** Rows of a dense matrix: rounded to bfloat16 or quantised to 8 bits, unless they are that already. */
  dense(
    encoding: NumberEncoding,
    matrix: DenseMatrix,
    placement: RowPlacement = IN_ORDER,
  ): Promise<Repacking> {
    const { columns, format, parts } = matrix;
    const rows = encoding.toLowerCase();
    const common = { placement, rowBytes: bytesOfRow(encoding, columns) };
    if (format === 'bf16') {
      return this.#repackRows(matrix, {
        ...common,
        kernel: 'repack_bf16',
        options: { libraries: { rows } },
        invocationsPerRow: columns / 8,
        targets: parts.map((part) => ({ ...part, buffers: { weights: part.values } })),
      });
    }
    return this.#repackRows(matrix, {
      ...common,
      kernel: 'repack_int8',
      // Q8_0 has 8 bits in groups of 32 already: it stays as it is.
      options: { libraries: { rows, int8: encoding === 'Q8_0' ? 'q8_0' : 'quantized' } },
      invocationsPerRow: Math.ceil(columns / (2 * BLOCK_COLUMNS)),
      targets: parts.map((part) => ({
        ...part,
        buffers: { weights: part.values, scales: part.scales },
      })),
    });
  }

  /** Blocks of an expert matrix, as in the safetensors layouts. */
  blocks(matrix: ExpertMatrix): Promise<Repacking> {
    return this.#repackRows(matrix, {
      kernel: 'repack_mxfp4_blocks',
      placement: IN_ORDER,
      rowBytes: matrix.columns / 2,
      invocationsPerRow: matrix.columns / BLOCK_COLUMNS,
      targets: expertTargets(matrix, ({ blocks }) => ({ blocks })),
    });
  }

  /** Scales of an expert matrix, as in the safetensors layouts. */
  scales(matrix: ExpertMatrix): Promise<Repacking> {
    return this.#repackRows(matrix, {
      kernel: 'repack_mxfp4_scales',
      placement: IN_ORDER,
      rowBytes: matrix.columns / BLOCK_COLUMNS,
      invocationsPerRow: Math.ceil(matrix.columns / (4 * BLOCK_COLUMNS)),
      targets: expertTargets(matrix, ({ scales }) => ({ scales })),
    });
  }

  /** Blocks of an expert matrix with their scales, as in GGUF files. */
  ggmlBlocks(matrix: ExpertMatrix, placement: RowPlacement = IN_ORDER): Promise<Repacking> {
    return this.#repackRows(matrix, {
      kernel: 'repack_ggml_mxfp4',
      placement,
      rowBytes: bytesOfRow('MXFP4', matrix.columns),
      invocationsPerRow: Math.ceil(matrix.columns / (4 * BLOCK_COLUMNS)),
      targets: expertTargets(matrix, ({ blocks, scales }) => ({ blocks, scales })),
    });
  }

  /** Rows of an expert matrix, [experts, rows, columns], quantised to MXFP4. The matrix must be all zeros before. */
  quantizedRows(
    encoding: NumberEncoding,
    matrix: ExpertMatrix,
    placement: RowPlacement = IN_ORDER,
  ): Promise<Repacking> {
    return this.#repackRows(matrix, {
      kernel: 'quantize_mxfp4',
      placement,
      options: {
        libraries: { rows: encoding.toLowerCase() },
        constants: { IS_TRANSPOSED: 0 },
      },
      rowBytes: bytesOfRow(encoding, matrix.columns),
      invocationsPerRow: matrix.columns / BLOCK_COLUMNS,
      targets: expertTargets(matrix, ({ blocks, scales }) => ({ blocks, scales })),
    });
  }

  /**
   * Columns of an expert matrix, [experts, columns, rows], quantised to MXFP4. The matrix must be all zeros before.
   * A published row is a column of the matrix.
   */
  async quantizedColumns(encoding: NumberEncoding, matrix: ExpertMatrix): Promise<Repacking> {
    const { rows, columns, parts } = matrix;
    const kernel = await this.#kernel('quantize_mxfp4', {
      libraries: { rows: encoding.toLowerCase() },
      constants: { COLUMNS: columns, ROWS: rows, IS_TRANSPOSED: 1 },
    });
    return {
      rowBytes: bytesOfRow(encoding, rows),
      rowsPerTile: BLOCK_COLUMNS,
      dispatches: ({ staged, firstRow, rows: count }) =>
        parts.flatMap(({ firstExpert, experts, blocks, scales }) => {
          const partStart = firstExpert * columns;
          const first = Math.max(firstRow, partStart);
          const end = Math.min(firstRow + count, partStart + experts * columns);
          if (first >= end) return [];
          const params = this.#buffers.params(first - firstRow, first - partStart, end - first, 1);
          const resources = { params, rows: staged, blocks, scales };
          const invocations = ((end - first) / BLOCK_COLUMNS) * rows;
          return [kernel.dispatch(matrix.label, resources, flatGrid(invocations))];
        }),
    };
  }

  async #repackRows(
    { label, columns }: DenseMatrix | ExpertMatrix,
    {
      kernel: name,
      options = {},
      rowBytes,
      invocationsPerRow,
      targets,
      placement: { first, step },
    }: RowKernel,
  ): Promise<Repacking> {
    const constants = { COLUMNS: columns, ...options.constants };
    const kernel = await this.#kernel(name, { ...options, constants });
    return {
      rowBytes,
      rowsPerTile: TILE_ROWS,
      dispatches: ({ staged, firstRow, rows }) =>
        targets.flatMap((target) => {
          // The published rows that the chunk and the part share.
          const toPublished = (row: number): number => Math.ceil((row - first) / step);
          const start = Math.max(firstRow, toPublished(target.firstRow));
          const end = Math.min(firstRow + rows, toPublished(target.firstRow + target.rows));
          if (start >= end) return [];
          const toRow = first + step * start - target.firstRow;
          const params = this.#buffers.params(start - firstRow, toRow, end - start, step);
          const resources = { params, rows: staged, ...target.buffers };
          return [kernel.dispatch(label, resources, flatGrid((end - start) * invocationsPerRow))];
        }),
    };
  }

  #kernel(name: string, options: KernelOptions): Promise<Kernel> {
    const { features } = this.#gpu.device;
    const key = JSON.stringify([name, options]);
    const kernel =
      this.#kernels.get(key) ??
      Kernel.compile(this.#gpu, kernelSource(name, { ...options, features }));
    this.#kernels.set(key, kernel);
    return kernel;
  }
}

function bytesOfRow(encoding: keyof typeof BLOCK_BYTES, columns: number): number {
  return (columns / BLOCK_COLUMNS) * BLOCK_BYTES[encoding];
}

/** Workgroups for so many invocations, in two dimensions, as one allows at most 65535. */
function flatGrid(invocations: number): [x: number, y: number] {
  const workgroups = workgroupsOf('lib/repack', invocations);
  return [Math.min(workgroups, GRID_WIDTH), Math.ceil(workgroups / GRID_WIDTH)];
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
