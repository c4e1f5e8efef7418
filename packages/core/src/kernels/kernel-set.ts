import type { Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { type Dispatch, Kernel, type Resource } from '../gpu/kernel.ts';
import type { DenseMatrix } from './matrix.ts';
import { type KernelShape, TILE_ROWS, TILE_TOKENS } from './shape.ts';
import { kernelVariants } from './variants.ts';

/** Up to this many tokens, matmuls read the weights once per token; from there on, once per tile of tokens. */
export const FEW_TOKENS = 4;

/** What a dispatch binds, by the names that the shader gives. */
export type Resources = Readonly<Record<string, Resource>>;

/** The compiled kernels of one model, by the names of {@link kernelVariants}, and what all of their dispatches share. */
export class KernelSet {
  /** The numbers that the kernels are compiled for. */
  readonly shape: KernelShape;
  /** Uniform and storage `Step` of `shaders/lib/step.wgsl`. */
  readonly step: GPUBuffer;
  readonly #kernels: ReadonlyMap<string, Kernel>;
  readonly #buffers: Buffers;

  private constructor(
    kernels: ReadonlyMap<string, Kernel>,
    shape: KernelShape,
    buffers: Buffers,
    step: GPUBuffer,
  ) {
    this.#kernels = kernels;
    this.shape = shape;
    this.#buffers = buffers;
    this.step = step;
  }

  /** Compiles the kernels side by side. See {@link Kernels.compile}. */
  static async compile(
    gpu: Gpu,
    shape: KernelShape,
    step: GPUBuffer,
    buffers: Buffers,
  ): Promise<KernelSet> {
    const compiled = await Promise.all(
      Object.entries(kernelVariants(shape)).map(
        async ([variant, source]) => [variant, await Kernel.compile(gpu, source)] as const,
      ),
    );
    return new KernelSet(new Map(compiled), shape, buffers, step);
  }

  /** One dispatch of a variant. */
  dispatch(
    variant: string,
    label: string,
    resources: Resources,
    workgroups: readonly [x: number, y?: number, z?: number],
  ): Dispatch {
    const kernel = this.#kernels.get(variant);
    if (!kernel) throw new Error(`no kernel variant ${variant}`);
    return kernel.dispatch(label, resources, workgroups);
  }

  /** Resources with the constants of one dispatch, for shaders that have `params`. */
  withParams(resources: Resources, ...values: readonly number[]): Resources {
    return { ...resources, params: this.#buffers.params(...values) };
  }

  /** y = w x + bias, or y += w x + bias, as the use of the matrix has it; a dispatch for each of its parts. */
  linear(
    use: 'qkv' | 'out' | 'unembedding',
    x: GPUBuffer,
    w: DenseMatrix,
    bias: GPUBuffer | undefined,
    y: GPUBuffer,
    count: number,
  ): Dispatch[] {
    const kernel = count <= FEW_TOKENS ? 'linear' : 'linear_tiled';
    const tokensPerTile = count <= FEW_TOKENS ? 1 : TILE_TOKENS;
    // The tiled kernel tells by the size of y how many tokens there are.
    const yOfTokens = { buffer: y, size: 4 * count * w.rows };
    return w.parts.map((part) =>
      this.dispatch(
        `${kernel}/${use}`,
        w.label,
        this.withParams(
          // A kernel that has no bias has it bound all the same: any buffer will do.
          { weights: part.values, scales: part.scales, bias: bias ?? part.scales, x, y: yOfTokens },
          part.firstRow,
        ),
        [Math.ceil(part.rows / TILE_ROWS), Math.ceil(count / tokensPerTile)],
      ),
    );
  }
}
