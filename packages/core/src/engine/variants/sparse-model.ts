import type { KernelShape } from '../../kernels/shape.ts';
import { BLOCK_COLUMNS, HEAD_SIZE, TILE_ROWS } from '../../kernels/shape.ts';

/** A matrix of which all rows are zero but a few. */
export interface SparseMatrix {
  readonly rows: number;
  readonly columns: number;
  /** The first rows of tiles that are not zero. */
  readonly tiles: readonly SparseTile[];
}

/** Neighbouring rows of a {@link SparseMatrix}. */
export interface SparseTile {
  readonly firstRow: number;
  /** [rows, columns]; each is a multiple of a power of two, so that every format of weights holds it exactly. */
  readonly values: Float32Array<ArrayBuffer>;
  /** [rows]. */
  readonly bias: Float32Array<ArrayBuffer>;
  /** For experts: the values as published, a byte for two columns, and a scale byte for 32. */
  readonly blocks?: Uint8Array<ArrayBuffer>;
  readonly scales?: Uint8Array<ArrayBuffer>;
}

/** Weights of a model of one layer; norms scale by 1. */
export interface SparseModel {
  /** [tokens, hiddenSize]. */
  readonly embedding: SparseMatrix;
  readonly qkv: SparseMatrix;
  /** f32 [heads]. */
  readonly sinks: Float32Array<ArrayBuffer>;
  readonly out: SparseMatrix;
  readonly gate: SparseMatrix;
  /** f32 [experts], in place of the bias of `gate`: all tokens choose the first experts. */
  readonly gateBias: Float32Array<ArrayBuffer>;
  /** One for each chosen expert. */
  readonly mlp1: readonly SparseMatrix[];
  readonly mlp2: readonly SparseMatrix[];
  readonly unembedding: SparseMatrix;
}

/** The first rows of each expert, beyond which all are zero. */
export const EXPERT_ROWS = 128;

/** The magnitudes of e2m1 (OCP Microscaling Formats, table 5). */
const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

/** Seeded numbers from 0 to 2^24 - 1: a linear congruential generator (Numerical Recipes). */
function createNoise(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
}

/** Makes a model of a shape, the same each time. */
export function createSparseModel(shape: KernelShape): SparseModel {
  const { hiddenSize, intermediateSize, heads, kvHeads, experts, expertsPerToken } = shape;
  const noise = createNoise();
  const small = (): number => ((noise() % 255) - 127) / 128;

  const matrix = (
    rows: number,
    columns: number,
    firstRows: readonly number[],
    fill: (count: number, exponent: number) => Omit<SparseTile, 'firstRow' | 'bias'>,
  ): SparseMatrix => {
    const exponent = -Math.round(Math.log2(columns) / 2); // products of columns stay around 1
    const tiles = [...new Set(firstRows)].map((firstRow) => {
      const count = Math.min(TILE_ROWS, rows - firstRow);
      const bias = Float32Array.from({ length: count }, small);
      return { firstRow, bias, ...fill(count * columns, exponent) };
    });
    return { rows, columns, tiles };
  };
  const dense = (rows: number, columns: number, firstRows: readonly number[]): SparseMatrix =>
    matrix(rows, columns, firstRows, (count, exponent) => ({
      // The largest of each group of 32 is 127, so that 8 bits hold all of them.
      values: Float32Array.from(
        { length: count },
        (_, i) => (i % BLOCK_COLUMNS === 5 ? 127 : (noise() % 255) - 127) * 2 ** (exponent - 7),
      ),
    }));
  const expert = (rows: number, columns: number): SparseMatrix =>
    matrix(rows, columns, [0, Math.min(rows, EXPERT_ROWS) - TILE_ROWS], (count, exponent) => {
      const blocks = Uint8Array.from({ length: count / 2 }, () => noise() % 256);
      const scales = Uint8Array.from(
        { length: count / BLOCK_COLUMNS },
        () => 127 + exponent - 1 - (noise() % 3),
      );
      const values = Float32Array.from({ length: count }, (_, i) => {
        const code = ((blocks[i >> 1] as number) >> (4 * (i % 2))) & 15;
        const scale = 2 ** ((scales[Math.floor(i / BLOCK_COLUMNS)] as number) - 127);
        return (code < 8 ? 1 : -1) * (E2M1[code & 7] as number) * scale;
      });
      return { blocks, scales, values };
    });

  const tokens = Math.min(TILE_ROWS, shape.vocabularySize);
  const qkvRows = (heads + 2 * kvHeads) * HEAD_SIZE;
  const lastTile = (rows: number): number => Math.floor((rows - 1) / TILE_ROWS) * TILE_ROWS;
  // Halves of the first query, key and value head, and of the last value head.
  const qkvTiles = [0, heads, heads + kvHeads].map((head) => head * HEAD_SIZE);
  const gateTiles = Array.from({ length: Math.ceil(experts / TILE_ROWS) }, (_, i) => i * TILE_ROWS);
  const chosen = Array.from({ length: expertsPerToken }, () => undefined);
  return {
    embedding: dense(tokens, hiddenSize, [0]),
    qkv: dense(qkvRows, hiddenSize, [...qkvTiles, lastTile(qkvRows)]),
    sinks: Float32Array.from({ length: heads }, small),
    out: dense(hiddenSize, heads * HEAD_SIZE, [0, lastTile(hiddenSize)]),
    gate: dense(experts, hiddenSize, gateTiles),
    gateBias: Float32Array.from({ length: experts }, (_, i) => (i < expertsPerToken ? 50 : 0)),
    mlp1: chosen.map(() => expert(2 * intermediateSize, hiddenSize)),
    mlp2: chosen.map(() => expert(hiddenSize, intermediateSize)),
    unembedding: dense(tokens, hiddenSize, [0]),
  };
}
