import type { DenseFormat, KvCacheFormat } from '../types/load.ts';

/** Dimensions of a head. The model family has no other. */
export const HEAD_SIZE = 64;

/** Columns of an MXFP4 block, of a Q8_0 block, and of a group of 8-bit weights. */
export const BLOCK_COLUMNS = 32;

/** Keys that one split of decode attention covers (`shaders/attend.wgsl`). */
export const SPLIT_KEYS = 128;

/** Logits that one workgroup of sampling goes through (`shaders/lib/sampling.wgsl`). */
export const STRIP = 4096;

/** Invocations of a workgroup of `rope`, `attend_tiled`, `attend_reduce` and `expert_sum`. */
export const WORKGROUP_SIZE = 64;

/** Invocations that rotate one head (`shaders/rope.wgsl`). */
export const ROPE_INVOCATIONS = 8;

/** Invocations that join the splits of one head (`shaders/attend_reduce.wgsl`). */
export const REDUCE_INVOCATIONS = 16;

/** Tokens of a tile of the dense tiled matmul (`shaders/linear_tiled.wgsl`). */
export const TILE_TOKENS = 64;

/** Slots of a tile of the grouped expert matmuls (`shaders/lib/slot_tile.wgsl`). */
const TILE_SLOTS = 32;

/** Bytes of a `SlotTile`. */
const SLOT_TILE_BYTES = 12;

/** Columns of a matrix for which another invocation pays. */
const SPLIT_COLUMNS = 128;

/** Invocations that share a row of a matrix, a power of two: as many as its columns keep busy, at most `most`. */
export function rowSplits(columns: number, most: number): number {
  return Math.min(most, powerOfTwo(columns / SPLIT_COLUMNS));
}

/** Invocations of a workgroup that goes over one row, four columns at a time. */
export function rowInvocations(columns: number): number {
  return Math.min(256, Math.max(32, powerOfTwo(columns / 4)));
}

/** The largest power of two that is not above `value`, at least 1. */
function powerOfTwo(value: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, value)));
}

/** The numbers that kernels are compiled for. */
export interface KernelShape {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly experts: number;
  readonly expertsPerToken: number;
  readonly vocabularySize: number;
  readonly normEpsilon: number;
  readonly swigluLimit: number;
  /** Positions that sliding layers see, the current one included. */
  readonly slidingWindow: number;
  /** Positions that the cache of a sliding layer holds. */
  readonly ringCapacity: number;
  /** Positions that the cache of a full layer holds. */
  readonly contextLength: number;
  /** The most tokens of one forward pass. */
  readonly maxTokens: number;
  readonly dense: DenseFormat;
  readonly kvCache: KvCacheFormat;
}

/** Sizes of scratch buffers, in bytes, that follow from how kernels divide their work. */
export function scratchBytes(shape: KernelShape): {
  splitOut: number;
  splitStats: number;
  tiles: number;
  strips: number;
} {
  const splits = Math.max(splitCount(shape, false), splitCount(shape, true));
  return {
    splitOut: shape.heads * splits * HEAD_SIZE * 4,
    splitStats: shape.heads * splits * 8,
    tiles: slotTileCount(shape, shape.maxTokens) * SLOT_TILE_BYTES,
    strips: Math.ceil(shape.vocabularySize / STRIP) * 4,
  };
}

/** How many splits decode attention has, of a sliding or a full layer. */
export function splitCount(shape: KernelShape, isSliding: boolean): number {
  return Math.ceil((isSliding ? shape.slidingWindow : shape.contextLength) / SPLIT_KEYS);
}

/** The most tiles of slots that `tokens` can need: full ones, and a ragged one for each expert in use. */
export function slotTileCount({ experts, expertsPerToken }: KernelShape, tokens: number): number {
  const slots = tokens * expertsPerToken;
  return Math.floor(slots / TILE_SLOTS) + Math.min(experts, slots);
}

/** Workgroup memory of decode attention, which grows with the query heads to a key head (`shaders/attend.wgsl`). */
export function attendWorkgroupBytes({ heads, kvHeads }: KernelShape): number {
  const queries = HEAD_SIZE * 4;
  const scores = SPLIT_KEYS * 4;
  const strips = 16 * 4;
  return (heads / kvHeads) * (queries + scores + strips);
}
