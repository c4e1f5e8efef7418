import type { KernelSource } from '../gpu/kernel.ts';
import type { DenseFormat } from '../types/load.ts';
import { kernelSource, type LibraryName } from './shaders.ts';
import {
  HEAD_SIZE,
  type KernelShape,
  rowInvocations,
  rowSplits,
  slotTileCount,
  splitCount,
} from './shape.ts';

/** What a kernel needs to read a dense matrix. */
export function denseLibraries(format: DenseFormat): LibraryName[] {
  return format === 'int8' ? ['tile', 'dense_int8', 'f16'] : ['tile', 'dense_bf16'];
}

/** The pipelines of a model: every kernel with the constants of each of its uses. */
export function kernelVariants(shape: KernelShape): Record<string, KernelSource> {
  const { hiddenSize, intermediateSize, heads, kvHeads, expertsPerToken: TOP } = shape;
  const dense = denseLibraries(shape.dense);
  const kv: LibraryName = `kv_${shape.kvCache}`;
  const tiledDense: LibraryName[] = [...dense, 'tile_product'];
  const expert: LibraryName[] = ['tile', 'mxfp4'];
  const tiledExpert: LibraryName[] = [...expert, 'tile_product', 'slot_tile', 'expert_tile'];
  const EPSILON = shape.normEpsilon;
  const HEADS = { HEADS: heads, KV_HEADS: kvHeads };
  const mlp1 = { COLUMNS: hiddenSize, ROWS: 2 * intermediateSize, TOP, LIMIT: shape.swigluLimit };
  const mlp2 = { COLUMNS: intermediateSize, ROWS: hiddenSize };
  const uses = {
    qkv: { COLUMNS: hiddenSize, ROWS: (heads + 2 * kvHeads) * HEAD_SIZE, HAS_BIAS: 1, ADD: 0 },
    out: { COLUMNS: heads * HEAD_SIZE, ROWS: hiddenSize, HAS_BIAS: 1, ADD: 1 },
    unembedding: { COLUMNS: hiddenSize, ROWS: shape.vocabularySize, HAS_BIAS: 0, ADD: 0 },
  };
  const linear = (use: 'out' | 'unembedding'): KernelSource =>
    kernelSource('linear', dense, { ...uses[use], SPLITS: rowSplits(uses[use].COLUMNS, 8) });
  const WORKGROUP_SIZE = rowInvocations(hiddenSize);
  const norm = { COLUMNS: hiddenSize, EPSILON, WORKGROUP_SIZE };
  const variants: Record<string, KernelSource> = {
    embed: kernelSource('embed', dense, { COLUMNS: hiddenSize }),
    norm: kernelSource('rms_norm', ['reduce', 'step'], norm),
    'norm/output': kernelSource('rms_norm', ['reduce', 'step'], { ...norm, FROM_OUTPUT_ROW: 1 }),
    'linear/out': linear('out'),
    'linear/unembedding': linear('unembedding'),
    'linear_tiled/qkv': kernelSource('linear_tiled', tiledDense, uses.qkv),
    'linear_tiled/out': kernelSource('linear_tiled', tiledDense, uses.out),
    'linear_tiled/unembedding': kernelSource('linear_tiled', tiledDense, uses.unembedding),
    route: kernelSource('route', ['reduce', 'tile', 'dense_bf16'], {
      ...norm,
      EXPERTS: shape.experts,
      TOP,
    }),
    group_by_expert: kernelSource('group_by_expert', ['step', 'slot_tile'], {
      EXPERTS: shape.experts,
      TOP,
      MAX_TILES: slotTileCount(shape, shape.maxTokens),
    }),
    expert_swiglu: kernelSource('expert_swiglu', [...expert, 'swiglu'], {
      ...mlp1,
      SPLITS: rowSplits(hiddenSize, 8),
    }),
    expert_swiglu_tiled: kernelSource('expert_swiglu_tiled', [...tiledExpert, 'swiglu'], mlp1),
    expert_out: kernelSource('expert_out', expert, {
      ...mlp2,
      TOP,
      SPLITS: rowSplits(intermediateSize, 8),
    }),
    expert_out_tiled: kernelSource('expert_out_tiled', tiledExpert, mlp2),
    expert_sum: kernelSource('expert_sum', [], { COLUMNS: hiddenSize, TOP }),
    sample_strips: kernelSource('sample_strips', ['sampling', 'keep_best'], {
      VOCABULARY: shape.vocabularySize,
    }),
    sample: kernelSource('sample', ['sampling', 'step', 'reduce', 'keep_best', 'random'], {
      VOCABULARY: shape.vocabularySize,
    }),
  };
  for (const isSliding of [false, true]) {
    const span = isSliding ? 'sliding' : 'full';
    const cache = { ...HEADS, CAPACITY: isSliding ? shape.ringCapacity : shape.contextLength };
    const WINDOW = isSliding ? shape.slidingWindow : 0;
    const SPLITS = splitCount(shape, isSliding);
    const position: LibraryName[] = [kv, 'append', 'rope', 'step'];
    variants[`qkv/${span}`] = kernelSource('qkv', [...dense, ...position], {
      ...cache,
      COLUMNS: hiddenSize,
      SPLITS: rowSplits(hiddenSize, 4),
    });
    variants[`rope/${span}`] = kernelSource('rope', position, cache);
    variants[`attend/${span}`] = kernelSource('attend', [kv, 'step'], { ...cache, WINDOW, SPLITS });
    variants[`attend_tiled/${span}`] = kernelSource('attend_tiled', [kv, 'step'], {
      ...cache,
      WINDOW,
    });
    if (SPLITS > 1) {
      variants[`attend_reduce/${span}`] = kernelSource('attend_reduce', ['step'], {
        HEADS: heads,
        WINDOW,
        SPLITS,
      });
    }
  }
  return variants;
}
