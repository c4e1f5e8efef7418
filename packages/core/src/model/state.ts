import type { Buffers } from '../gpu/buffers.ts';
import type {
  AttentionSplits,
  ExpertChoice,
  LayerCache,
  SamplingState,
} from '../kernels/operands.ts';
import { HEAD_SIZE, type KernelShape, scratchBytes } from '../kernels/shape.ts';
import type { ModelConfig } from './config.ts';

/** Logits of one pass take at most about this much; passes for more rows are cut. */
const MAX_LOGITS_BYTES = 16 * 2 ** 20;

/**
 * Everything that a forward pass writes except the cache: made once, used by every session in turn. All f32 unless said.
 */
export interface Activations {
  /** u32 [maxTokens]: the input of a pass; sampling writes the next one. */
  readonly tokens: GPUBuffer;
  /** The residual stream, [maxTokens, hiddenSize]. */
  readonly x: GPUBuffer;
  /** What a norm leaves, [maxTokens, hiddenSize]. */
  readonly h: GPUBuffer;
  /** Queries, keys and values, [maxTokens, heads + 2 kvHeads, 64]. */
  readonly projected: GPUBuffer;
  /** [maxTokens, heads, 64]. */
  readonly attended: GPUBuffer;
  readonly splits: AttentionSplits;
  readonly choice: ExpertChoice;
  /** After SwiGLU, [maxTokens, expertsPerToken, intermediateSize]. */
  readonly hidden: GPUBuffer;
  /** [maxTokens, expertsPerToken, hiddenSize]. */
  readonly expertOut: GPUBuffer;
  /** [logitRows, vocabularySize]. */
  readonly logits: GPUBuffer;
  /** How many rows of logits one pass can make. */
  readonly logitRows: number;
  readonly sampling: SamplingState;
}

/** Keys and values of one conversation. */
export interface KvCache {
  readonly layers: readonly LayerCache[];
}

/** The numbers that a model's kernels are compiled for. */
export function kernelShape(
  config: ModelConfig,
  options: Pick<KernelShape, 'contextLength' | 'maxTokens' | 'dense' | 'kvCache'>,
): KernelShape {
  return {
    ...options,
    hiddenSize: config.hiddenSize,
    intermediateSize: config.intermediateSize,
    heads: config.heads,
    kvHeads: config.kvHeads,
    experts: config.experts,
    expertsPerToken: config.expertsPerToken,
    vocabularySize: config.vocabularySize,
    normEpsilon: config.normEpsilon,
    swigluLimit: config.swigluLimit,
    slidingWindow: config.slidingWindow,
    // A pass appends its tokens before they attend, so that the first of them still needs its window in front of them.
    ringCapacity: config.slidingWindow + options.maxTokens,
  };
}

/** Makes the buffers of a forward pass. */
export function createActivations(buffers: Buffers, shape: KernelShape): Activations {
  const { maxTokens, hiddenSize, heads, kvHeads, experts, expertsPerToken, vocabularySize } = shape;
  const floats = (label: string, ...extents: number[]): GPUBuffer =>
    buffers.storage(label, 4 * extents.reduce((product, extent) => product * extent, 1));
  const scratch = scratchBytes(shape);
  const logitRows = logitRowCount(shape);
  return {
    tokens: floats('tokens', maxTokens),
    x: floats('x', maxTokens, hiddenSize),
    h: floats('h', maxTokens, hiddenSize),
    projected: floats('projected', maxTokens, heads + 2 * kvHeads, HEAD_SIZE),
    attended: floats('attended', maxTokens, heads, HEAD_SIZE),
    splits: {
      out: buffers.storage('splits.out', scratch.splitOut),
      stats: buffers.storage('splits.stats', scratch.splitStats),
    },
    choice: {
      routerLogits: floats('choice.routerLogits', maxTokens, experts),
      experts: floats('choice.experts', maxTokens, expertsPerToken),
      weights: floats('choice.weights', maxTokens, expertsPerToken),
      sortedSlots: floats('choice.sortedSlots', maxTokens, expertsPerToken),
      tiles: buffers.storage('choice.tiles', scratch.tiles),
    },
    hidden: floats('hidden', maxTokens, expertsPerToken, shape.intermediateSize),
    expertOut: floats('expertOut', maxTokens, expertsPerToken, hiddenSize),
    logits: floats('logits', logitRows, vocabularySize),
    logitRows,
    sampling: {
      options: buffers.create(
        'sampling.options',
        32,
        GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      ),
      seen: floats('sampling.seen', Math.ceil(vocabularySize / 32)),
      stripLogits: buffers.storage('sampling.stripLogits', scratch.strips),
      stripTokens: buffers.storage('sampling.stripTokens', scratch.strips),
    },
  };
}

function logitRowCount({ maxTokens, vocabularySize }: KernelShape): number {
  return Math.max(1, Math.min(maxTokens, Math.floor(MAX_LOGITS_BYTES / (4 * vocabularySize))));
}

/** Makes the keys and values of one conversation: the whole context of full layers, a ring of sliding ones. */
export function createKvCache(buffers: Buffers, config: ModelConfig, shape: KernelShape): KvCache {
  return {
    layers: config.slidingLayers.map((sliding, layer) => ({
      sliding,
      keys: buffers.storage(`keys.${layer}`, cacheBytes(shape, sliding)),
      values: buffers.storage(`values.${layer}`, cacheBytes(shape, sliding)),
    })),
  };
}

/** Bytes that {@link Activations} take, but for buffers of some KiB. */
export function activationBytes(shape: KernelShape): number {
  const { maxTokens, hiddenSize, intermediateSize, heads, kvHeads, experts, expertsPerToken } =
    shape;
  const perToken =
    1 +
    2 * hiddenSize +
    (heads + 2 * kvHeads) * HEAD_SIZE +
    heads * HEAD_SIZE +
    experts +
    expertsPerToken * (3 + intermediateSize + hiddenSize);
  const { splitOut, splitStats, tiles, strips } = scratchBytes(shape);
  const logits = logitRowCount(shape) * shape.vocabularySize;
  const rope = shape.contextLength * HEAD_SIZE;
  return 4 * (maxTokens * perToken + logits + rope) + splitOut + splitStats + tiles + 2 * strips;
}

/** Bytes that the keys, or the values, of one layer take. */
export function cacheBytes(shape: KernelShape, sliding: boolean): number {
  const capacity = sliding ? shape.ringCapacity : shape.contextLength;
  return shape.kvHeads * capacity * HEAD_SIZE * (shape.kvCache === 'f16' ? 2 : 4);
}
