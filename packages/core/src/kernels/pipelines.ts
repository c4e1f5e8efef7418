import type { KernelSource } from '../gpu/kernel.ts';
import { type KernelOptions, kernelSource, SHADERS, type Shaders } from './shaders.ts';
import {
  type AdapterKind,
  blockInvocations,
  HEAD_SIZE,
  type KernelShape,
  PRODUCT_TILES,
  PRODUCTS,
  type Product,
  rowInvocations,
  rowSplits,
  slotTileCount,
  splitCount,
} from './shape.ts';

/** Values of a kernel's `override` declarations. The casts to it let `isolatedDeclarations` derive {@link PipelineName}. */
type Constants = Readonly<Record<string, number>>;

/** A pipeline of {@link pipelineSources}: a kernel, or `kernel/use` if it has several uses. */
export type PipelineName =
  | keyof ReturnType<typeof modelPipelines>
  | `${keyof ReturnType<typeof tiledPipelines>}/${Product}`
  | `${keyof ReturnType<typeof layerPipelines>}/${ReturnType<typeof spanOf>}`;

/**
 * The pipelines of a model: every kernel with the constants of each of its uses.
 *
 * @param options - What the kernels' files leave open, except constants.
 * @param shaders - Their files. Without `lib/product_wide`, there are no wide tiles; without `lib/product_int8`, they are in float.
 * @param adapter - What they are for: it decides on the tiles of many tokens, and how many invocations share a row of one.
 */
export function pipelineSources(
  shape: KernelShape,
  { libraries, features }: Omit<KernelOptions, 'constants'>,
  shaders: Shaders = SHADERS,
  adapter: AdapterKind = 'gpu',
): ReadonlyMap<PipelineName, KernelSource> {
  const sources = new Map<PipelineName, KernelSource>();
  const add = (name: string, constants: Constants, product?: string): void => {
    const [kernel] = name.split('/') as [string];
    sources.set(
      name as PipelineName,
      kernelSource(
        kernel,
        {
          constants,
          libraries: { ...libraries, ...(product && { product }) },
          ...(features && { features }),
        },
        shaders,
      ),
    );
  };
  for (const [name, constants] of Object.entries(modelPipelines(shape, adapter)))
    add(name, constants);
  for (const product of PRODUCTS[adapter]) {
    if (!shaders.files.has(`lib/product_${product}`)) continue;
    for (const [name, constants] of Object.entries(tiledPipelines(shape, product))) {
      add(`${name}/${product}`, constants, productOf(name, product, shape, shaders));
    }
  }
  for (const isSliding of [false, true]) {
    for (const [kernel, constants] of Object.entries(layerPipelines(shape, isSliding, adapter))) {
      if (kernel === 'attend_reduce' && splitCount(shape, isSliding) === 1) continue;
      add(`${kernel}/${spanOf(isSliding)}`, constants);
    }
  }
  return sources;
}

/** The `lib/product_*` of a tiled matmul. The logits' is in float: nothing evens out its errors. */
function productOf(
  pipeline: string,
  product: Product,
  { dense, prefill }: KernelShape,
  { files }: Shaders,
): string {
  const isInteger =
    pipeline.startsWith('expert') || (dense === 'int8' && pipeline !== 'linear_tiled/unembedding');
  const hasInteger = prefill === 'int8' && files.has('lib/product_int8');
  return product === 'wide' && hasInteger && isInteger ? 'int8' : product;
}

/** What the attention of a layer reaches: its sliding window, or all tokens. */
export function spanOf(isSliding: boolean): 'sliding' | 'full' {
  return isSliding ? 'sliding' : 'full';
}

