/** Rows that await their norm, as kernels for few tokens hand them on (shaders/lib/normed_rows.wgsl). */

import { expect } from 'vitest';

/** Columns that share a sum of squares. */
const SQUARES = 8;

/** x * scale of each row of x, [rows, columns], followed by the sums of the squares of every 8 columns of x. */
export function normedRows(x: Float64Array, scale: Float64Array): Float64Array {
  const columns = scale.length;
  const rows: number[] = [];
  for (let start = 0; start < x.length; start += columns) {
    const row = x.subarray(start, start + columns);
    rows.push(...row.map((value, i) => value * scale[i]!));
    for (let i = 0; i < columns; i += SQUARES) {
      rows.push(row.subarray(i, i + SQUARES).reduce((sum, value) => sum + value * value, 0));
    }
  }
  return Float64Array.from(rows);
}

/** Expects what {@link normedRows} returns, sums of squares apart from the rest. */
export function expectNormedRows(
  actual: ArrayLike<number>,
  x: Float64Array,
  scale: Float64Array,
  tolerance: number,
): void {
  const expected = normedRows(x, scale);
  const width = scale.length * (1 + 1 / SQUARES);
  const isSquare = (_: number, i: number): boolean => i % width >= scale.length;
  const isNumber = (_: number, i: number): boolean => i % width < scale.length;
  const values = Float64Array.from(actual);
  expect(values.length).toBe(expected.length);
  expect(values.filter(isNumber)).toBeCloseToArray(expected.filter(isNumber), tolerance);
  expect(values.filter(isSquare)).toBeCloseToArray(expected.filter(isSquare), 2 * tolerance);
}

/** The norms that rows await. */
export function completedNorm(
  rows: ArrayLike<number>,
  columns: number,
  epsilon: number,
): Float64Array {
  const width = columns * (1 + 1 / SQUARES);
  const norms: number[] = [];
  for (let start = 0; start < rows.length; start += width) {
    let sum = 0;
    for (let i = columns; i < width; i++) sum += rows[start + i]!;
    const factor = 1 / Math.sqrt(sum / columns + epsilon);
    for (let i = 0; i < columns; i++) norms.push(rows[start + i]! * factor);
  }
  return Float64Array.from(norms);
}
