import type { Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { type Dispatch, Kernel } from '../gpu/kernel.ts';
import type { SamplingState } from './operands.ts';
import { type CompiledKernels, Operations } from './operations.ts';
import { pipelineSources } from './pipelines.ts';
import type { KernelShape } from './shape.ts';

/** The compiled kernels of one model. */
export class Kernels {
  readonly #compiled: CompiledKernels;

  private constructor(compiled: CompiledKernels) {
    this.#compiled = compiled;
  }

  /**
   * Compiles the kernels of one model, side by side.
   *
   * @param step - Uniform and storage `Step` of `shaders/lib/step.wgsl`: position, tokens, output row.
   * @param buffers - Owns the kernels' constant parameters.
   */
  static async compile(
    gpu: Gpu,
    shape: KernelShape,
    step: GPUBuffer,
    buffers: Buffers,
  ): Promise<Kernels> {
    const sources = Object.entries(pipelineSources(shape, gpu.device.features));
    const pipelines = await Promise.all(
      sources.map(async ([name, source]) => [name, await Kernel.compile(gpu, source)] as const),
    );
    return new Kernels({ shape, pipelines: new Map(pipelines), step, buffers });
  }

  /** The operations of passes over `count` tokens. */
  forTokens(count: number): Operations {
    return new Operations(this.#compiled, count);
  }

  /** See {@link Operations.sample}: it takes one row of logits, however many tokens a pass had. */
  sample(logits: GPUBuffer, sampling: SamplingState, tokens: GPUBuffer): Dispatch[] {
    return this.forTokens(1).sample(logits, sampling, tokens);
  }
}
