import { isOssicleError } from '../../errors.ts';
import { openCheckpoint } from '../../formats/open-checkpoint.ts';
import { summarizeAdapter } from '../../gpu/adapter-summary.ts';
import { measureBandwidth } from '../../gpu/bandwidth.ts';
import { Gpu, requestAdapter, requestDevice } from '../../gpu/device.ts';
import { openSource } from '../../sources/open-source.ts';
import { openStoredFiles } from '../../store/stored-files.ts';
import { listStoredModels, readUsage } from '../../store/stored-models.ts';
import type { ModelSource } from '../../types/load.ts';
import type { SpeedEstimate, SupportOptions, SupportReport } from '../../types/support.ts';
import { claimMemory, describeShortage } from './memory.ts';
import { checkLimits, findObstacles, type LoadPlan, planLoad } from './plan.ts';

/**
 * What `checkSupport()` does, on the thread that calls it.
 *
 * @throws As it does.
 */
export async function examineSupport(
  source?: ModelSource,
  options: SupportOptions = {},
): Promise<SupportReport> {
  const { signal } = options;
  signal?.throwIfAborted();
  const reasons: string[] = [];
  let adapter: GPUAdapter | undefined;
  try {
    adapter = await requestAdapter();
  } catch (error) {
    if (!isOssicleError(error)) throw error;
    reasons.push(error.message);
  }
  signal?.throwIfAborted();
  const model = source === undefined ? undefined : await describeModel(source, options);
  if (adapter) reasons.push(...findObstacles(model?.plan, adapter.limits));
  const trial =
    adapter && model && reasons.length === 0
      ? await tryOut(adapter, model.plan, signal)
      : undefined;
  if (trial?.reason !== undefined) reasons.push(trial.reason);
  const storage = await readUsage().catch(() => undefined);
  return {
    isSupported: reasons.length === 0,
    reasons,
    ...(adapter && {
      adapter: summarizeAdapter(adapter),
      features: { needed: [], available: [...adapter.features] },
      limits: checkLimits(model?.plan, adapter.limits),
    }),
    ...(model && { model: model.summary }),
    ...(trial?.speed && { speed: trial.speed }),
    ...(storage && {
      storage: { usedBytes: storage.usedBytes, quotaBytes: storage.quotaBytes },
    }),
  };
}

async function describeModel(source: ModelSource, options: SupportOptions) {
  const published = await openSource(source, options);
  try {
    // What is stored loads without the network, and is described without it, too.
    const useStore = options.store !== false && !published.id.startsWith('files:');
    const stored = useStore
      ? await openStoredFiles(published.id).catch(() => undefined)
      : undefined;
    const held = stored && (await openCheckpoint(stored).catch(ignoreFailure));
    const checkpoint = held ?? (await openCheckpoint(published, options.signal));
    const plan = planLoad(checkpoint.config, options);
    const { totalBytes } = checkpoint;
    const isStored = held !== undefined;
    const summary = {
      id: published.id,
      gpuBytes: plan.gpuBytes,
      totalBytes,
      missingBytes: isStored || !useStore ? 0 : totalBytes - (await heldBytes(published.id)),
      isStored,
    };
    return { plan, summary };
  } finally {
    published.dispose?.();
  }
}

/** For what is not worth failing for: a load fetches anew what is stored and cannot be read. */
function ignoreFailure(error: unknown): undefined {
  if (!isOssicleError(error)) throw error;
}

/** Bytes of a download that has not ended. */
async function heldBytes(id: string): Promise<number> {
  const models = await listStoredModels().catch(() => []); // no store, nothing in it
  return models.find((model) => model.id === id)?.sizeBytes ?? 0;
}

/** Takes the model's memory from the GPU, and measures how fast that is. */
async function tryOut(
  adapter: GPUAdapter,
  plan: LoadPlan,
  signal: AbortSignal | undefined,
): Promise<{ readonly reason?: string; readonly speed?: SpeedEstimate }> {
  let gpu: Gpu | undefined;
  try {
    gpu = new Gpu(await requestDevice(adapter));
    signal?.throwIfAborted();
    await claimMemory(gpu, plan.gpuBytes);
    signal?.throwIfAborted();
    const speed = await measureBandwidth(gpu, plan.tokenBytes).catch(ignoreFailure); // a report does without
    return speed === undefined ? {} : { speed: estimateSpeed(plan.tokenBytes, speed) };
  } catch (error) {
    if (!isOssicleError(error)) throw error;
    return { reason: error.code === 'out-of-memory' ? describeShortage(plan) : error.message };
  } finally {
    gpu?.dispose();
    gpu?.device.destroy();
  }
}

function estimateSpeed(bytesPerToken: number, bytesPerSecond: number): SpeedEstimate {
  const maxTokensPerSecond = bytesPerSecond / bytesPerToken;
  const basis =
    `Each token reads ${gigabytes(bytesPerToken)} of weights, and this GPU has just copied ` +
    `${gigabytes(bytesPerSecond)} per second within its memory, reading and writing counted. ` +
    'Arithmetic, a longer context and other programs make it slower.';
  return { maxTokensPerSecond, bytesPerToken, bytesPerSecond, basis };
}

function gigabytes(bytes: number): string {
  return `${Number((bytes / 1e9).toPrecision(3))} GB`;
}
