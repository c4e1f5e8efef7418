import type { Cost } from '../gpu/kernel.ts';
import { type DenseMatrix, denseBytes, type ExpertMatrix, expertBytes } from './matrix.ts';
import { HEAD_SIZE, type KernelShape } from './shape.ts';

/** The cost of multiplying tokens by rows of a dense matrix, which are read once. */
export function denseCost({ format, columns }: DenseMatrix, rows: number, tokens: number): Cost {
  return { flops: 2 * rows * columns * tokens, bytes: denseBytes(format, rows, columns) };
}

/**
 * The cost of multiplying slots by their experts, as far as these are in one part of the matrix.
 *
 * @param slots - Pairs of a token and an expert, expected to be spread evenly over all experts, each read once.
 */
export function expertCost(
  { experts, rows, columns }: ExpertMatrix,
  part: ExpertMatrix['parts'][number],
  slots: number,
): Cost {
  const share = part.experts / experts;
  const { blocks, scales } = expertBytes(rows, columns);
  return {
    flops: 2 * rows * columns * slots * share,
    bytes: (blocks + scales) * Math.min(slots, experts) * share,
  };
}

/** The cost of attention of some tokens over a full cache. */
export function attentionCost(
  { heads, kvHeads, slidingWindow, contextLength, kvCache }: KernelShape,
  isSliding: boolean,
  tokens: number,
): Cost {
  const keys = isSliding ? slidingWindow : contextLength;
  return {
    flops: 4 * heads * HEAD_SIZE * keys * tokens, // scores and weighted values
    bytes: 2 * kvHeads * HEAD_SIZE * keys * (kvCache === 'f16' ? 2 : 4),
    keys,
  };
}
