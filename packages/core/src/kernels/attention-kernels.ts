import type { Dispatch } from '../gpu/kernel.ts';
import { FEW_TOKENS, type KernelSet } from './kernel-set.ts';
import type { DenseMatrix } from './matrix.ts';
import type { AttentionSplits, LayerCache } from './operands.ts';
import { HEAD_SIZE, SPLIT_KEYS, splitCount, workgroupsOf } from './shape.ts';

/** The operations of an attention layer. See {@link Kernels}. */
export class AttentionKernels {
  readonly #kernels: KernelSet;

  constructor(kernels: KernelSet) {
    this.#kernels = kernels;
  }

  /** Queries to `projected`, rotated keys and values to the cache. */
  qkv(
    x: GPUBuffer,
    w: DenseMatrix,
    bias: GPUBuffer,
    ropeTable: GPUBuffer,
    cache: LayerCache,
    projected: GPUBuffer,
    count: number,
  ): Dispatch[] {
    const span = spanName(cache);
    const step = this.#kernels.step;
    const { keys, values } = cache;
    if (count > FEW_TOKENS) {
      const { heads, kvHeads } = this.#kernels.shape;
      return [
        ...this.#kernels.linear('qkv', x, w, bias, projected, count),
        this.#kernels.dispatch(
          `rope/${span}`,
          `${w.label} rope`,
          { step, rope_table: ropeTable, projected, keys, values },
          [workgroupsOf('rope', ((heads + 2 * kvHeads) * HEAD_SIZE) / 8), count],
        ),
      ];
    }
    return w.parts.map((part) =>
      this.#kernels.dispatch(
        `qkv/${span}`,
        w.label,
        this.#kernels.withParams(
          {
            step,
            weights: part.values,
            scales: part.scales,
            bias,
            x,
            rope_table: ropeTable,
            projected,
            keys,
            values,
          },
          part.firstRow / HEAD_SIZE,
        ),
        [part.rows / HEAD_SIZE, count],
      ),
    );
  }

  /** Attention with sinks over the cache. */
  attend(
    label: string,
    projected: GPUBuffer,
    cache: LayerCache,
    sinks: GPUBuffer,
    splits: AttentionSplits,
    attended: GPUBuffer,
    count: number,
  ): Dispatch[] {
    const span = spanName(cache);
    const step = this.#kernels.step;
    const { heads, kvHeads } = this.#kernels.shape;
    const { keys, values } = cache;
    if (count > 1) {
      return [
        this.#kernels.dispatch(
          `attend_tiled/${span}`,
          label,
          { step, projected, keys, values, sinks, attended },
          [kvHeads, workgroupsOf('attend_tiled', count * (heads / kvHeads))],
        ),
      ];
    }
    const split = { split_out: splits.out, split_stats: splits.stats };
    const splitsOfLayer = splitCount(this.#kernels.shape, cache.isSliding);
    const attend: Dispatch = {
      ...this.#kernels.dispatch(
        `attend/${span}`,
        label,
        { step, projected, keys, values, sinks, attended, ...split },
        [kvHeads, splitsOfLayer],
      ),
      elementsPerWorkgroup: SPLIT_KEYS,
    };
    if (splitsOfLayer === 1) return [attend];
    return [
      attend,
      this.#kernels.dispatch(
        `attend_reduce/${span}`,
        `${label} reduce`,
        { step, ...split, sinks, attended },
        [workgroupsOf('attend_reduce', (heads * HEAD_SIZE) / 4)],
      ),
    ];
  }

  /** y += w x + bias. */
  addOut(x: GPUBuffer, w: DenseMatrix, bias: GPUBuffer, y: GPUBuffer, count: number): Dispatch[] {
    return this.#kernels.linear('out', x, w, bias, y, count);
  }
}

function spanName(cache: LayerCache): 'sliding' | 'full' {
  return cache.isSliding ? 'sliding' : 'full';
}
