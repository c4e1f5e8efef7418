import type { Dispatch } from '../gpu/kernel.ts';
import { FEW_TOKENS, type KernelSet } from './kernel-set.ts';
import type { DenseMatrix, ExpertMatrix } from './matrix.ts';
import type { ExpertChoice } from './operands.ts';
import { slotTileCount, TILE_ROWS, workgroupsOf } from './shape.ts';

/** The operations of a mixture-of-experts layer. See {@link Kernels}. */
export class ExpertKernels {
  readonly #kernels: KernelSet;

  constructor(kernels: KernelSet) {
    this.#kernels = kernels;
  }

  /** h = norm(x); the experts of each token, and their weights. */
  route(
    x: GPUBuffer,
    scale: GPUBuffer,
    gate: DenseMatrix,
    bias: GPUBuffer,
    h: GPUBuffer,
    choice: ExpertChoice,
    count: number,
  ): Dispatch[] {
    const { experts, weights: expertWeights, routerLogits, sortedSlots, tiles } = choice;
    const weights = (gate.parts[0] as DenseMatrix['parts'][number]).values; // one part: a load is refused where it needs more
    const route = this.#kernels.dispatch(
      'route',
      gate.label,
      {
        x,
        scale,
        weights,
        bias,
        h,
        router_logits: routerLogits,
        experts,
        expert_weights: expertWeights,
      },
      [1, count],
    );
    if (count <= FEW_TOKENS) return [route];
    return [
      route,
      this.#kernels.dispatch(
        'group_by_expert',
        `${gate.label} group`,
        { step: this.#kernels.step, experts, sorted_slots: sortedSlots, tiles },
        [1],
      ),
    ];
  }

  /** hidden = swiglu(mlp1 h) of the chosen experts. */
  swiglu(
    h: GPUBuffer,
    choice: ExpertChoice,
    mlp1: ExpertMatrix,
    hidden: GPUBuffer,
    count: number,
  ): Dispatch[] {
    const isFew = count <= FEW_TOKENS;
    const rowTiles = mlp1.rows / TILE_ROWS;
    return mlp1.parts.map(({ firstExpert, experts, blocks, scales }) =>
      isFew
        ? this.#kernels.dispatch(
            'expert_swiglu',
            mlp1.label,
            this.#kernels.withParams(
              { experts: choice.experts, blocks, scales, bias: mlp1.bias, h, hidden },
              firstExpert,
              experts,
            ),
            [rowTiles, count * this.#kernels.shape.expertsPerToken],
          )
        : this.#kernels.dispatch(
            'expert_swiglu_tiled',
            mlp1.label,
            this.#kernels.withParams(
              {
                tiles: choice.tiles,
                sorted_slots: choice.sortedSlots,
                blocks,
                scales,
                bias: mlp1.bias,
                source: h,
                hidden,
              },
              firstExpert,
              experts,
            ),
            [rowTiles, slotTileCount(this.#kernels.shape, count)],
          ),
    );
  }

  /** x += the chosen experts' mlp2 hidden, weighted. `expertOut` is scratch, [tokens, expertsPerToken, hiddenSize]. */
  add(
    hidden: GPUBuffer,
    choice: ExpertChoice,
    mlp2: ExpertMatrix,
    expertOut: GPUBuffer,
    x: GPUBuffer,
    count: number,
  ): Dispatch[] {
    const rowTiles = mlp2.rows / TILE_ROWS;
    const { experts: chosen, weights: expertWeights, tiles, sortedSlots } = choice;
    if (count <= FEW_TOKENS) {
      return mlp2.parts.map(({ firstExpert, experts, blocks, scales }) =>
        this.#kernels.dispatch(
          'expert_out',
          mlp2.label,
          this.#kernels.withParams(
            {
              experts: chosen,
              expert_weights: expertWeights,
              blocks,
              scales,
              bias: mlp2.bias,
              hidden,
              x,
            },
            firstExpert,
            experts,
          ),
          [rowTiles, count],
        ),
      );
    }
    const products = mlp2.parts.map(({ firstExpert, experts, blocks, scales }) =>
      this.#kernels.dispatch(
        'expert_out_tiled',
        mlp2.label,
        this.#kernels.withParams(
          {
            tiles,
            sorted_slots: sortedSlots,
            expert_weights: expertWeights,
            blocks,
            scales,
            bias: mlp2.bias,
            source: hidden,
            out: expertOut,
          },
          firstExpert,
          experts,
        ),
        [rowTiles, slotTileCount(this.#kernels.shape, count)],
      ),
    );
    const sum = this.#kernels.dispatch('expert_sum', `${mlp2.label} sum`, { out: expertOut, x }, [
      workgroupsOf('expert_sum', this.#kernels.shape.hiddenSize / 4),
      count,
    ]);
    return [...products, sum];
  }
}
