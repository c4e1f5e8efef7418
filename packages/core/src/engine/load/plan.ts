import { OssicleError } from '../../errors.ts';
import { maxBindingBytes, mebibytes } from '../../gpu/buffers.ts';
import { denseBytes, expertBytes } from '../../kernels/matrix.ts';
import { CACHE_TILE, type KernelShape } from '../../kernels/shape.ts';
import { parseConfig } from '../../model/config.ts';
import { cacheBytes, cacheTileBytes } from '../../model/kv-cache.ts';
import { ropeTableBytes } from '../../model/rope.ts';
import { largest } from '../../model/sizes.ts';
import { activationBytes, activationSizes, kernelShape } from '../../model/state.ts';
import { tokenBytes, weightBytes } from '../../model/weights.ts';
import type { ModelConfig } from '../../types/config.ts';
import type { LoadOptions } from '../../types/load.ts';
import type { LimitCheck } from '../../types/support.ts';

const PREFILL_CHUNK_LENGTH = 512;
const DEFAULT_CONTEXT_LENGTH = 8192;

/** Limits that the kernels need for any model. Core WebGPU guarantees them; compatibility mode has less. */
const MIN_LIMITS = {
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupStorageSize: 16384,
  maxStorageBuffersPerShaderStage: 8,
} as const satisfies Partial<Record<keyof GPUSupportedLimits, number>>;

/** The shape and size of a model to load, known from its config.json alone. */
export interface LoadPlan {
  readonly config: ModelConfig;
  readonly shape: KernelShape;
  /** GPU memory in bytes: weights, activations and one conversation that fills the context. */
  readonly gpuBytes: number;
  /** Bytes of weights that each token of an answer reads. */
  readonly tokenBytes: number;
}

/** The options that a {@link LoadPlan} depends on. */
export type PlanOptions = Pick<
  LoadOptions,
  'contextLength' | 'dense' | 'kvCache' | 'prefill' | 'prefillChunkLength'
>;

/**
 * Plans the shape of a model and its memory.
 *
 * @param json - The parsed config.json.
 * @throws {@link OssicleError} `format-invalid` if it is not a gpt-oss config. RangeError if an option is out of range.
 */
export function planLoad(json: Readonly<Record<string, unknown>>, options: PlanOptions): LoadPlan {
  const config = parseConfig(json);
  const {
    contextLength = Math.min(DEFAULT_CONTEXT_LENGTH, config.maxContextLength),
    dense = 'int8',
    kvCache = dense === 'bf16' ? 'f32' : 'f16',
    prefill = 'float',
    prefillChunkLength = PREFILL_CHUNK_LENGTH,
  } = options;
  checkCount('contextLength', contextLength, config.maxContextLength);
  checkCount('prefillChunkLength', prefillChunkLength, 4096);
  checkOneOf('dense', dense, ['int8', 'bf16']);
  checkOneOf('kvCache', kvCache, ['int8', 'f16', 'f32']);
  checkOneOf('prefill', prefill, ['float', 'int8']);
  const shape = kernelShape(config, {
    contextLength,
    dense,
    kvCache,
    prefill,
    chunkLength: Math.min(prefillChunkLength, contextLength),
  });
  const cache = config.slidingLayers.reduce(
    (sum, isSliding) => sum + 2 * cacheBytes(shape, isSliding),
    0,
  );
  const gpuBytes =
    weightBytes(config, dense) + activationBytes(shape) + ropeTableBytes(contextLength) + cache;
  return { config, shape, gpuBytes, tokenBytes: tokenBytes(config, dense) };
}

/**
 * Compares the limits of a device or an adapter with those that the model needs.
 *
 * @param plan - If absent, the needs of any model are compared.
 */
export function checkLimits(plan: LoadPlan | undefined, limits: GPUSupportedLimits): LimitCheck[] {
  const needs: Partial<Record<keyof GPUSupportedLimits, number>> = { ...MIN_LIMITS };
  if (plan) {
    needs.maxStorageBufferBindingSize = largest(bindings(plan.shape));
    needs.maxBufferSize = needs.maxStorageBufferBindingSize;
  }
  return Object.entries(needs).map(([name, needed]) => ({
    name,
    needed,
    available: limits[name as keyof typeof needs] as number,
  }));
}

/** The sizes in bytes of buffers that cannot be split. */
function bindings(shape: KernelShape): {
  /** The keys of a full layer, which no ring exceeds, or the rope table: a shorter context makes them smaller. */
  readonly cache: number;
  /** The weights of an expert or a router, or a row of logits. */
  readonly model: number;
  /** The largest activations of a prefill chunk: a shorter chunk makes them smaller. */
  readonly activations: number;
} {
  const { hiddenSize, intermediateSize, experts, vocabularySize, contextLength } = shape;
  const { x, projected, attended, choice, hidden, expertOut } = activationSizes(shape);
  return {
    cache: Math.max(cacheBytes(shape, false), ropeTableBytes(contextLength)),
    model: Math.max(
      expertBytes(2 * intermediateSize, hiddenSize).blocks,
      denseBytes('bf16', experts, hiddenSize),
      4 * vocabularySize,
    ),
    activations: largest({ x, projected, attended, choice, hidden, expertOut }),
  };
}

/**
 * Finds the reasons why a device or an adapter cannot run a model.
 *
 * @param plan - If absent, only the needs of any model are checked.
 * @returns Sentences with the numbers and a remedy; empty if the limits suffice.
 */
export function findObstacles(plan: LoadPlan | undefined, limits: GPUSupportedLimits): string[] {
  const obstacles = checkLimits(undefined, limits)
    .filter(({ needed, available }) => available < needed)
    .map(
      ({ name, needed, available }) =>
        `The GPU device allows ${name} ${available}; ossicle needs ${needed}. Use another GPU or browser.`,
    );
  if (!plan) return obstacles;
  const { shape } = plan;
  const binding = maxBindingBytes(limits);
  const { cache, model, activations } = bindings(shape);
  if (cache > binding) {
    const positionBytes = Math.max(cacheTileBytes(shape) / CACHE_TILE, ropeTableBytes(1));
    const fits = Math.floor(binding / positionBytes / CACHE_TILE) * CACHE_TILE;
    obstacles.push(
      `A context of ${shape.contextLength} tokens needs buffers of ${mebibytes(cache)}; this GPU binds at most ` +
        `${mebibytes(binding)}. Load the model with a contextLength of at most ${fits}.`,
    );
  }
  if (model > binding) {
    obstacles.push(
      `The model needs buffers of ${mebibytes(model)}; this GPU binds at most ${mebibytes(binding)}. Use another GPU.`,
    );
  }
  if (activations > binding) {
    const fits = Math.floor((shape.chunkLength * binding) / activations);
    obstacles.push(
      `A prefill chunk of ${shape.chunkLength} tokens needs buffers of ${mebibytes(activations)}; this GPU binds at most ` +
        `${mebibytes(binding)}. Use a prefillChunkLength of at most ${fits}.`,
    );
  }
  return obstacles;
}

/** Checks that a device can run a model. @throws {@link OssicleError} `device-unsuitable` with every reason. */
export function checkDevice(plan: LoadPlan, device: GPUDevice): void {
  const obstacles = findObstacles(plan, device.limits);
  if (obstacles.length > 0) throw new OssicleError('device-unsuitable', obstacles.join(' '));
}

function checkCount(name: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw new RangeError(`${name} must be a whole number from 1 to ${most}, not ${value}`);
  }
}

function checkOneOf(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) {
    throw new RangeError(`${name} must be ${allowed.join(' or ')}, not ${JSON.stringify(value)}`);
  }
}
