import type { Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { Scheduler } from '../gpu/scheduler.ts';
import { Kernels } from '../kernels/kernels.ts';
import type { KernelShape } from '../kernels/shape.ts';
import { gptOss } from '../model/gpt-oss.ts';
import { ropeTable } from '../model/rope.ts';
import { type Activations, createActivations, type ForwardPass } from '../model/state.ts';
import type { Weights } from '../model/weights.ts';
import type { ModelConfig } from '../types/config.ts';

/** A loaded model; all sessions share it. */
export interface Runtime {
  readonly gpu: Gpu;
  readonly scheduler: Scheduler;
  readonly config: ModelConfig;
  readonly shape: KernelShape;
  readonly kernels: Kernels;
  readonly model: ForwardPass;
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
 */
export async function createRuntime(
  gpu: Gpu,
  buffers: Buffers,
  { config, shape }: Pick<Runtime, 'config' | 'shape'>,
  weights: Weights,
): Promise<Runtime> {
  const { UNIFORM, STORAGE, COPY_DST } = GPUBufferUsage;
  const step = buffers.create('step', STEP_BYTES, UNIFORM | STORAGE | COPY_DST);
  const activations = createActivations(buffers, shape);
  const table = buffers.storageOf('rope', ropeTable(config, shape.contextLength));
  const kernels = await Kernels.compile(gpu, shape, step, buffers);
  const model = gptOss(kernels, weights, activations, table);
  const scheduler = new Scheduler(gpu);
  return { gpu, scheduler, config, shape, kernels, model, activations, step };
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
