import type { DenseFormat } from './matrix.ts';

/** Dimensions of a head. The model family has no other. */
export const HEAD_SIZE = 64;

/** Keys that one split of decode attention covers (`shaders/attend.wgsl`). */
export const SPLIT_KEYS = 128;

/** Logits that one workgroup of sampling goes through (`shaders/lib/sampling.wgsl`). */
export const STRIP = 4096;

/** Slots of a tile of the grouped expert matmuls (`shaders/lib/slot_tile.wgsl`). */
const TILE_SLOTS = 32;

/** Bytes of a `SlotTile`. */
const SLOT_TILE_BYTES = 12;

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
  readonly kvCache: 'f16' | 'f32';
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
export function splitCount(shape: KernelShape, sliding: boolean): number {
  return Math.ceil((sliding ? shape.slidingWindow : shape.contextLength) / SPLIT_KEYS);
}

/** The most tiles of slots that `tokens` can need: full ones, and a ragged one for each expert in use. */
export function slotTileCount({ experts, expertsPerToken }: KernelShape, tokens: number): number {
  const slots = tokens * expertsPerToken;
  return Math.floor(slots / TILE_SLOTS) + Math.min(experts, slots);
}
