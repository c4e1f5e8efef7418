import { checkLoadOptions } from '../../check-values.ts';
import { isOssicleError, OssicleError } from '../../errors.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import { openCheckpoint } from '../../formats/open-checkpoint.ts';
import { summarizeAdapter } from '../../gpu/adapter-summary.ts';
import { Buffers } from '../../gpu/buffers.ts';
import { Gpu } from '../../gpu/device.ts';
import { halvesOf } from '../../kernels/halves.ts';
import { parameterCount } from '../../model/parameters.ts';
import { createRuntime } from '../../model/runtime.ts';
import { notify } from '../../notify.ts';
import type { ByteSource } from '../../sources/byte-source.ts';
import { openSource } from '../../sources/open-source.ts';
import { isPublished, type PublishedSource } from '../../sources/published-source.ts';
import { checkIntegrity } from '../../store/integrity.ts';
import { openStore } from '../../store/opfs-store.ts';
import { storageFailure } from '../../store/storage-failure.ts';
import type { LoadOptions, LoadProgress, ModelInfo, ModelSource } from '../../types/load.ts';
import { type Engine, LoadedEngine } from '../engine.ts';
import { CheckpointTokenizer } from '../tokenizer.ts';
import { diagnose } from '../variants/diagnose.ts';
import { chooseVariants, recallChoices } from './choose-variants.ts';
import { type PlacedWeights, placeWeights, WeightUpload } from './load-weights.ts';
import { claimMemory, explainShortage } from './memory.ts';
import { checkDevice, type LoadPlan, planLoad } from './plan.ts';
import { ProgressMeter } from './progress.ts';

/** Options of {@link createEngine}. */
export interface EngineOptions extends Omit<LoadOptions, 'worker'> {
  /**
   * The device to run on. It stays the caller's: the engine never destroys it. Use it for engines only: until an engine
   * is disposed of, any uncaptured error of the device fails what the engine runs, and does not reach the console.
   */
  readonly device: GPUDevice;
  /** Where the checkpoint comes from. */
  readonly source: ModelSource;
  /** Whether to keep the files in the browser's private file system, which only workers can do. Default: false. */
  readonly store?: boolean;
}

/**
 * Loads a model on a device.
 *
 * @throws {@link OssicleError} `device-unsuitable`, `out-of-memory`, `download-failed`, `integrity`, `storage-full`,
 * `storage-unavailable`, `format-invalid`, `format-unsupported`, `device-lost`. `signal.reason` if the load is aborted. RangeError and
 * TypeError for wrong options.
 */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  checkLoadOptions(options);
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const gpu = new Gpu(options.device);
  const progress = new ProgressMeter((update) => notify(onProgress, update));
  const buffers = new Buffers(gpu, 'model');
  let source: ByteSource | undefined;
  let upload: WeightUpload | undefined;
  try {
    const opened = await openSource(options.source, options);
    source = opened;
    const published = options.store && isPublished(opened) ? opened : undefined;
    checkIntegrity(options.integrity, published !== undefined);
    const stored = published && (await openStored(published.id, options));
    source = stored?.source ?? opened;
    let checkpoint = stored?.checkpoint ?? (await openCheckpoint(opened, signal));
    const plan = planLoad(checkpoint.config, options);
    checkDevice(plan, options.device);

    const placed = await takeMemory(gpu, buffers, plan, checkpoint);
    await halvesOf(gpu); // its buffers must not outlive a load that is aborted
    upload = new WeightUpload(gpu, placed);
    const remembered = await recallChoices(gpu, plan, options);
    const runtime = createRuntime(gpu, buffers, plan, placed.weights, remembered.shaders);
    runtime.catch(() => undefined); // awaited below, after other steps that may fail
    if (published && !stored) {
      const downloaded = await download(published, checkpoint, progress, options).catch(
        storageFailed(signal),
      );
      if (downloaded) {
        source = downloaded;
        checkpoint = await openCheckpoint(source, signal);
      }
    }
    const tokenizerJson = await checkpoint.tokenizer(signal);
    const tokenizer =
      tokenizerJson === undefined
        ? undefined
        : new CheckpointTokenizer(tokenizerJson, plan.config.vocabularySize);
    await upload.run({ source, progress, signal });
    progress.start('compile', 0);
    const compiled = await runtime;
    await buffers.allocated();
    const chosen = await chooseVariants(compiled, remembered, options);
    await gpu.settle(gpu.device.queue.onSubmittedWorkDone());
    signal?.throwIfAborted();
    progress.start('ready', 0);
    const info = describe(source.id, plan, options.device);
    return new LoadedEngine(chosen.runtime, tokenizer, buffers, info, () =>
      diagnose(chosen, info, remembered.choices !== undefined),
    );
  } catch (error) {
    buffers.dispose();
    gpu.dispose();
    throw error;
  } finally {
    upload?.dispose();
    source?.dispose?.();
  }
}

/** Converts a failure of the browser's storage to an {@link OssicleError}. */
function storageFailed(signal: AbortSignal | undefined): (error: unknown) => never {
  return (error) => {
    throw signal?.aborted ? error : storageFailure(error);
  };
}

/** Opens the checkpoint in the store, without a request; `undefined` if it is not there whole, or is broken. */
async function openStored(
  id: string,
  { integrity, signal }: LoadOptions,
): Promise<{ readonly source: ByteSource; readonly checkpoint: Checkpoint } | undefined> {
  const fail = storageFailed(signal);
  const store = await openStore();
  const source = await store?.openModel(id, { integrity, signal }).catch(fail);
  if (!source) return undefined;
  try {
    return { source, checkpoint: await openCheckpoint(source, signal) };
  } catch (error) {
    source.dispose?.();
    // Files that the browser has damaged or removed are downloaded again.
    return isOssicleError(error) ? undefined : fail(error);
  }
}

/** Allocates the weights, and checks that there is room for the rest, before anything is downloaded. */
async function takeMemory(
  gpu: Gpu,
  buffers: Buffers,
  plan: LoadPlan,
  checkpoint: Checkpoint,
): Promise<PlacedWeights> {
  try {
    const placed = await placeWeights(gpu, buffers, plan, checkpoint);
    await claimMemory(gpu, plan.gpuBytes - buffers.sizeBytes);
    return placed;
  } catch (error) {
    throw explainShortage(error, plan);
  }
}

/** Stores the files, and opens them there; `undefined` if there is no store. */
async function download(
  source: PublishedSource,
  checkpoint: Checkpoint,
  progress: ProgressMeter,
  { integrity, signal }: LoadOptions,
): Promise<ByteSource | undefined> {
  const store = await openStore();
  if (!store) {
    if (!integrity) return undefined;
    throw new OssicleError(
      'storage-unavailable',
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
  return store.openModel(source.id, { integrity, signal });
}

function describe(id: string, { config, shape, gpuBytes }: LoadPlan, device: GPUDevice): ModelInfo {
  return {
    id,
    config,
    parameterCount: parameterCount(config),
    contextLength: shape.contextLength,
    dense: shape.dense,
    kvCache: shape.kvCache,
    prefill: shape.prefill,
    gpuBytes,
    adapter: summarizeAdapter(device),
  };
}
