import type { Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { type Dispatch, Kernel, type Resource } from '../gpu/kernel.ts';
import { type DenseMatrix, type ExpertMatrix, TILE_ROWS } from './matrix.ts';
import type { AttentionSplits, ExpertChoice, LayerCache, SamplingState } from './operands.ts';
import {
  HEAD_SIZE,
  type KernelShape,
  REDUCE_INVOCATIONS,
  ROPE_INVOCATIONS,
  SPLIT_KEYS,
  STRIP,
  slotTileCount,
  splitCount,
  TILE_TOKENS,
  WORKGROUP_SIZE,
} from './shape.ts';
import { kernelVariants } from './variants.ts';

/** Up to this many tokens, matmuls read the weights once per token; from there on, once per tile of tokens. */
const FEW_TOKENS = 4;

type Resources = Record<string, Resource>;

/**
 * The kernels of one model, compiled. A method makes the dispatches of one operation, in whatever variant suits the
 * number of tokens, and one dispatch per part of a matrix that one binding cannot hold.
 * Arguments run: inputs, weights, output.
 */
export class Kernels {
  readonly #kernels: ReadonlyMap<string, Kernel>;
  readonly #shape: KernelShape;
  readonly #buffers: Buffers;
  readonly #step: GPUBuffer;

  private constructor(
    kernels: ReadonlyMap<string, Kernel>,
    shape: KernelShape,
    buffers: Buffers,
    step: GPUBuffer,
  ) {
    this.#kernels = kernels;
    this.#shape = shape;
    this.#buffers = buffers;
    this.#step = step;
  }

  /**
   * Compiles the kernels of one model, side by side.
   *
   * @param step - Uniform and storage `Step` of `shaders/lib/step.wgsl`: position, tokens, output row.
   * @param buffers - Owns the kernels' constant parameters.
   * @param onCompiled - Called with how many are done of how many.
   */
  static async compile(
    gpu: Gpu,
    shape: KernelShape,
    step: GPUBuffer,
    buffers: Buffers,
    onCompiled?: (done: number, total: number) => void,
  ): Promise<Kernels> {
    const sources = Object.entries(kernelVariants(shape));
    let done = 0;
    const compiled = await Promise.all(
      sources.map(async ([variant, source]): Promise<[string, Kernel]> => {
        const kernel = await Kernel.compile(gpu, source);
        done++;
        onCompiled?.(done, sources.length);
        return [variant, kernel];
      }),
    );
    return new Kernels(new Map(compiled), shape, buffers, step);
  }

  /** x = the rows of `w` for the token ids. */
  embed(tokens: GPUBuffer, w: DenseMatrix, x: GPUBuffer, count: number): Dispatch[] {
    return w.parts.map(({ firstRow, rows, values, scales }) =>
      this.#dispatch(
        'embed',
        w.label,
        this.#withParams({ tokens, weights: values, scales, x }, firstRow, rows),
        [1, count],
      ),
    );
  }

  /** y = x / rms(x) * scale. */
  norm(label: string, x: GPUBuffer, scale: GPUBuffer, y: GPUBuffer, count: number): Dispatch[] {
    return [this.#dispatch('norm', label, { step: this.#step, x, scale, y }, [1, count])];
  }

  /** The same from `step.outputRow` on, for the rows whose logits are wanted. */
  outputNorm(
    label: string,
    x: GPUBuffer,
    scale: GPUBuffer,
    y: GPUBuffer,
    count: number,
  ): Dispatch[] {
    return [this.#dispatch('norm/output', label, { step: this.#step, x, scale, y }, [1, count])];
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
    const step = this.#step;
    const { keys, values } = cache;
    if (count > FEW_TOKENS) {
      const { heads, kvHeads } = this.#shape;
      return [
        ...this.#linear('qkv', x, w, bias, projected, count),
        this.#dispatch(
          `rope/${span}`,
          `${w.label} rope`,
          { step, rope_table: ropeTable, projected, keys, values },
          [Math.ceil(((heads + 2 * kvHeads) * ROPE_INVOCATIONS) / WORKGROUP_SIZE), count],
        ),
      ];
    }
    return w.parts.map((part) =>
      this.#dispatch(
        `qkv/${span}`,
        w.label,
        this.#withParams(
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
    const step = this.#step;
    const { heads, kvHeads } = this.#shape;
    const { keys, values } = cache;
    if (count > 1) {
      return [
        this.#dispatch(
          `attend_tiled/${span}`,
          label,
          { step, projected, keys, values, sinks, attended },
          [kvHeads, Math.ceil((count * (heads / kvHeads)) / WORKGROUP_SIZE)],
        ),
      ];
    }
    const split = { split_out: splits.out, split_stats: splits.stats };
    const splitsOfLayer = splitCount(this.#shape, cache.sliding);
    const attend: Dispatch = {
      ...this.#dispatch(
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
      this.#dispatch(
        `attend_reduce/${span}`,
        `${label} reduce`,
        { step, ...split, sinks, attended },
        [Math.ceil((heads * REDUCE_INVOCATIONS) / WORKGROUP_SIZE)],
      ),
    ];
  }

  /** y += w x + bias. */
  addOut(x: GPUBuffer, w: DenseMatrix, bias: GPUBuffer, y: GPUBuffer, count: number): Dispatch[] {
    return this.#linear('out', x, w, bias, y, count);
  }

  /** logits = w x. */
  unembed(x: GPUBuffer, w: DenseMatrix, logits: GPUBuffer, count: number): Dispatch[] {
    return this.#linear('unembedding', x, w, undefined, logits, count);
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
    const weights = (gate.parts[0] as DenseMatrix['parts'][number]).values; // at most some MiB: one part
    const route = this.#dispatch(
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
      this.#dispatch(
        'group_by_expert',
        `${gate.label} group`,
        { step: this.#step, experts, sorted_slots: sortedSlots, tiles },
        [1],
      ),
    ];
  }

  /** hidden = swiglu(mlp1 h) of the chosen experts. */
  expertSwiglu(
    h: GPUBuffer,
    choice: ExpertChoice,
    mlp1: ExpertMatrix,
    hidden: GPUBuffer,
    count: number,
  ): Dispatch[] {
    const few = count <= FEW_TOKENS;
    const rowTiles = mlp1.rows / TILE_ROWS;
    return mlp1.parts.map(({ firstExpert, experts, blocks, scales }) =>
      few
        ? this.#dispatch(
            'expert_swiglu',
            mlp1.label,
            this.#withParams(
              { experts: choice.experts, blocks, scales, bias: mlp1.bias, h, hidden },
              firstExpert,
              experts,
            ),
            [rowTiles, count * this.#shape.expertsPerToken],
          )
        : this.#dispatch(
            'expert_swiglu_tiled',
            mlp1.label,
            this.#withParams(
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
            [rowTiles, slotTileCount(this.#shape, count)],
          ),
    );
  }

  /** x += the chosen experts' mlp2 hidden, weighted. `expertOut` is scratch, [tokens, expertsPerToken, hiddenSize]. */
  addExperts(
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
        this.#dispatch(
          'expert_out',
          mlp2.label,
          this.#withParams(
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
      this.#dispatch(
        'expert_out_tiled',
        mlp2.label,
        this.#withParams(
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
        [rowTiles, slotTileCount(this.#shape, count)],
      ),
    );
    const sum = this.#dispatch('expert_sum', `${mlp2.label} sum`, { out: expertOut, x }, [
      Math.ceil(this.#shape.hiddenSize / 4 / WORKGROUP_SIZE),
      count,
    ]);
    return [...products, sum];
  }

  /** Chooses the next token from the first row of logits, makes it the next input, and advances the step. */
  sample(
    logits: GPUBuffer,
    { options, seen, stripLogits, stripTokens }: SamplingState,
    tokens: GPUBuffer,
  ): Dispatch[] {
    const strips = { strip_logits: stripLogits, strip_tokens: stripTokens };
    return [
      this.#dispatch(
        'sample_strips',
        'sample strips',
        { sampling: options, seen, logits, ...strips },
        [Math.ceil(this.#shape.vocabularySize / STRIP)],
      ),
      this.#dispatch(
        'sample',
        'sample',
        { sampling: options, logits, ...strips, step: this.#step, tokens, seen },
        [1],
      ),
    ];
  }

  #linear(
    variant: 'qkv' | 'out' | 'unembedding',
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
      this.#dispatch(
        `${kernel}/${variant}`,
        w.label,
        this.#withParams(
          // A kernel that has no bias has it bound all the same: any buffer will do.
          { weights: part.values, scales: part.scales, bias: bias ?? part.scales, x, y: yOfTokens },
          part.firstRow,
        ),
        [Math.ceil(part.rows / TILE_ROWS), Math.ceil(count / tokensPerTile)],
      ),
    );
  }

  #withParams(resources: Resources, ...values: readonly number[]): Resources {
    return { ...resources, params: this.#buffers.params(...values) };
  }

  #dispatch(
    variant: string,
    label: string,
    resources: Resources,
    workgroups: readonly [x: number, y?: number, z?: number],
  ): Dispatch {
    const kernel = this.#kernels.get(variant);
    if (!kernel) throw new Error(`no kernel variant ${variant}`);
    return kernel.dispatch(label, resources, workgroups);
  }
}

function spanName(cache: LayerCache): 'sliding' | 'full' {
  return cache.sliding ? 'sliding' : 'full';
}
