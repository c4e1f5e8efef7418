import type { KernelSource } from '../gpu/kernel.ts';
import { kernelSource } from './shaders.ts';
import {
  HEAD_SIZE,
  type KernelShape,
  rowInvocations,
  rowSplits,
  slotTileCount,
  splitCount,
} from './shape.ts';

/**
 * The pipelines of a model: every kernel with the constants of each of its uses.
 *
 * @param features - The device's, which decide between a kernel and its variants.
 */
export function pipelineSources(
  shape: KernelShape,
  features: ReadonlySet<string>,
): Record<string, KernelSource> {
  const { hiddenSize, intermediateSize, heads, kvHeads, expertsPerToken: TOP } = shape;
  const libraries = { dense: shape.dense, kv: shape.kvCache };
  const source = (name: string, constants: Readonly<Record<string, number>>): KernelSource =>
    kernelSource(name, { constants, libraries, features });
  const norm = {
    COLUMNS: hiddenSize,
    EPSILON: shape.normEpsilon,
    WORKGROUP_SIZE: rowInvocations(hiddenSize),
  };
  const qkvRows = (heads + 2 * kvHeads) * HEAD_SIZE;
  const qkv = { COLUMNS: hiddenSize, ROWS: qkvRows, HAS_BIAS: 1, ADD: 0 };
  const out = { COLUMNS: heads * HEAD_SIZE, ROWS: hiddenSize, HAS_BIAS: 1, ADD: 1 };
  const unembedding = { COLUMNS: hiddenSize, ROWS: shape.vocabularySize, HAS_BIAS: 0, ADD: 0 };
  const mlp1 = { COLUMNS: hiddenSize, ROWS: 2 * intermediateSize, TOP, LIMIT: shape.swigluLimit };
  const mlp2 = { COLUMNS: intermediateSize, ROWS: hiddenSize };
  const EXPERTS = shape.experts;
  const VOCABULARY = shape.vocabularySize;
  const pipelines: Record<string, KernelSource> = {
    embed: source('embed', { COLUMNS: hiddenSize }),
    norm: source('rms_norm', norm),
    'norm/output': source('rms_norm', { ...norm, FROM_OUTPUT_ROW: 1 }),
    'linear/out': source('linear', withSplits(out)),
    'linear/unembedding': source('linear', withSplits(unembedding)),
    'linear_tiled/qkv': source('linear_tiled', qkv),
    'linear_tiled/out': source('linear_tiled', out),
    'linear_tiled/unembedding': source('linear_tiled', unembedding),
    route: source('route', { ...norm, EXPERTS, TOP }),
    group_by_expert: source('group_by_expert', {
      EXPERTS,
      TOP,
      MAX_TILES: slotTileCount(shape, shape.chunkLength),
    }),
    expert_swiglu: source('expert_swiglu', withSplits(mlp1)),
    expert_swiglu_tiled: source('expert_swiglu_tiled', mlp1),
    expert_out: source('expert_out', withSplits({ ...mlp2, TOP })),
    expert_out_tiled: source('expert_out_tiled', mlp2),
    expert_sum: source('expert_sum', { COLUMNS: hiddenSize, TOP }),
    sample_strips: source('sample_strips', { VOCABULARY }),
    sample: source('sample', { VOCABULARY }),
  };
  for (const isSliding of [false, true]) {
    const span = isSliding ? 'sliding' : 'full';
    const CAPACITY = isSliding ? shape.ringCapacity : shape.contextLength;
    const cache = { HEADS: heads, KV_HEADS: kvHeads, CAPACITY };
    const WINDOW = isSliding ? shape.slidingWindow : 0;
    const SPLITS = splitCount(shape, isSliding);
    pipelines[`qkv/${span}`] = source('qkv', {
      ...cache,
      COLUMNS: hiddenSize,
      SPLITS: rowSplits(hiddenSize, 4),
    });
    pipelines[`rope/${span}`] = source('rope', cache);
    pipelines[`attend/${span}`] = source('attend', { ...cache, WINDOW, SPLITS });
    pipelines[`attend_tiled/${span}`] = source('attend_tiled', { ...cache, WINDOW });
    if (SPLITS > 1) {
      pipelines[`attend_reduce/${span}`] = source('attend_reduce', {
        HEADS: heads,
        WINDOW,
        SPLITS,
      });
    }
  }
  return pipelines;
}

/** The constants of a matrix with those of `lib/row_product`, for workgroups of one tile. */
function withSplits<T extends { readonly COLUMNS: number }>(matrix: T): T & { SPLITS: number } {
  return { ...matrix, SPLITS: rowSplits(matrix.COLUMNS, 8) };
}
