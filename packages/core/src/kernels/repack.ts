import type { Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { type Dispatch, Kernel } from '../gpu/kernel.ts';
import { type DenseMatrix, type ExpertMatrix, TILE_ROWS } from './matrix.ts';
import { type KernelName, kernelSource } from './shaders.ts';

/** Workgroups of the flattened grid's first dimension, and invocations of a workgroup (`shaders/lib/repack.wgsl`). */
const GRID_WIDTH = 32768;
const WORKGROUP_SIZE = 64;

/** Which published rows a chunk holds: `[firstRow, firstRow + rows)` of the tensor; of all experts' rows in a row. */
export interface StagedRows {
  /** The rows as published, from byte 0 on. */
  readonly staged: GPUBuffer;
  readonly firstRow: number;
  readonly rows: number;
}

/** The kernels that bring published tensors into the layout of the matmuls, for some numbers of columns. */
export class RepackKernels {
  readonly #kernels: ReadonlyMap<string, Kernel>;
  readonly #buffers: Buffers;

  private constructor(kernels: ReadonlyMap<string, Kernel>, buffers: Buffers) {
    this.#kernels = kernels;
    this.#buffers = buffers;
  }

  /**
   * Compiles them.
   *
   * @param columns - Every number of columns that a matrix has.
   * @param buffers - Owns the kernels' parameters; they are of no use after the load.
   */
  static async compile(
    gpu: Gpu,
    columns: readonly number[],
    buffers: Buffers,
  ): Promise<RepackKernels> {
    const names: KernelName[] = [
      'repack_bf16',
      'quantize_int8',
      'repack_mxfp4_blocks',
      'repack_mxfp4_scales',
    ];
    const kernels = await Promise.all(
      [...new Set(columns)].flatMap((COLUMNS) =>
        names.map(async (name): Promise<[string, Kernel]> => {
          const source = kernelSource(name, ['tile', 'repack'], { COLUMNS });
          return [`${name}/${COLUMNS}`, await Kernel.compile(gpu, source)];
        }),
      ),
    );
    return new RepackKernels(new Map(kernels), buffers);
  }

  /** Published bfloat16 rows of a dense matrix. */
  dense(from: StagedRows, matrix: DenseMatrix): Dispatch[] {
    const { columns, format } = matrix;
    return matrix.parts.flatMap((part) => {
      if (format === 'bf16') {
        const to = { weights: part.values };
        return this.#dispatch('repack_bf16', matrix, from, part, to, columns / 8);
      }
      const to = { weights: part.values, scales: part.scales };
      return this.#dispatch('quantize_int8', matrix, from, part, to, Math.ceil(columns / 64));
    });
  }

  /** Published blocks of an expert matrix. */
  blocks(from: StagedRows, matrix: ExpertMatrix): Dispatch[] {
    return matrix.parts.flatMap((part) =>
      this.#dispatch(
        'repack_mxfp4_blocks',
        matrix,
        from,
        { firstRow: part.firstExpert * matrix.rows, rows: part.experts * matrix.rows },
        { blocks: part.blocks },
        matrix.columns / 32,
      ),
    );
  }

  /** Published scales of an expert matrix. */
  scales(from: StagedRows, matrix: ExpertMatrix): Dispatch[] {
    return matrix.parts.flatMap((part) =>
      this.#dispatch(
        'repack_mxfp4_scales',
        matrix,
        from,
        { firstRow: part.firstExpert * matrix.rows, rows: part.experts * matrix.rows },
        { scales: part.scales },
        Math.ceil(matrix.columns / 128),
      ),
    );
  }

  /** For the rows that chunk and part share, if any. */
  #dispatch(
    name: KernelName,
    { label, columns }: DenseMatrix | ExpertMatrix,
    from: StagedRows,
    part: { readonly firstRow: number; readonly rows: number },
    to: Readonly<Record<string, GPUBuffer>>,
    invocationsPerRow: number,
  ): Dispatch[] {
    const first = Math.max(from.firstRow, part.firstRow);
    const rows = Math.min(from.firstRow + from.rows, part.firstRow + part.rows) - first;
    if (rows <= 0) return [];
    const kernel = this.#kernels.get(`${name}/${columns}`);
    if (!kernel) throw new Error(`no kernel ${name} for ${columns} columns`);
    const params = this.#buffers.params(first - from.firstRow, first - part.firstRow, rows);
    const workgroups = Math.ceil((rows * invocationsPerRow) / WORKGROUP_SIZE);
    return [
      kernel.dispatch(label, { params, rows: from.staged, ...to }, [
        Math.min(workgroups, GRID_WIDTH),
        Math.ceil(workgroups / GRID_WIDTH),
      ]),
    ];
  }
}

/** The size of a published row in bytes, and how many rows belong together, for streaming them to the GPU. */
export const PUBLISHED_ROWS: {
  readonly dense: (columns: number) => number;
  readonly blocks: (columns: number) => number;
  readonly scales: (columns: number) => number;
  readonly perTile: number;
} = {
  dense: (columns) => columns * 2,
  blocks: (columns) => columns / 2,
  scales: (columns) => columns / 32,
  perTile: TILE_ROWS,
};
