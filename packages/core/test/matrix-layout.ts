/** Reads matrices back from the GPU; written from the layout in shaders/README.md, not from `src`. */

import type { DenseMatrix, ExpertMatrix } from '../src/kernels/matrix.ts';
import type { TestGpu } from './gpu.ts';
import { E2M1 } from './number-formats.ts';

const TILE = 32;

/** The contents of a dense matrix on the GPU, row by row. */
export interface DenseBits {
  /** bf16: the bits; int8: the numbers; [rows, columns]. */
  readonly elements: Int32Array;
  /** int8: the f16 bits of the scales, [rows, columns / 32]. */
  readonly scales: Int32Array;
}

/** Reads a dense matrix. */
export async function readDenseMatrix(gpu: TestGpu, matrix: DenseMatrix): Promise<DenseBits> {
  const { rows, columns, format, parts } = matrix;
  const elements = new Int32Array(rows * columns);
  const scales = new Int32Array((rows * columns) / 32);
  const perVector = format === 'bf16' ? 8 : 16;
  for (const part of parts) {
    const values = new DataView((await gpu.words(part.values)).slice().buffer);
    const scaleWords = new DataView((await gpu.words(part.scales)).slice().buffer);
    for (let row = 0; row < part.rows; row++) {
      const tile = Math.floor(row / TILE);
      for (let column = 0; column < columns; column++) {
        const vector = Math.floor(column / perVector);
        const at =
          16 * ((tile * (columns / perVector) + vector) * TILE + (row % TILE)) +
          (column % perVector) * (16 / perVector);
        elements[(part.firstRow + row) * columns + column] =
          format === 'bf16' ? values.getUint16(at, true) : values.getInt8(at);
      }
      for (let group = 0; format === 'int8' && group < columns / 32; group++) {
        const pair = tile * Math.ceil(columns / 64) + Math.floor(group / 2);
        const at = 4 * (pair * TILE + (row % TILE)) + 2 * (group % 2);
        scales[((part.firstRow + row) * columns) / 32 + group] = scaleWords.getUint16(at, true);
      }
    }
  }
  return { elements, scales };
}

/** The contents of an expert matrix on the GPU, row by row. */
export interface ExpertCodes {
  /** e2m1 codes, [experts * rows, columns]. */
  readonly codes: Uint8Array;
  /** [experts * rows, columns / 32]. */
  readonly scales: Uint8Array;
  /** The decoded values, [experts * rows, columns]. */
  readonly values: Float64Array;
}

/** Reads an expert matrix. */
export async function readExpertMatrix(gpu: TestGpu, matrix: ExpertMatrix): Promise<ExpertCodes> {
  const { experts, rows, columns, parts } = matrix;
  const blockCount = columns / 32;
  const codes = new Uint8Array(experts * rows * columns);
  const scales = new Uint8Array(experts * rows * blockCount);
  for (const part of parts) {
    const blockWords = await gpu.words(part.blocks);
    const scaleWords = await gpu.words(part.scales);
    for (let partRow = 0; partRow < part.experts * rows; partRow++) {
      const tile = Math.floor(partRow / TILE);
      const row = part.firstExpert * rows + partRow;
      for (let block = 0; block < blockCount; block++) {
        const vector = 4 * ((tile * blockCount + block) * TILE + (partRow % TILE));
        for (let j = 0; j < 32; j++) {
          const word = blockWords[vector + Math.floor(j / 8)]!;
          const pair = Math.floor(j / 2) % 4;
          const half = word >>> (16 * (j % 2));
          const code = ((half >>> (9 - 3 * pair)) & 7) | (((half >>> (15 - pair)) & 1) << 3);
          codes[row * columns + 32 * block + j] = code;
        }
        const quad = tile * Math.ceil(blockCount / 4) + Math.floor(block / 4);
        const word = scaleWords[quad * TILE + (partRow % TILE)]!;
        scales[row * blockCount + block] = (word >>> (8 * (block % 4))) & 255;
      }
    }
  }
  const values = Float64Array.from(codes, (code, i) => {
    return E2M1[code]! * 2 ** (scales[Math.floor(i / 32)]! - 127);
  });
  return { codes, scales, values };
}
