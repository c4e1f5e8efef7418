import { HEAD_SIZE, type KernelShape } from '../../kernels/shape.ts';
import type { SparseMatrix, SparseModel } from './sparse-model.ts';

const HALF = HEAD_SIZE / 2;

type Numbers = Float64Array;

/**
 * The logits of every token after two layers of the same weights, a sliding and a full one, in float64 on the CPU.
 *
 * @param ropeTable - [positions, 64], see `ropeTable`.
 * @returns [tokens, rows of the unembedding].
 */
export function float64Pass(
  w: SparseModel,
  shape: KernelShape,
  ropeTable: Float32Array,
  tokens: readonly number[],
): Float64Array[] {
  let x: Numbers[] = tokens.map((token) => Float64Array.from(row(w.embedding, token)));
  for (const window of [shape.slidingWindow, Infinity]) {
    const projected = x.map((token) => times(w.qkv, norm(token, shape)));
    for (const [position, token] of projected.entries()) rotate(token, position, shape, ropeTable);
    x = x.map((token, position) => {
      const attended = attend(projected, position, window, w.sinks, shape);
      return add(token, times(w.out, attended));
    });
    x = x.map((token) => add(token, experts(w, norm(token, shape), shape)));
  }
  return x.map((token) => times(w.unembedding, norm(token, shape), false));
}

function row({ columns, tiles }: SparseMatrix, index: number): Float32Array {
  return (tiles[0]?.values ?? new Float32Array()).subarray(index * columns, (index + 1) * columns);
}

/** W x + b, or W x. */
function times(matrix: SparseMatrix, x: Float64Array, hasBias = true): Float64Array {
  const { rows, columns, tiles } = matrix;
  const y = new Float64Array(rows);
  for (const { firstRow, values, bias } of tiles) {
    for (let r = 0; r < bias.length; r++) {
      let sum = hasBias ? (bias[r] as number) : 0;
      for (let c = 0; c < columns; c++)
        sum += (values[r * columns + c] as number) * (x[c] as number);
      y[firstRow + r] = sum;
    }
  }
  return y;
}

function add(x: Float64Array, y: Float64Array): Float64Array {
  return x.map((value, i) => value + (y[i] as number));
}

/** x / rms(x). */
function norm(x: Float64Array, { normEpsilon }: KernelShape): Float64Array {
  const square = x.reduce((sum, value) => sum + value * value, 0) / x.length;
  return x.map((value) => value / Math.sqrt(square + normEpsilon));
}

/** Rotates the queries and keys of one token, [heads + 2 kvHeads, 64]. */
function rotate(
  projected: Float64Array,
  position: number,
  { heads, kvHeads }: KernelShape,
  ropeTable: Float32Array,
): void {
  for (let at = 0; at < (heads + kvHeads) * HEAD_SIZE; at += HEAD_SIZE) {
    for (let i = 0; i < HALF; i++) {
      const cos = ropeTable[position * HEAD_SIZE + i] as number;
      const sin = ropeTable[position * HEAD_SIZE + HALF + i] as number;
      const a = projected[at + i] as number;
      const b = projected[at + HALF + i] as number;
      projected[at + i] = a * cos - b * sin;
      projected[at + HALF + i] = b * cos + a * sin;
    }
  }
}

/** softmax(q k / 8, sink) v of the token at a position, [heads, 64]. */
function attend(
  projected: readonly Float64Array[],
  position: number,
  window: number,
  sinks: Float32Array,
  { heads, kvHeads }: KernelShape,
): Float64Array {
  const seen = projected.slice(Math.max(0, position + 1 - window), position + 1);
  const attended = new Float64Array(heads * HEAD_SIZE);
  for (let head = 0; head < heads; head++) {
    const kvHead = Math.floor(head / (heads / kvHeads));
    const part = (token: Float64Array, index: number): Float64Array =>
      token.subarray(index * HEAD_SIZE, (index + 1) * HEAD_SIZE);
    const q = part(projected[position] as Float64Array, head);
    const weights = seen.map((token) =>
      Math.exp(dot(q, part(token, heads + kvHead)) / Math.sqrt(HEAD_SIZE)),
    );
    const sum = weights.reduce((a, b) => a + b, Math.exp(sinks[head] as number));
    seen.forEach((token, i) => {
      const v = part(token, heads + kvHeads + kvHead);
      for (let d = 0; d < HEAD_SIZE; d++) {
        const at = head * HEAD_SIZE + d;
        attended[at] = (attended[at] as number) + ((weights[i] as number) / sum) * (v[d] as number);
      }
    });
  }
  return attended;
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
}

/** The weighted sum of the chosen experts, which are the first ones. */
function experts(w: SparseModel, h: Float64Array, { swigluLimit }: KernelShape): Float64Array {
  const weights = times(w.gate, h, false).subarray(0, w.mlp1.length).map(Math.exp);
  const sum = weights.reduce((a, b) => a + b);
  const outputs = w.mlp1.map((mlp1, i) => {
    const hidden = swiglu(times(mlp1, h), swigluLimit);
    const weight = (weights[i] as number) / sum;
    return times(w.mlp2[i] as SparseMatrix, hidden).map((value) => weight * value);
  });
  return outputs.reduce<Numbers>(add, new Float64Array(h.length));
}

/** gate * sigmoid(1.702 gate) * (up + 1), of gates and ups in turn. */
function swiglu(x: Float64Array, limit: number): Float64Array {
  return Float64Array.from({ length: x.length / 2 }, (_, i) => {
    const gate = Math.min(x[2 * i] as number, limit);
    const up = Math.min(Math.max(x[2 * i + 1] as number, -limit), limit);
    return (gate / (1 + Math.exp(-1.702 * gate))) * (up + 1);
  });
}
