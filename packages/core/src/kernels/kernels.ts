import type { Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { AttentionKernels } from './attention-kernels.ts';
import { ExpertKernels } from './expert-kernels.ts';
import { KernelSet } from './kernel-set.ts';
import type { DenseMatrix } from './matrix.ts';
import type { SamplingState } from './operands.ts';
import { type KernelShape, STRIP } from './shape.ts';

/**
 * The kernels of one model, compiled. A method makes the dispatches of one operation, in whatever variant suits the
 * number of tokens, and one dispatch per part of a matrix that one binding cannot hold.
 * Arguments run: inputs, weights, output.
 */
export class Kernels {
  /** The operations of attention layers. */
  readonly attention: AttentionKernels;
  /** The operations of mixture-of-experts layers. */
  readonly experts: ExpertKernels;
  readonly #kernels: KernelSet;

  private constructor(kernels: KernelSet) {
    this.#kernels = kernels;
    this.attention = new AttentionKernels(kernels);
    this.experts = new ExpertKernels(kernels);
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
    return new Kernels(await KernelSet.compile(gpu, shape, step, buffers));
  }

  /** x = the rows of `w` for the token ids. */
  embed(tokens: GPUBuffer, w: DenseMatrix, x: GPUBuffer, count: number): Dispatch[] {
    return w.parts.map(({ firstRow, rows, values, scales }) =>
      this.#kernels.dispatch(
        'embed',
        w.label,
        this.#kernels.withParams({ tokens, weights: values, scales, x }, firstRow, rows),
        [1, count],
      ),
    );
  }

  /** y = x / rms(x) * scale. */
  norm(label: string, x: GPUBuffer, scale: GPUBuffer, y: GPUBuffer, count: number): Dispatch[] {
    return [
      this.#kernels.dispatch('norm', label, { step: this.#kernels.step, x, scale, y }, [1, count]),
    ];
  }

  /** The same from `step.outputRow` on, for the rows whose logits are wanted. */
  outputNorm(
    label: string,
    x: GPUBuffer,
    scale: GPUBuffer,
    y: GPUBuffer,
    count: number,
  ): Dispatch[] {
    return [
      this.#kernels.dispatch('norm/output', label, { step: this.#kernels.step, x, scale, y }, [
        1,
        count,
      ]),
    ];
  }

  /** logits = w x. */
  unembed(x: GPUBuffer, w: DenseMatrix, logits: GPUBuffer, count: number): Dispatch[] {
    return this.#kernels.linear('unembedding', x, w, undefined, logits, count);
  }

  /** Chooses the next token from the first row of logits, makes it the next input, and advances the step. */
  sample(
    logits: GPUBuffer,
    { options, seen, stripLogits, stripTokens }: SamplingState,
    tokens: GPUBuffer,
  ): Dispatch[] {
    const strips = { strip_logits: stripLogits, strip_tokens: stripTokens };
    return [
      this.#kernels.dispatch(
        'sample_strips',
        'sample strips',
        { sampling: options, seen, logits, ...strips },
        [Math.ceil(this.#kernels.shape.vocabularySize / STRIP)],
      ),
      this.#kernels.dispatch(
        'sample',
        'sample',
        { sampling: options, logits, ...strips, step: this.#kernels.step, tokens, seen },
        [1],
      ),
    ];
  }
}
