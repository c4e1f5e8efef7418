import { planLoad } from '../../packages/core/src/engine/load/plan.ts';
import { Buffers, maxBindingBytes } from '../../packages/core/src/gpu/buffers.ts';
import { Gpu } from '../../packages/core/src/gpu/device.ts';
import { createRuntime, type Runtime } from '../../packages/core/src/model/runtime.ts';
import { allocateWeights, type Weights } from '../../packages/core/src/model/weights.ts';
import type { StageOptions } from './stage.ts';
import { WeightFiller } from './synthetic-weights.ts';

/** A model of true size whose weights were made on the GPU. */
export interface SyntheticModel {
  readonly runtime: Runtime;
  readonly weights: Weights;
  readonly filler: WeightFiller;
  /** Owns everything. */
  readonly buffers: Buffers;
  /** GPU memory in bytes: weights, activations and one conversation. */
  readonly gpuBytes: number;
}

/** Makes a model without a checkpoint. @throws OssicleError `out-of-memory` if the GPU has no room for it. */
export async function createSyntheticModel(
  device: GPUDevice,
  options: StageOptions,
): Promise<SyntheticModel> {
  const gpu = new Gpu(device);
  const buffers = new Buffers(gpu, 'bench');
  try {
    const { config, shape, gpuBytes } = planLoad(options.config, {
      contextLength: options.context,
      dense: options.dense,
      prefillChunkLength: options.chunk,
      ...(options.kvCache && { kvCache: options.kvCache }),
    });
    const { weights, parameters } = allocateWeights(
      config,
      buffers,
      shape.dense,
      maxBindingBytes(device.limits),
    );
    await buffers.allocated();
    const runtime = await createRuntime(gpu, buffers, { config, shape }, weights);
    await buffers.allocated();
    const filler = new WeightFiller(gpu, buffers);
    for (const parameter of parameters) filler.fillParameter(parameter);
    return { runtime, weights, filler, buffers, gpuBytes };
  } catch (error) {
    buffers.dispose();
    gpu.dispose();
    throw error;
  }
}
