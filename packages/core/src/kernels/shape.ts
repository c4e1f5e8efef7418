import type { DenseFormat, KvCacheFormat } from '../types/load.ts';
import { shaderConstant } from './shaders.ts';

/** Dimensions of a head. The model family has no other. */
export const HEAD_SIZE: number = shaderConstant('lib/head', 'HEAD_SIZE');

/** Rows of a tile of a weight matrix, stored side by side. */
export const TILE_ROWS: number = shaderConstant('lib/tile', 'TILE_ROWS');

/** Columns of an MXFP4 block, of a Q8_0 block, and of a group of 8-bit weights. */
export const BLOCK_COLUMNS: number = shaderConstant('lib/tile', 'BLOCK_COLUMNS');

/** Keys of one split of decode attention. */
export const SPLIT_KEYS: number = shaderConstant('lib/attention_splits', 'SPLIT_KEYS');

/** Logits per workgroup of the first pass of sampling. */
export const STRIP: number = shaderConstant('lib/sampling', 'STRIP');

/** Columns that share a sum of squares in a row of `lib/normed_rows`. */
const SQUARES = shaderConstant('lib/normed_rows', 'SQUARES');

/** Tokens of a tile of the dense tiled matmul. */
export const TILE_TOKENS: number = shaderConstant('linear_tiled', 'TILE_TOKENS');

/** Slots of a tile of the grouped expert matmuls. */
export const TILE_SLOTS: number = shaderConstant('lib/slot_tile', 'TILE_SLOTS');

/** Invocations per workgroup of the kernels of {@link workgroupsOf}. */
const WORKGROUP_SIZES = {
  attend_reduce: shaderConstant('attend_reduce', 'WORKGROUP_SIZE') as number,
  attend_tiled: shaderConstant('attend_tiled', 'WORKGROUP_SIZE') as number,
  expert_sum: shaderConstant('expert_sum', 'WORKGROUP_SIZE') as number,
  'lib/repack': shaderConstant('lib/repack', 'WORKGROUP_SIZE') as number,
  rope: shaderConstant('rope', 'WORKGROUP_SIZE') as number,
};

/** Rows that a workgroup makes, for the matmuls of {@link rowGroups}. */
const WORKGROUP_ROWS = {
  expert_out: shaderConstant('expert_out', 'WORKGROUP_ROWS') as number,
  expert_swiglu: shaderConstant('expert_swiglu', 'WORKGROUP_ROWS') as number,
  linear: shaderConstant('linear', 'WORKGROUP_ROWS') as number,
  out: shaderConstant('out', 'WORKGROUP_ROWS') as number,
};

/** Bytes of a `SlotTile`. */
const SLOT_TILE_BYTES = 12;

/** Columns of a row that keep one invocation busy. */
const SPLIT_COLUMNS = 128;

/** Invocations that share a row of a matrix, a power of two: as many as its columns keep busy, at most `most`. */
export function rowSplits(columns: number, most: number): number {
  return Math.min(most, powerOfTwo(columns / SPLIT_COLUMNS));
}

/** Workgroups of a kernel with one WORKGROUP_SIZE that make so many invocations. */
export function workgroupsOf(kernel: keyof typeof WORKGROUP_SIZES, invocations: number): number {
  return Math.ceil(invocations / WORKGROUP_SIZES[kernel]);
}

/** Workgroups of a matmul of few tokens that make so many rows. */
export function rowGroups(kernel: keyof typeof WORKGROUP_ROWS, rows: number): number {
  return Math.ceil(rows / WORKGROUP_ROWS[kernel]);
}

/** Workgroup size of a kernel that goes over one row, four columns per invocation. */
export function rowInvocations(columns: number): number {
  return Math.min(256, Math.max(32, powerOfTwo(columns / 4)));
}

/** Workgroup size of a kernel that goes over one row, a block of columns per invocation. */
export function blockInvocations(columns: number): number {
  return Math.min(256, Math.max(32, 2 * powerOfTwo(columns / BLOCK_COLUMNS)));
}

/** The largest power of two that is not above `value`, at least 1. */
function powerOfTwo(value: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, value)));
}

/** Numbers in a row of `lib/normed_rows`. */
export function normedRow(columns: number): number {
  return columns + columns / SQUARES;
}

/** The numbers that a model's kernels are compiled for. */
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
  /** Positions that a token sees in a sliding layer, its own included. */
  readonly slidingWindow: number;
  /** Positions in the cache of a sliding layer. */
  readonly ringCapacity: number;
  /** Positions in the cache of a full layer. */
  readonly contextLength: number;
  /** The most tokens of one forward pass: a prefill's chunk. */
  readonly chunkLength: number;
  readonly dense: DenseFormat;
  readonly kvCache: KvCacheFormat;
}

/** Bytes of the scratch buffers whose size depends on how kernels divide their work. */
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
    tiles: slotTileCount(shape, shape.chunkLength) * SLOT_TILE_BYTES,
    strips: Math.ceil(shape.vocabularySize / STRIP) * 4,
  };
}

/** Splits of decode attention in a sliding or a full layer. */
export function splitCount(shape: KernelShape, isSliding: boolean): number {
  return Math.ceil((isSliding ? shape.slidingWindow : shape.contextLength) / SPLIT_KEYS);
}

/** The most tiles of slots that `tokens` can need: the full ones, and a ragged one for each expert in use. */
export function slotTileCount({ experts, expertsPerToken }: KernelShape, tokens: number): number {
  const slots = tokens * expertsPerToken;
  return Math.floor(slots / TILE_SLOTS) + Math.min(experts, slots);
}

/** Bytes of workgroup memory of decode attention: they grow with the query heads that share a key head. */
export function attendWorkgroupBytes({ heads, kvHeads }: KernelShape): number {
  const queries = HEAD_SIZE * 4;
  const scores = SPLIT_KEYS * 4;
  const strips = shaderConstant('attend', 'STRIPS') * 4;
  return (heads / kvHeads) * (queries + scores + strips);
}
