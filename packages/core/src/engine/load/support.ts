import { isOssicleError } from '../../errors.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import { openCheckpoint } from '../../formats/open-checkpoint.ts';
import { summarizeAdapter } from '../../gpu/adapter-summary.ts';
import { measureBandwidth } from '../../gpu/bandwidth.ts';
import { Gpu, requestAdapter, requestDevice } from '../../gpu/device.ts';
import { totalBytes } from '../../sources/byte-source.ts';
import { openSource } from '../../sources/open-source.ts';
import { isPublished } from '../../sources/published-source.ts';
import { listStoredModels, readUsage } from '../../store/stored-models.ts';
import { openStoredFiles } from '../../store/stored-source.ts';
import type { ModelSource } from '../../types/load.ts';
import type { SpeedEstimate, SupportOptions, SupportReport } from '../../types/support.ts';
import { claimMemory, describeShortage } from './memory.ts';
import { checkLimits, findObstacles, type LoadPlan, planLoad } from './plan.ts';

/** Implements `checkSupport()`, on the thread that calls it. */
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
      features: [...adapter.features],
      limits: checkLimits(model?.plan, adapter.limits),
    }),
    ...(model && { model: model.summary }),
    ...(trial?.speed && { speed: trial.speed }),
    ...(storage && {
      storage: { usedBytes: storage.usedBytes, quotaBytes: storage.quotaBytes },
    }),
  };
}

interface ModelDescription {
  readonly plan: LoadPlan;
  readonly summary: NonNullable<SupportReport['model']>;
}

async function describeModel(
  source: ModelSource,
  options: SupportOptions,
): Promise<ModelDescription> {
  const opened = await openSource(source, options);
  const { id } = opened;
  const useStore = options.store !== false && isPublished(opened);
  const stored = useStore ? await openStored(id) : undefined;
  const { config, files } = stored ?? (await openCheckpoint(opened, options.signal));
  const plan = planLoad(config, options);
  const allBytes = totalBytes(files);
  const isStored = stored !== undefined;
  const missingBytes = isStored || !useStore ? 0 : allBytes - (await keptBytes(id));
  const { gpuBytes } = plan;
  return { plan, summary: { id, gpuBytes, totalBytes: allBytes, missingBytes, isStored } };
}

/**
 * Opens a checkpoint in the store; `undefined` if it is not there, or cannot be read: a load would download it again.
 */
async function openStored(id: string): Promise<Checkpoint | undefined> {
  const files = await openStoredFiles(id).catch(() => undefined);
  return files && openCheckpoint(files).catch(ignoreFailure);
}

/** Ignores a failure that the report can do without. */
function ignoreFailure(error: unknown): undefined {
  if (!isOssicleError(error)) throw error;
}

/** The stored bytes of an incomplete download. */
async function keptBytes(id: string): Promise<number> {
  const models = await listStoredModels().catch(() => []); // without a store, nothing is stored
  return models.find((model) => model.id === id)?.sizeBytes ?? 0;
}

/** Allocates the model's memory on the GPU for a moment, and measures the memory's speed. */
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
    const bytesPerToken = plan.tokenBytes;
    const bytesPerSecond = await measureBandwidth(gpu, bytesPerToken).catch(ignoreFailure);
    if (bytesPerSecond === undefined) return {};
    const maxTokensPerSecond = bytesPerSecond / bytesPerToken;
    return { speed: { maxTokensPerSecond, bytesPerToken, bytesPerSecond } };
  } catch (error) {
    if (!isOssicleError(error)) throw error;
    return { reason: error.code === 'out-of-memory' ? describeShortage(plan) : error.message };
  } finally {
    gpu?.dispose();
    gpu?.device.destroy();
  }
}