/** The constants of pipelines that are the same in all layers. */
function modelPipelines(shape: KernelShape, adapter: AdapterKind) {
  const { hiddenSize, intermediateSize, heads, expertsPerToken: TOP } = shape;
  const { experts: EXPERTS, vocabularySize: VOCABULARY } = shape;
  const { mlp1, mlp2 } = matrices(shape);
  const norm = {
    COLUMNS: hiddenSize,
    EPSILON: shape.normEpsilon,
    WORKGROUP_SIZE: rowInvocations(hiddenSize),
  };
  return {
    embed: { COLUMNS: hiddenSize } as Constants,
    rms_norm: norm as Constants,
    'rms_norm/output': { ...norm, FROM_OUTPUT_ROW: 1 } as Constants,
    out: { ...columnsOf(heads * HEAD_SIZE, 32, adapter), ROWS: hiddenSize } as Constants,
    linear: { ...columnsOf(hiddenSize, 8, adapter), ROWS: VOCABULARY } as Constants,
    router: { ...norm, EXPERTS, WORKGROUP_SIZE: blockInvocations(hiddenSize) } as Constants,
    route: { ...columnsOf(hiddenSize, 16, adapter), EXPERTS, TOP } as Constants,
    expert_swiglu: { ...mlp1, ...columnsOf(hiddenSize, 8, adapter), EXPERTS } as Constants,
    expert_out: { ...mlp2, ...columnsOf(intermediateSize, 16, adapter), EXPERTS, TOP } as Constants,
    expert_sum: { COLUMNS: hiddenSize, TOP } as Constants,
    sample_strips: { VOCABULARY } as Constants,
    sample_candidates: { VOCABULARY } as Constants,
    sample: { VOCABULARY } as Constants,
  };
}

/** The constants of the pipelines of many tokens, for one kind of tile. */
function tiledPipelines(shape: KernelShape, product: Product) {
  const { experts: EXPERTS, expertsPerToken: TOP, chunkLength } = shape;
  const { qkv, out, unembedding, mlp1, mlp2 } = matrices(shape);
  const TILE_INPUTS = PRODUCT_TILES[product].inputs;
  const MAX_TILES = slotTileCount(shape, chunkLength, product);
  return {
    'linear_tiled/qkv': qkv as Constants,
    'linear_tiled/out': out as Constants,
    'linear_tiled/unembedding': unembedding as Constants,
    group_by_expert: { EXPERTS, TOP, TILE_INPUTS, MAX_TILES } as Constants,
    expert_swiglu_tiled: mlp1 as Constants,
    expert_out_tiled: mlp2 as Constants,
  };
}

/** The constants of a model's matrices. */
function matrices(shape: KernelShape) {
  const { hiddenSize, intermediateSize, heads, kvHeads, expertsPerToken: TOP } = shape;
  const qkvRows = (heads + 2 * kvHeads) * HEAD_SIZE;
  return {
    qkv: { COLUMNS: hiddenSize, ROWS: qkvRows, HAS_BIAS: 1, ADD: 0 },
    out: { COLUMNS: heads * HEAD_SIZE, ROWS: hiddenSize, HAS_BIAS: 1, ADD: 1 },
    unembedding: { COLUMNS: hiddenSize, ROWS: shape.vocabularySize, HAS_BIAS: 0, ADD: 0 },
    mlp1: { COLUMNS: hiddenSize, ROWS: 2 * intermediateSize, TOP, LIMIT: shape.swigluLimit },
    mlp2: { COLUMNS: intermediateSize, ROWS: hiddenSize },
  };
}

/** The constants of pipelines that sliding and full layers have one of each. */
function layerPipelines(shape: KernelShape, isSliding: boolean, adapter: AdapterKind) {
  const { heads: HEADS, kvHeads: KV_HEADS, hiddenSize: COLUMNS } = shape;
  const cache = { HEADS, KV_HEADS, RING: isSliding ? shape.ringCapacity : 0 };
  const WINDOW = isSliding ? shape.slidingWindow : 0;
  const SPLITS = splitCount(shape, isSliding);
  return {
    qkv: { ...cache, ...columnsOf(COLUMNS, 16, adapter), EPSILON: shape.normEpsilon } as Constants,
    rope: cache as Constants,
    attend: { ...cache, WINDOW, SPLITS } as Constants,
    attend_tiled: { ...cache, WINDOW } as Constants,
    attend_reduce: { HEADS, WINDOW, SPLITS } as Constants,
  };
}

/** The columns of a matrix, and how many invocations share those of a row (`lib/row_product`): on a GPU, at most so many. */
function columnsOf(
  columns: number,
  most: number,
  adapter: AdapterKind,
): { COLUMNS: number; SPLITS: number } {
  return { COLUMNS: columns, SPLITS: adapter === 'gpu' ? rowSplits(columns, most) : 1 };
}
