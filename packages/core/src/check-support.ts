import { findObstacles, type PlanOptions, planLoad } from './engine/plan.ts';
import { isOssicleError } from './errors.ts';
import { summarizeAdapter } from './gpu/adapter-summary.ts';
import { requestAdapter } from './gpu/device.ts';
import type { AdapterSummary, LoadOptions, ModelSource } from './types.ts';
import { openCheckpoint } from './weights/checkpoint.ts';
import { openSource } from './weights/sources.ts';
import { openStoredFiles } from './weights/stored-files.ts';
import { readUsage } from './weights/stored-models.ts';

/** What of the load to come matters beforehand. */
export type SupportOptions = PlanOptions & Pick<LoadOptions, 'huggingFace'>;

/** What a machine has, and what a model needs of it. */
export interface SupportReport {
  /** Whether nothing speaks against it. */
  readonly isSupported: boolean;
  /** Why it will not run, each with a remedy; none where it will, as far as can be told beforehand. */
  readonly reasons: readonly string[];
  /** The adapter that would be used, where there is one. */
  readonly adapter?: AdapterSummary;
  /** What the model comes to; absent where no source was given. */
  readonly model?: {
    /** As the store knows it. */
    readonly id: string;
    /** Bytes on the GPU: weights, activations and one conversation. Browsers do not tell how many there are. */
    readonly gpuBytes: number;
    /** Bytes of all its files. */
    readonly totalBytes: number;
    /** Whether the store has all of it, so that nothing is downloaded. */
    readonly isStored: boolean;
  };
  /** Bytes that the site holds and may hold, as the browser tells; Chrome tells less than it allows. */
  readonly storage?: { readonly usedBytes: number; readonly quotaBytes: number };
}

/**
 * Finds out beforehand whether a model would run here. Reads the headers of its files only, from the store where it has
 * all of them.
 *
 * @param source - As of {@link load}. Without one, only the machine is looked at: no request is made.
 * @throws {@link OssicleError} where the source cannot be read, or is not a gpt-oss checkpoint. TypeError and RangeError on wrong
 * arguments.
 */
export async function checkSupport(
  source?: ModelSource,
  options: SupportOptions = {},
): Promise<SupportReport> {
  const reasons: string[] = [];
  let adapter: GPUAdapter | undefined;
  try {
    adapter = await requestAdapter();
  } catch (error) {
    if (!isOssicleError(error)) throw error;
    reasons.push(error.message);
  }
  const model = source === undefined ? undefined : await describeModel(source, options);
  if (model && adapter) reasons.push(...findObstacles(model.plan, adapter.limits));
  const storage = await readUsage().catch(() => undefined);
  return {
    isSupported: reasons.length === 0,
    reasons,
    ...(adapter && { adapter: summarizeAdapter(adapter) }),
    ...(model && { model: model.summary }),
    ...(storage && {
      storage: { usedBytes: storage.usedBytes, quotaBytes: storage.quotaBytes },
    }),
  };
}

async function describeModel(source: ModelSource, options: SupportOptions) {
  const published = await openSource(source, options);
  try {
    // What is stored loads without the network, and is described without it, too.
    const stored = await openStoredFiles(published.id).catch(() => undefined);
    const checkpoint = await openCheckpoint(stored ?? published);
    const plan = planLoad(checkpoint.config, options);
    const summary = {
      id: published.id,
      gpuBytes: plan.gpuBytes,
      totalBytes: checkpoint.totalBytes,
      isStored: stored !== undefined,
    };
    return { plan, summary };
  } finally {
    published.dispose?.();
  }
}
