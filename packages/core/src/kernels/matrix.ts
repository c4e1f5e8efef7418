import type { Buffers } from '../gpu/buffers.ts';
import type { DenseFormat } from '../types/load.ts';
import { BLOCK_COLUMNS, TILE_ROWS } from './shape.ts';

/** Some rows of a dense matrix, small enough for one binding. */
export interface DensePart {
  /** A multiple of the rows of a tile; for `qkv`, of a head. */
  readonly firstRow: number;
  readonly rows: number;
  /** Tiles of 16-byte vectors. */
  readonly values: GPUBuffer;
  /** f16 scales of groups of 32 columns; a placeholder if the format is `bf16`. */
  readonly scales: GPUBuffer;
}

/** A dense matrix on the GPU, [rows, columns]. */
export interface DenseMatrix {
  readonly label: string;
  readonly format: DenseFormat;
  readonly rows: number;
  /** A multiple of 32. */
  readonly columns: number;
  readonly parts: readonly DensePart[];
}

/** Some experts of an expert matrix, small enough for one binding. */
export interface ExpertPart {
  readonly firstExpert: number;
  readonly experts: number;
  /** Tiles of MXFP4 blocks. */
  readonly blocks: GPUBuffer;
  /** Scale bytes, those of 4 blocks in a u32. */
  readonly scales: GPUBuffer;
}

/** One matrix of each expert on the GPU, [experts, rows, columns], with its bias. */
export interface ExpertMatrix {
  readonly label: string;
  readonly experts: number;
  /** Of one expert; a multiple of 32. */
  readonly rows: number;
  /** A multiple of 32. */
  readonly columns: number;
  readonly parts: readonly ExpertPart[];
  /** f32 [experts, rows]. */
  readonly bias: GPUBuffer;
}

/** Bytes of the values and of the scales of one tile of a dense matrix. */
export function denseTileBytes(
  format: DenseFormat,
  columns: number,
): { values: number; scales: number } {
  if (format === 'bf16') return { values: TILE_ROWS * columns * 2, scales: 0 };
  const scales = TILE_ROWS * 4 * Math.ceil(columns / (2 * BLOCK_COLUMNS));
  return { values: TILE_ROWS * columns, scales };
}

/** Bytes of a dense matrix, including the spare rows of its last tile. */
export function denseBytes(format: DenseFormat, rows: number, columns: number): number {
  const { values, scales } = denseTileBytes(format, columns);
  return Math.ceil(rows / TILE_ROWS) * (values + scales);
}

/** Bytes of the blocks and of the scales of one expert. */
export function expertBytes(rows: number, columns: number): { blocks: number; scales: number } {
  return {
    blocks: (rows * columns) / 2,
    scales: rows * 4 * Math.ceil(columns / (4 * BLOCK_COLUMNS)),
  };
}

/** Allocates a dense matrix, in as few parts as bindings allow. */
export function allocateDense(
  buffers: Buffers,
  {
    label,
    format,
    rows,
    columns,
    maxBindingBytes,
    rowsPerUnit = TILE_ROWS,
  }: Omit<DenseMatrix, 'parts'> & {
    readonly maxBindingBytes: number;
    /** Rows that must stay together in a part; a multiple of {@link TILE_ROWS}. */
    readonly rowsPerUnit?: number;
  },
): DenseMatrix {
  const tile = denseTileBytes(format, columns);
  const unitBytes = (tile.values * rowsPerUnit) / TILE_ROWS;
  const rowsPerPart = Math.max(1, Math.floor(maxBindingBytes / unitBytes)) * rowsPerUnit;
  const parts: DensePart[] = [];
  for (let firstRow = 0; firstRow < rows; firstRow += rowsPerPart) {
    const partRows = Math.min(rowsPerPart, rows - firstRow);
    const tiles = Math.ceil(partRows / TILE_ROWS);
    parts.push({
      firstRow,
      rows: partRows,
      values: buffers.storage(`${label}[${firstRow}:]`, tiles * tile.values),
      scales: buffers.storage(`${label}.scales[${firstRow}:]`, tiles * tile.scales),
    });
  }
  return { label, format, rows, columns, parts };
}

/** Allocates an expert matrix, in as few parts of whole experts as bindings allow. */
export function allocateExperts(
  buffers: Buffers,
  {
    label,
    experts,
    rows,
    columns,
    bias,
    maxBindingBytes,
  }: Omit<ExpertMatrix, 'parts'> & { readonly maxBindingBytes: number },
): ExpertMatrix {
  const bytes = expertBytes(rows, columns);
  const expertsPerPart = Math.max(1, Math.floor(maxBindingBytes / bytes.blocks));
  const parts: ExpertPart[] = [];
  for (let firstExpert = 0; firstExpert < experts; firstExpert += expertsPerPart) {
    const count = Math.min(expertsPerPart, experts - firstExpert);
    parts.push({
      firstExpert,
      experts: count,
      blocks: buffers.storage(`${label}.blocks[${firstExpert}:]`, count * bytes.blocks),
      scales: buffers.storage(`${label}.scales[${firstExpert}:]`, count * bytes.scales),
    });
  }
  return { label, experts, rows, columns, parts, bias };
}
