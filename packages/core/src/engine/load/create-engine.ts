import { isOssicleError, OssicleError } from '../../errors.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import { openCheckpoint } from '../../formats/open-checkpoint.ts';
import { summarizeAdapter } from '../../gpu/adapter-summary.ts';
import { Buffers } from '../../gpu/buffers.ts';
import { Gpu } from '../../gpu/device.ts';
import { Kernels } from '../../kernels/kernels.ts';
import { gptOss } from '../../model/gpt-oss.ts';
import { parameterCount } from '../../model/parameters.ts';
import { ropeTable } from '../../model/rope.ts';
import { createActivations } from '../../model/state.ts';
import type { Weights } from '../../model/weights.ts';
import { notify } from '../../notify.ts';
import { type ByteSource, openSource } from '../../sources/open-source.ts';
import { storageFailure } from '../../store/storage-failure.ts';
import { checkIntegrity, openStore } from '../../store/store.ts';
import type { LoadOptions, LoadProgress, ModelInfo, ModelSource } from '../../types/load.ts';
import { type Engine, LoadedEngine } from '../engine.ts';
import type { Runtime } from '../runtime.ts';
import { CheckpointTokenizer } from '../tokenizer.ts';
import { type PlacedWeights, placeWeights, uploadWeights } from './load-weights.ts';
import { claimMemory, explainShortage } from './memory.ts';
import { checkDevice, type LoadPlan, planLoad } from './plan.ts';
import { ProgressMeter } from './progress.ts';

/** Options of {@link createEngine}. */
export interface EngineOptions extends LoadOptions {
  /**
   * The device to run on. It stays the caller's: the engine never destroys it. Let nothing but engines use it: until an
   * engine is disposed of, any error of the device that no scope catches ends what it runs, and shows in no console.
   */
  readonly device: GPUDevice;
  /** Where the checkpoint comes from. */
  readonly source: ModelSource;
  /** Whether the bytes are kept in the browser's private file system; only workers can. Default: false. */
  readonly store?: boolean;
}

/**
 * Loads a model on a device.
 *
 * @throws {@link OssicleError} `device-unsuitable`, `out-of-memory`, `download-failed`, `integrity`, `storage-full`,
 * `storage-unavailable`, `format-invalid`, `device-lost`. `signal.reason` where the load is aborted. RangeError, TypeError
 * on wrong options.
 */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const gpu = new Gpu(options.device);
  const progress = new ProgressMeter((update) => notify(onProgress, update));
  const buffers = new Buffers(gpu, 'model');
  let source: ByteSource | undefined;
  try {
    source = await openSource(options.source, options);
    // Local files are on this disk already.
    const useStore = (options.store ?? false) && !source.id.startsWith('files:');
    checkIntegrity(options.integrity, useStore);
    const opened = await openStored(source, useStore, options).catch(storageFailed(signal));
    source = opened.source;
    let { checkpoint } = opened;
    const plan = planLoad(checkpoint.config, options);
    checkDevice(plan, options.device);

    const placed = await takeMemory(gpu, buffers, plan, checkpoint);
    const runtime = prepareRuntime(gpu, buffers, plan, placed.weights);
    runtime.catch(() => undefined); // awaited below, after what may fail before it
    if (!opened.isStored && useStore) {
      const stored = await download(source, checkpoint, progress, options).catch(
        storageFailed(signal),
      );
      if (stored) {
        source = stored;
        checkpoint = await openCheckpoint(source, signal);
      }
    }
    const tokenizerJson = await checkpoint.tokenizer(signal);
    const tokenizer =
      tokenizerJson === undefined
        ? undefined
        : new CheckpointTokenizer(tokenizerJson, plan.config.vocabularySize);
    await uploadWeights(gpu, placed, source, progress, signal);
    progress.start('compile', 0);
    const ready = await runtime;
    await buffers.allocated();
    await gpu.settle(gpu.device.queue.onSubmittedWorkDone());
    signal?.throwIfAborted();
    progress.start('ready', 0);
    return new LoadedEngine(ready, tokenizer, buffers, describe(source.id, plan, options.device));
  } catch (error) {
    buffers.dispose();
    gpu.dispose();
    throw error;
  } finally {
    source?.dispose?.();
  }
}

