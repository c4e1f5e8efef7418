import type { Gpu } from '../gpu/device.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { submit } from '../gpu/recorder.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { KernelShape } from '../kernels/shape.ts';
import type { Activations } from '../model/state.ts';
import type { Weights } from '../model/weights.ts';
import type { ModelConfig } from '../types/config.ts';

/** Dispatches of one submit during a prefill: few enough that no driver takes a slow GPU for a hung one. */
const DISPATCHES_PER_SUBMIT = 48;

/** A loaded model: what all sessions share. */
export interface Runtime {
  readonly gpu: Gpu;
  readonly config: ModelConfig;
  readonly shape: KernelShape;
  readonly kernels: Kernels;
  readonly weights: Weights;
  readonly activations: Activations;
  /** f32 [contextLength, 64]. */
  readonly ropeTable: GPUBuffer;
  /** `Step` of `shaders/lib/step.wgsl`. */
  readonly step: GPUBuffer;
}

/** Writes what a pass reads besides its dispatches: ordered with submits, as they come. */
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
