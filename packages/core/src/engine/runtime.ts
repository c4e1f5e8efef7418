import type { Gpu } from '../gpu/device.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { submit } from '../gpu/recorder.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { KernelShape } from '../kernels/shape.ts';
import type { Activations, ForwardPass } from '../model/state.ts';
import type { ModelConfig } from '../types/config.ts';

/** Dispatches per submit during prefill: few enough for a slow GPU to finish before its driver's watchdog resets it. */
const DISPATCHES_PER_SUBMIT = 48;

/** A loaded model; all sessions share it. */
export interface Runtime {
  readonly gpu: Gpu;
  readonly config: ModelConfig;
  readonly shape: KernelShape;
  readonly kernels: Kernels;
  readonly model: ForwardPass;
  readonly activations: Activations;
  /** `Step` of `shaders/lib/step.wgsl`. */
  readonly step: GPUBuffer;
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

/** Submits a long list of dispatches in parts. */
export function submitInParts(gpu: Gpu, dispatches: readonly Dispatch[]): void {
  for (let first = 0; first < dispatches.length; first += DISPATCHES_PER_SUBMIT) {
    submit(gpu, dispatches.slice(first, first + DISPATCHES_PER_SUBMIT));
  }
}
