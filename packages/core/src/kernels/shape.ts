import type { DenseFormat, KvCacheFormat, PrefillArithmetic } from '../types/load.ts';
import { shaderConstant } from './shaders.ts';

/** Dimensions of a head. The model family has no other. */
export const HEAD_SIZE: number = shaderConstant('lib/head', 'HEAD_SIZE');

/** Rows of a tile of a weight matrix, stored side by side. */
export const TILE_ROWS: number = shaderConstant('lib/tile', 'TILE_ROWS');

/** Columns of an MXFP4 block, of a Q8_0 block, and of a group of 8-bit weights. */
export const BLOCK_COLUMNS: number = shaderConstant('lib/tile', 'BLOCK_COLUMNS');

/** Positions of a tile of the cache; its buffers hold whole tiles. */
export const CACHE_TILE: number = shaderConstant('lib/cache', 'CACHE_TILE');

/** Query heads of a workgroup of decode attention. */
const ATTEND_HEADS: number = shaderConstant('attend', 'BLOCK_HEADS');

/** Tokens of a tile of the attention of many. */
const TILE_ATTEND_TOKENS: number = shaderConstant('attend_tiled', 'TILE_TOKENS');

/** Keys of one split of decode attention. */
export const SPLIT_KEYS: number = shaderConstant('lib/attention_splits', 'SPLIT_KEYS');

/** Logits per workgroup of the first two passes of sampling. */
export const STRIP: number = shaderConstant('lib/sampling', 'STRIP');

/** Which `lib/product_*` a tiled matmul uses: for few inputs per weight matrix, for many, or for any on software adapters. */
export type Product = 'narrow' | 'wide' | 'tall';

/** What kernels run on. A software adapter runs few invocations at a time, and barriers suspend each of them. */
export type AdapterKind = 'gpu' | 'software';

/** The products of each kind of adapter. */
export const PRODUCTS: Readonly<Record<AdapterKind, readonly Product[]>> = {
  gpu: ['narrow', 'wide'],
  software: ['tall'],
};

/** Columns that share a sum of squares in a row of `lib/normed_rows`. */
const SQUARES = shaderConstant('lib/normed_rows', 'SQUARES');

/** The tile that a workgroup of a tiled matmul makes. */
export const PRODUCT_TILES: Readonly<Record<Product, ProductTile>> = {
  narrow: productTile('lib/product_narrow'),
  wide: productTile('lib/wide_tile'),
  tall: productTile('lib/product_tall'),
};

/** See {@link PRODUCT_TILES}. */
interface ProductTile {
  /** The most inputs: tokens, or slots of an expert. */
  readonly inputs: number;
  /** Weight rows. */
  readonly rows: number;
}

/** Invocations per workgroup of the kernels of {@link workgroupsOf}. */
const WORKGROUP_SIZES = {
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

/** Bytes of a `Strip`, and of the contenders that it may have. */
const STRIP_BYTES: number = 8 + 4 * shaderConstant('lib/sampling', 'STRIP_INVOCATIONS');
const CONTENDERS_BYTES: number = 4 * shaderConstant('lib/sampling', 'STRIP_INVOCATIONS');

/** Bytes of `Found` without contenders. */
const FOUND_BYTES: number = 16 + 4 * shaderConstant('lib/sampling', 'MAX_CANDIDATES');

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

function productTile(path: string): ProductTile {
  return {
    inputs: shaderConstant(path, 'TILE_INPUTS'),
    rows: shaderConstant(path, 'PRODUCT_ROWS'),
  };
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
  /** Positions in the cache of a sliding layer: whole tiles. */
  readonly ringCapacity: number;
  /** The most positions in the cache of a full layer. */
  readonly contextLength: number;
  /** The most tokens of one forward pass: a prefill's chunk. */
  readonly chunkLength: number;
  readonly dense: DenseFormat;
  readonly kvCache: KvCacheFormat;
  readonly prefill: PrefillArithmetic;
}

/** Bytes of the scratch buffers whose size depends on how kernels divide their work. */
export function scratchBytes(shape: KernelShape): {
  splitOut: number;
  splitStats: number;
  tiles: number;
} & ReturnType<typeof samplingBytes> {
  const splits = Math.max(splitCount(shape, false), splitCount(shape, true));
  return {
    splitOut: shape.heads * splits * HEAD_SIZE * 4,
    splitStats: shape.heads * splits * 8,
    tiles: slotTileCount(shape, shape.chunkLength, 'tall') * SLOT_TILE_BYTES,
    ...samplingBytes(shape.vocabularySize),
  };
}

/** Bytes of the scratch buffers of sampling. */
export function samplingBytes(vocabularySize: number): {
  strips: number;
  found: number;
  groups: number;
} {
  const strips = Math.ceil(vocabularySize / STRIP);
  return {
    strips: strips * STRIP_BYTES,
    found: FOUND_BYTES + strips * CONTENDERS_BYTES,
    groups: 4 * shaderConstant('lib/sampling', 'MAX_GROUPS'),
  };
}

/** Bytes of a key's or a value's number in the cache. */
export const KV_BYTES: Readonly<Record<KvCacheFormat, number>> = { int8: 1, f16: 2, f32: 4 };

/** Splits of decode attention in a sliding or a full layer. */
export function splitCount(shape: KernelShape, isSliding: boolean): number {
  return Math.ceil((isSliding ? shape.slidingWindow : shape.contextLength) / SPLIT_KEYS);
}

/** The most tiles of slots that `tokens` can need: the full ones, and a ragged one for each expert in use. */
export function slotTileCount(
  { experts, expertsPerToken }: KernelShape,
  tokens: number,
  product: Product,
): number {
  const slots = tokens * expertsPerToken;
  return Math.floor(slots / PRODUCT_TILES[product].inputs) + Math.min(experts, slots);
}

/** How many heads there are. */
type Heads = Pick<KernelShape, 'heads' | 'kvHeads'>;

/** Workgroups of one split of decode attention. */
export function attendWorkgroups({ heads, kvHeads }: Heads): number {
  return kvHeads * Math.ceil(heads / kvHeads / ATTEND_HEADS);
}

/** The grid of the attention of many tokens: fours of query heads that share a key head, and tiles of tokens. */
export function attendTiledGrid({ heads, kvHeads }: Heads, tokens: number): [number, number] {
  return [kvHeads * Math.ceil(heads / kvHeads / 4), Math.ceil(tokens / TILE_ATTEND_TOKENS)];
}
