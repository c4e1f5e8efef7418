import type { Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Kernel } from '../gpu/kernel.ts';
import { Scheduler } from '../gpu/scheduler.ts';
import { Kernels } from '../kernels/kernels.ts';
import { SHADERS, type Shaders } from '../kernels/shaders.ts';
import type { KernelShape, Product } from '../kernels/shape.ts';
import type { ModelConfig } from '../types/config.ts';
import { gptOss } from './gpt-oss.ts';
import { ropeTable } from './rope.ts';
import { type Activations, createActivations, type ForwardPass } from './state.ts';
import type { Weights } from './weights.ts';

/** A loaded model; all sessions share it. */
export interface Runtime {
  readonly gpu: Gpu;
  readonly scheduler: Scheduler;
  readonly config: ModelConfig;
  readonly shape: KernelShape;
  readonly weights: Weights;
  readonly kernels: Kernels;
  readonly model: ForwardPass;
  /** The passes of other weights of the same shape, with these tiles if many tokens are to use no others. */
  createModel(weights: Weights, product?: Product): ForwardPass;
  /** Where the kernels come from. */
  readonly shaders: Shaders;
  /** The same with other variants of the kernels; compiles those that differ. */
  recompile(shaders: Shaders): Promise<Runtime>;
  readonly activations: Activations;
  /** `Step` of `shaders/lib/step.wgsl`. */
  readonly step: GPUBuffer;
}

/** Bytes of `Step` of `shaders/lib/step.wgsl`, rounded up to 16. */
const STEP_BYTES = 16;

/**
 * Compiles the kernels, and allocates what they work on besides the weights.
 *
 * @param buffers - Owns what is allocated.
 * @param shaders - Where the kernels come from. Default: the library's, with all variants that the device can run.
 */
export async function createRuntime(
  gpu: Gpu,
  buffers: Buffers,
  { config, shape }: Pick<Runtime, 'config' | 'shape'>,
  weights: Weights,
  shaders: Shaders = SHADERS,
): Promise<Runtime> {
  const { UNIFORM, STORAGE, COPY_DST } = GPUBufferUsage;
  const step = buffers.create('step', STEP_BYTES, UNIFORM | STORAGE | COPY_DST);
  const activations = createActivations(buffers, shape);
  const table = buffers.storageOf('rope', ropeTable(config, shape.contextLength));
  const scheduler = new Scheduler(gpu);
  const shared = { gpu, scheduler, config, shape, weights, activations, step };
  const compiled = new Map<string, Promise<Kernel>>();
  const compile = async (from: Shaders): Promise<Runtime> => {
    const kernels = await Kernels.compile(gpu, shape, step, buffers, { shaders: from, compiled });
    const createModel: Runtime['createModel'] = (others, product) =>
      gptOss(kernels, others, activations, table, product);
    const model = createModel(weights);
    return { ...shared, kernels, model, createModel, shaders: from, recompile: compile };
  };
  return compile(shaders);
}

/** Writes the numbers that all dispatches of the next submits read. Does not affect earlier submits. */
export function writeStep(
  { gpu, step }: Runtime,
  position: number,
  tokens: number,
  outputRow: number,
): void {
  gpu.device.queue.writeBuffer(step, 0, Uint32Array.of(position, tokens, outputRow));
}
