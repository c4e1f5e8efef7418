import type { Buffers } from '../gpu/buffers.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import type {
  AttentionSplits,
  ExpertChoice,
  LayerCache,
  SamplingState,
} from '../kernels/operands.ts';
import { HEAD_SIZE, type KernelShape, normedRow, scratchBytes } from '../kernels/shape.ts';
import type { ModelConfig } from '../types/config.ts';
import { mapSizes, product, type Sizes, sum } from './sizes.ts';

/** About the most that the logits of one pass may take; more rows take more passes. */
const MAX_LOGITS_BYTES = 16 * 2 ** 20;

/** Bytes of the uniform `Sampling`, rounded up to a multiple of 16. */
const SAMPLING_OPTIONS_BYTES = 32;

/** The storage buffers of {@link Activations}. All f32 unless said. */
export interface ActivationBuffers {
  /** u32 [chunkLength]: the input of a pass; sampling writes the next one. */
  readonly tokens: GPUBuffer;
  /** The residual stream, [chunkLength, hiddenSize]. */
  readonly x: GPUBuffer;
  /** The norm of x, [chunkLength, hiddenSize]; for few tokens, rows of `lib/normed_rows`. */
  readonly h: GPUBuffer;
  /** Queries, keys and values, [chunkLength, heads + 2 kvHeads, 64]. */
  readonly projected: GPUBuffer;
  /** [chunkLength, heads, 64]. */
  readonly attended: GPUBuffer;
  readonly splits: AttentionSplits;
  readonly choice: ExpertChoice;
  /** After SwiGLU, [chunkLength, expertsPerToken, intermediateSize]. */
  readonly hidden: GPUBuffer;
  /** [chunkLength, expertsPerToken, hiddenSize]. */
  readonly expertOut: GPUBuffer;
  /** [logitRows, vocabularySize]. */
  readonly logits: GPUBuffer;
  readonly sampling: Omit<SamplingState, 'options'>;
}

/** Everything that a forward pass writes except the cache: allocated once, shared by all sessions. */
export interface Activations extends ActivationBuffers {
  readonly sampling: SamplingState;
  /** The most rows of logits that one pass can make. */
  readonly logitRows: number;
}

/** Keys and values of one conversation. */
export interface KvCache {
  readonly layers: readonly LayerCache[];
}

/** The passes of a loaded model. */
export interface ForwardPass {
  /** Evaluates the next `count` tokens up to the residual stream, and appends their keys and values to the cache. */
  forward(kv: KvCache, count: number): Dispatch[];
  /** Logits of `rows` tokens of the last pass, from the step's output row on. */
  unembed(rows: number): Dispatch[];
}

/** The numbers that a model's kernels are compiled for. */
export function kernelShape(
  config: ModelConfig,
  options: Pick<KernelShape, 'contextLength' | 'chunkLength' | 'dense' | 'kvCache'>,
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
    // A pass appends its tokens before they attend: the first of them still needs its window in front of it.
    ringCapacity: config.slidingWindow + options.chunkLength,
  };
}

/** Bytes of each of {@link ActivationBuffers}. */
export function activationSizes(shape: KernelShape): Sizes<ActivationBuffers> {
  const { chunkLength, hiddenSize, heads, kvHeads, experts, expertsPerToken, vocabularySize } =
    shape;
  const words = (...extents: number[]): number => 4 * product(extents);
  const { splitOut, splitStats, tiles, strips } = scratchBytes(shape);
  return {
    tokens: words(chunkLength),
    x: words(chunkLength, hiddenSize),
    h: words(chunkLength, normedRow(hiddenSize)),
    projected: words(chunkLength, heads + 2 * kvHeads, HEAD_SIZE),
    attended: words(chunkLength, heads, HEAD_SIZE),
    splits: { out: splitOut, stats: splitStats },
    choice: {
      routerLogits: words(chunkLength, experts + 1),
      experts: words(chunkLength, expertsPerToken),
      weights: words(chunkLength, expertsPerToken),
      sortedSlots: words(chunkLength, expertsPerToken),
      tiles,
    },
    hidden: words(chunkLength, expertsPerToken, shape.intermediateSize),
    expertOut: words(chunkLength, expertsPerToken, hiddenSize),
    logits: words(logitRowCount(shape), vocabularySize),
    sampling: {
      seen: words(Math.ceil(vocabularySize / 32)),
      stripLogits: strips,
      stripTokens: strips,
    },
  };
}

/** Allocates the buffers of a forward pass. */
export function createActivations(buffers: Buffers, shape: KernelShape): Activations {
  const storage = mapSizes<ActivationBuffers>(activationSizes(shape), (label, sizeBytes) =>
    buffers.storage(label, sizeBytes),
  );
  const { UNIFORM, COPY_DST } = GPUBufferUsage;
  const options = buffers.create('sampling.options', SAMPLING_OPTIONS_BYTES, UNIFORM | COPY_DST);
  const sampling = { ...storage.sampling, options };
  return { ...storage, sampling, logitRows: logitRowCount(shape) };
}

function logitRowCount({ chunkLength, vocabularySize }: KernelShape): number {
  return Math.max(1, Math.min(chunkLength, Math.floor(MAX_LOGITS_BYTES / (4 * vocabularySize))));
}

/** Allocates the keys and values of one conversation: the whole context of full layers, a ring of sliding ones. */
export function createKvCache(buffers: Buffers, config: ModelConfig, shape: KernelShape): KvCache {
  return {
    layers: config.slidingLayers.map((isSliding, layer) => ({
      isSliding,
      keys: buffers.storage(`keys.${layer}`, cacheBytes(shape, isSliding)),
      values: buffers.storage(`values.${layer}`, cacheBytes(shape, isSliding)),
    })),
  };
}

/** Bytes of {@link Activations}. */
export function activationBytes(shape: KernelShape): number {
  return sum(activationSizes(shape)) + SAMPLING_OPTIONS_BYTES;
}

/** Bytes of the keys, or of the values, of one layer. */
export function cacheBytes(shape: KernelShape, isSliding: boolean): number {
  const capacity = isSliding ? shape.ringCapacity : shape.contextLength;
  return shape.kvHeads * capacity * headBytes(shape);
}

/** Bytes of the keys, or of the values, of one position in one head. */
export function headBytes({ kvCache }: KernelShape): number {
  return HEAD_SIZE * (kvCache === 'f16' ? 2 : 4);
}
