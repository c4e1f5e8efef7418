import { denseTileBytes, expertBytes } from '../../packages/core/src/kernels/matrix.ts';
import {
  HEAD_SIZE,
  type KernelShape,
  SPLIT_KEYS,
  STRIP,
  TILE_ROWS,
} from '../../packages/core/src/kernels/shape.ts';

/** The least work that one operation of the forward pass requires. */
export interface KernelCost {
  /** Bytes to read: every weight, key and activation in use, once. */
  readonly bytes: number;
  /** Multiplications and additions of its dot products. */
  readonly flops: number;
}

/** An operation, and the tokens it works on. */
export interface Operation {
  /** The kernel's entry point. */
  readonly kernel: string;
  /** The dispatch's label without its layer, as in `attn.qkv.weight`. */
  readonly part: string;
  /** Whether its layer sees only the sliding window. */
  readonly isSliding: boolean;
  /** Tokens of the pass. */
  readonly tokens: number;
  /** Tokens before those of the pass. */
  readonly depth: number;
}

/**
 * The cost of an operation, from the model's shapes and not from what the kernel does: a kernel that reads weights
 * twice looks half as fast.
 *
 * @throws Error for an unknown kernel.
 */
export function kernelCost(shape: KernelShape, operation: Operation): KernelCost {
  const { kernel, part, isSliding, tokens, depth } = operation;
  const { hiddenSize, intermediateSize, heads, kvHeads, experts, expertsPerToken } = shape;
  const rowBytes = 4 * hiddenSize;
  const slots = tokens * expertsPerToken;
  switch (kernel) {
    case 'embed':
      return { bytes: (tokens * denseBytes(shape, TILE_ROWS, hiddenSize)) / TILE_ROWS, flops: 0 };
    case 'rms_norm':
      return { bytes: (tokens + 1) * rowBytes, flops: 4 * tokens * hiddenSize };
    case 'qkv':
    case 'out':
    case 'linear':
    case 'linear_tiled': {
      const [rows, columns] = denseExtents(shape, part);
      const weights = denseBytes(shape, rows, columns);
      return { bytes: weights + 4 * tokens * columns, flops: 2 * rows * columns * tokens };
    }
    case 'rope':
      return {
        bytes: 4 * tokens * (heads + 2 * kvHeads) * HEAD_SIZE,
        flops: 3 * tokens * (heads + kvHeads) * HEAD_SIZE,
      };
    case 'attend':
    case 'attend_tiled':
      return attendCost(shape, tokens, depth, isSliding);
    case 'attend_reduce': {
      const splits = Math.ceil(keysInReach(shape, depth + 1, isSliding) / SPLIT_KEYS);
      return { bytes: 4 * heads * splits * (HEAD_SIZE + 2), flops: 2 * heads * splits * HEAD_SIZE };
    }
    case 'router':
    case 'route':
      return {
        bytes: 2 * experts * hiddenSize + tokens * rowBytes,
        flops: 2 * experts * hiddenSize * tokens,
      };
    case 'group_by_expert':
      return { bytes: 4 * slots, flops: 0 };
    case 'expert_swiglu':
    case 'expert_swiglu_tiled':
      return {
        bytes: expertsBytes(shape, tokens, 2 * intermediateSize, hiddenSize) + tokens * rowBytes,
        flops: 4 * intermediateSize * hiddenSize * slots,
      };
    case 'expert_out':
    case 'expert_out_tiled':
      return {
        bytes:
          expertsBytes(shape, tokens, hiddenSize, intermediateSize) + 4 * slots * intermediateSize,
        flops: 2 * intermediateSize * hiddenSize * slots,
      };
    case 'expert_sum':
      return { bytes: slots * rowBytes, flops: slots * hiddenSize };
    case 'sample_strips':
    case 'sample_candidates':
      return { bytes: 4 * shape.vocabularySize, flops: 0 };
    case 'sample':
      return { bytes: 8 * Math.ceil(shape.vocabularySize / STRIP), flops: 0 };
    default:
      throw new Error(`bench/stages/kernel-cost.ts does not know what the kernel ${kernel} costs`);
  }
}

/** How many distinct experts a number of tokens is expected to choose, if all are equally likely. */
export function distinctExperts(experts: number, expertsPerToken: number, tokens: number): number {
  return experts * (1 - (1 - expertsPerToken / experts) ** tokens);
}

function denseExtents(shape: KernelShape, part: string): [rows: number, columns: number] {
  const { hiddenSize, heads, kvHeads, vocabularySize } = shape;
  if (part.startsWith('attn.qkv')) return [(heads + 2 * kvHeads) * HEAD_SIZE, hiddenSize];
  if (part.startsWith('attn.out')) return [hiddenSize, heads * HEAD_SIZE];
  if (part.startsWith('unembedding')) return [vocabularySize, hiddenSize];
  throw new Error(`bench/stages/kernel-cost.ts does not know the shape of ${part}`);
}

function denseBytes({ dense }: KernelShape, rows: number, columns: number): number {
  const { values, scales } = denseTileBytes(dense, columns);
  return (rows / TILE_ROWS) * (values + scales);
}

function expertsBytes(shape: KernelShape, tokens: number, rows: number, columns: number): number {
  const { blocks, scales } = expertBytes(rows, columns);
  const chosen = distinctExperts(shape.experts, shape.expertsPerToken, tokens);
  return chosen * (blocks + scales + 4 * rows);
}

function keysInReach(
  { slidingWindow }: KernelShape,
  positions: number,
  isSliding: boolean,
): number {
  return isSliding ? Math.min(slidingWindow, positions) : positions;
}

function attendCost(
  shape: KernelShape,
  tokens: number,
  depth: number,
  isSliding: boolean,
): KernelCost {
  const { heads, kvHeads, kvCache } = shape;
  let pairs = 0;
  for (let i = 0; i < tokens; i++) pairs += keysInReach(shape, depth + i + 1, isSliding);
  const keys = tokens - 1 + keysInReach(shape, depth + 1, isSliding);
  const bytesOfValue = kvCache === 'f16' ? 2 : 4;
  return {
    bytes: 2 * keys * kvHeads * HEAD_SIZE * bytesOfValue + 4 * tokens * heads * HEAD_SIZE,
    flops: 4 * pairs * heads * HEAD_SIZE,
  };
}