/** Tells a failure of the browser's storage as one of this library. */
function storageFailed(signal: AbortSignal | undefined): (error: unknown) => never {
  return (error) => {
    throw signal?.aborted ? error : storageFailure(error);
  };
}

/** Reads the checkpoint's headers: from the store where it is whole there, without a request, or from its source. */
async function openStored(
  source: ByteSource,
  useStore: boolean,
  { integrity, signal }: LoadOptions,
): Promise<{ source: ByteSource; checkpoint: Checkpoint; isStored: boolean }> {
  const stored = useStore
    ? await (await openStore())?.source(source.id, signal, integrity)
    : undefined;
  if (stored) {
    try {
      const checkpoint = await openCheckpoint(stored, signal);
      return { source: stored, checkpoint, isStored: true };
    } catch (error) {
      stored.dispose?.();
      // Files that the browser has damaged or taken away are downloaded again.
      if (!isOssicleError(error)) throw error;
    }
  }
  return { source, checkpoint: await openCheckpoint(source, signal), isStored: false };
}

/** Allocates the weights, and finds out whether there is room for the rest: before anything of them is downloaded. */
async function takeMemory(
  gpu: Gpu,
  buffers: Buffers,
  plan: LoadPlan,
  checkpoint: Checkpoint,
): Promise<PlacedWeights> {
  try {
    const placed = await placeWeights(gpu, buffers, plan.config, plan.shape.dense, checkpoint);
    await claimMemory(gpu, plan.gpuBytes - buffers.sizeBytes);
    return placed;
  } catch (error) {
    throw explainShortage(error, plan);
  }
}

/** Stores the files; `undefined` where there is no store to write to. */
async function download(
  source: ByteSource,
  checkpoint: Checkpoint,
  progress: ProgressMeter,
  { integrity, signal }: LoadOptions,
): Promise<ByteSource | undefined> {
  const store = await openStore();
  if (!store) {
    if (!integrity) return undefined;
    throw new OssicleError(
      'integrity',
      'The files cannot be checked against `integrity`: the browser does not let this page store them, as in some private ' +
        'windows. Load without it, or in an ordinary window.',
    );
  }
  let phase: LoadProgress['phase'] | undefined;
  const report =
    (now: 'download' | 'verify') =>
    (doneBytes: number, totalBytes: number): void => {
      if (phase === now) progress.set(doneBytes);
      else progress.start(now, totalBytes, doneBytes);
      phase = now;
    };
  await store.download(source, checkpoint.files, {
    integrity,
    signal,
    onProgress: report('download'),
    onVerify: report('verify'),
  });
  progress.end();
  return store.source(source.id, signal, integrity);
}

/** Compiles the kernels, and allocates what they work on besides the weights. */
async function prepareRuntime(
  gpu: Gpu,
  buffers: Buffers,
  { config, shape }: LoadPlan,
  weights: Weights,
): Promise<Runtime> {
  const step = buffers.create(
    'step',
    16,
    GPUBufferUsage.UNIFORM | GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
  );
  const activations = createActivations(buffers, shape);
  const table = buffers.storageOf('rope', ropeTable(config, shape.contextLength));
  const kernels = await Kernels.compile(gpu, shape, step, buffers);
  const model = gptOss({ kernels, weights, activations, ropeTable: table });
  return { gpu, config, shape, kernels, model, activations, step };
}

function describe(id: string, { config, shape, gpuBytes }: LoadPlan, device: GPUDevice): ModelInfo {
  return {
    id,
    config,
    parameterCount: parameterCount(config),
    contextLength: shape.contextLength,
    dense: shape.dense,
    kvCache: shape.kvCache,
    gpuBytes,
    adapter: summarizeAdapter(device),
  };
}
