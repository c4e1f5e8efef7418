import type { Cost, Dispatch } from '../../packages/core/src/gpu/kernel.ts';
import { attentionCost } from '../../packages/core/src/kernels/cost.ts';
import { denseTileBytes } from '../../packages/core/src/kernels/matrix.ts';
import {
  HEAD_SIZE,
  type KernelShape,
  SPLIT_KEYS,
  STRIP,
  TILE_ROWS,
} from '../../packages/core/src/kernels/shape.ts';

/** What a dispatch belongs to. */
export interface DispatchContext {
  /** Whether its layer sees only the sliding window. */
  readonly isSliding: boolean;
  /** Tokens of the pass. */
  readonly tokens: number;
  /** Tokens before those of the pass. */
  readonly depth: number;
}

/**
 * The least work that a dispatch requires, from the model's shapes and not from what the kernel does: a kernel that reads
 * weights twice looks half as fast. Products and attention have it from the engine, which leaves out what is small: here,
 * that is the bytes that it reads.
 *
 * @throws Error for an unknown kernel.
 */
export function dispatchCost(
  shape: KernelShape,
  { pipeline, cost }: Pick<Dispatch, 'pipeline' | 'cost'>,
  context: DispatchContext,
): Cost {
  const { isSliding, tokens, depth } = context;
  if (cost?.keys !== undefined) return attentionCost(shape, isSliding, tokens, depth);
  return cost ?? { bytes: smallBytes(shape, pipeline.label, context), flops: 0 };
}

function smallBytes(
  shape: KernelShape,
  kernel: string,
  { isSliding, tokens, depth }: DispatchContext,
): number {
  const { hiddenSize, heads, kvHeads, experts, expertsPerToken, slidingWindow } = shape;
  const rowBytes = 4 * hiddenSize;
  switch (kernel) {
    case 'embed': {
      const { values, scales } = denseTileBytes(shape.dense, hiddenSize);
      return (tokens * (values + scales)) / TILE_ROWS;
    }
    case 'rms_norm':
      return (tokens + 1) * rowBytes;
    case 'rope':
      return 4 * tokens * (heads + 2 * kvHeads) * HEAD_SIZE;
    case 'attend_reduce': {
      const keys = isSliding ? Math.min(slidingWindow, depth + 1) : depth + 1;
      return 4 * heads * Math.ceil(keys / SPLIT_KEYS) * (HEAD_SIZE + 2);
    }
    case 'router':
    case 'route':
      return 2 * experts * hiddenSize + tokens * rowBytes;
    case 'group_by_expert':
      return 4 * tokens * expertsPerToken;
    case 'expert_sum':
      return tokens * expertsPerToken * rowBytes;
    case 'sample_strips':
    case 'sample_candidates':
      return 4 * shape.vocabularySize;
    case 'sample':
      return 8 * Math.ceil(shape.vocabularySize / STRIP);
    default:
      throw new Error(`bench/stages/kernel-cost.ts does not know what the kernel ${kernel} costs`);
  }
}
