import type { Buffers } from '../gpu/buffers.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import type { AttentionSplits, ExpertChoice, SamplingState } from '../kernels/operands.ts';
import {
  CACHE_TILE,
  HEAD_SIZE,
  type KernelShape,
  normedRow,
  scratchBytes,
} from '../kernels/shape.ts';
import type { ModelConfig } from '../types/config.ts';
import type { KvCache } from './kv-cache.ts';
import { mapSizes, product, type Sizes, sum } from './sizes.ts';

/** About the most that the logits of one pass may take; more rows take more passes. */
const MAX_LOGITS_BYTES = 16 * 2 ** 20;

/** Bytes of the uniform `Sampling`, rounded up to a multiple of 16. */
const SAMPLING_OPTIONS_BYTES = 48;

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

/** The passes of a loaded model. */
export interface ForwardPass {
  /** Evaluates the next `count` tokens up to the residual stream, and appends their keys and values to the cache. */
  forward(kv: Pick<KvCache, 'layers'>, count: number): Dispatch[];
  /** Logits of `rows` tokens of the last pass, from the step's output row on. For more than one, the step has so many tokens. */
  unembed(rows: number): Dispatch[];
}

/** The numbers that a model's kernels are compiled for. */
export function kernelShape(
  config: ModelConfig,
  options: Pick<KernelShape, 'contextLength' | 'chunkLength' | 'dense' | 'kvCache' | 'prefill'>,
): KernelShape {
  // A pass appends its tokens before they attend: the first of them still needs its window in front of it.
  const ringPositions = config.slidingWindow - 1 + options.chunkLength;
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
    ringCapacity:
      Math.ceil(Math.min(ringPositions, options.contextLength) / CACHE_TILE) * CACHE_TILE,
  };
}

/** Bytes of each of {@link ActivationBuffers}. */
export function activationSizes(shape: KernelShape): Sizes<ActivationBuffers> {
  const { chunkLength, hiddenSize, heads, kvHeads, experts, expertsPerToken, vocabularySize } =
    shape;
  const words = (...extents: number[]): number => 4 * product(extents);
  const { splitOut, splitStats, tiles, strips, found, groups } = scratchBytes(shape);
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
      adjustments: words(vocabularySize, 2),
      mask: words(Math.ceil(vocabularySize / 32)),
      strips,
      found,
      groups,
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

/** Bytes of {@link Activations}. */
export function activationBytes(shape: KernelShape): number {
  return sum(activationSizes(shape)) + SAMPLING_OPTIONS_BYTES;
}
