import type { Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { Kernel } from '../gpu/kernel.ts';
import { chooseHalves, type Halves } from './halves.ts';
import { type PipelineName, pipelineSources } from './pipelines.ts';
import type { KernelShape } from './shape.ts';

/** The compiled kernels of one model, and what all its operations share. */
export class Kernels {
  /** The numbers that the kernels are compiled for. */
  readonly shape: KernelShape;
  /** Uniform and storage `Step` of `shaders/lib/step.wgsl`. */
  readonly step: GPUBuffer;
  readonly #pipelines: ReadonlyMap<PipelineName, Kernel>;
  readonly #buffers: Buffers;

  private constructor(
    shape: KernelShape,
    step: GPUBuffer,
    pipelines: ReadonlyMap<PipelineName, Kernel>,
    buffers: Buffers,
  ) {
    this.shape = shape;
    this.step = step;
    this.#pipelines = pipelines;
    this.#buffers = buffers;
  }

  /**
   * Compiles the kernels of one model, side by side.
   *
   * @param step - Uniform and storage `Step` of `shaders/lib/step.wgsl`: position, tokens, output row.
   * @param buffers - Owns the kernels' constant parameters.
   * @param halves - Default: `native` if that is exact on this GPU.
   */
  static async compile(
    gpu: Gpu,
    shape: KernelShape,
    step: GPUBuffer,
    buffers: Buffers,
    halves?: Halves,
  ): Promise<Kernels> {
    const libraries = {
      dense: shape.dense,
      halves: halves ?? (await chooseHalves(gpu)),
      kv: shape.kvCache,
    };
    const sources = [...pipelineSources(shape, { libraries, features: gpu.device.features })];
    const pipelines = await Promise.all(
      sources.map(async ([name, source]) => [name, await Kernel.compile(gpu, source)] as const),
    );
    return new Kernels(shape, step, new Map(pipelines), buffers);
  }

  /** A uniform of constant u32 parameters. */
  params(...values: readonly number[]): GPUBuffer {
    return this.#buffers.params(...values);
  }

  /** The kernel of a pipeline. */
  get(pipeline: PipelineName): Kernel {
    const kernel = this.#pipelines.get(pipeline);
    if (!kernel) throw new Error(`There is no pipeline ${pipeline}`);
    return kernel;
  }
}
