import type { Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { Kernel, type KernelSource } from '../gpu/kernel.ts';
import { type Halves, halvesOf } from './halves.ts';
import { type PipelineName, pipelineSources } from './pipelines.ts';
import type { Shaders } from './shaders.ts';
import type { AdapterKind, KernelShape, Product } from './shape.ts';

/** Options of {@link Kernels.compile}. */
export interface CompileOptions {
  readonly shaders?: Shaders;
  readonly compiled?: Map<string, Promise<Kernel>>;
  readonly halves?: Halves;
  readonly adapter?: AdapterKind;
}

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
   * @param options.shaders - Where their files come from. Default: the library's, with all variants that the device can run.
   * @param options.compiled - Kernels that have been compiled before, for any shape; gets the others.
   * @param options.halves - Default: {@link halvesOf}.
   * @param options.adapter - What to compile for. Default: what the device is; a GPU for prefill in int8, which has wide tiles.
   */
  static async compile(
    gpu: Gpu,
    shape: KernelShape,
    step: GPUBuffer,
    buffers: Buffers,
    { shaders, compiled = new Map(), halves, adapter }: CompileOptions = {},
  ): Promise<Kernels> {
    const { isFallbackAdapter } = gpu.device.adapterInfo;
    const isSoftware = isFallbackAdapter && shape.prefill === 'float';
    const kind = adapter ?? (isSoftware ? 'software' : 'gpu');
    const compile = (source: KernelSource): Promise<Kernel> => {
      const { entryPoint, files, constants } = source;
      const key = JSON.stringify([entryPoint, files.map(({ path }) => path), constants]);
      const kernel = compiled.get(key) ?? Kernel.compile(gpu, source);
      compiled.set(key, kernel);
      return kernel;
    };
    const libraries = {
      dense: shape.dense,
      halves: halves ?? (await halvesOf(gpu)),
      kv: shape.kvCache,
    };
    const options = { libraries, features: gpu.device.features };
    const sources = [...pipelineSources(shape, options, shaders, kind)];
    const pipelines = await Promise.all(
      sources.map(async ([name, source]) => [name, await compile(source)] as const),
    );
    return new Kernels(shape, step, new Map(pipelines), buffers);
  }

  /** A uniform of constant u32 parameters. */
  params(...values: readonly number[]): GPUBuffer {
    return this.#buffers.params(...values);
  }

  /** Whether many tokens may use these tiles. */
  has(product: Product): boolean {
    return this.#pipelines.has(`group_by_expert/${product}`);
  }

  /** The kernel of a pipeline. */
  get(pipeline: PipelineName): Kernel {
    const kernel = this.#pipelines.get(pipeline);
    if (!kernel) throw new Error(`There is no pipeline ${pipeline}`);
    return kernel;
  }
}
