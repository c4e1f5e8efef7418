import type { Cost } from '../gpu/kernel.ts';
import { type DenseMatrix, denseBytes, type ExpertMatrix, expertBytes } from './matrix.ts';
import { HEAD_SIZE, type KernelShape, KV_BYTES } from './shape.ts';

/** The cost of multiplying tokens by rows of a dense matrix, which are read once. */
export function denseCost({ format, columns }: DenseMatrix, rows: number, tokens: number): Cost {
  return { flops: 2 * rows * columns * tokens, bytes: denseBytes(format, rows, columns) };
}

/**
 * The cost of multiplying tokens by their experts, as far as these are in one part of the matrix. All experts are equally
 * likely, and each of those chosen is read once.
 */
export function expertCost(
  { experts, rows, columns }: ExpertMatrix,
  part: ExpertMatrix['parts'][number],
  tokens: number,
  expertsPerToken: number,
): Cost {
  const { blocks, scales } = expertBytes(rows, columns);
  const chosen = 1 - (1 - expertsPerToken / experts) ** tokens; // the share of them that is expected
  return {
    flops: (2 * rows * columns * tokens * expertsPerToken * part.experts) / experts,
    bytes: (blocks + scales) * part.experts * chosen,
  };
}

/** The cost of attention of some tokens after `depth` others. */
export function attentionCost(
  { heads, kvHeads, slidingWindow, kvCache }: KernelShape,
  isSliding: boolean,
  tokens: number,
  depth: number,
): Cost {
  const window = isSliding ? slidingWindow : Infinity;
  let pairs = 0; // of a token and a key that it sees
  for (let i = 1; i <= tokens; i++) pairs += Math.min(window, depth + i);
  const keys = tokens - 1 + Math.min(window, depth + 1); // that any token sees
  return {
    flops: 4 * heads * HEAD_SIZE * pairs, // scores and weighted values
    bytes: 2 * kvHeads * HEAD_SIZE * keys * KV_BYTES[kvCache],
    keys,
  };
}
