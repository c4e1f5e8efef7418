import type { Dispatch, Resource } from '../gpu/kernel.ts';
import type { Kernels } from './kernels.ts';
import type { DenseMatrix, ExpertMatrix } from './matrix.ts';
import type {
  AttentionSplits,
  ExpertChoice,
  LayerCache,
  Linear,
  SamplingState,
} from './operands.ts';
import { type PipelineName, spanOf } from './pipelines.ts';
import {
  HEAD_SIZE,
  rowGroups,
  SPLIT_KEYS,
  STRIP,
  slotTileCount,
  splitCount,
  TILE_ROWS,
  TILE_TOKENS,
  workgroupsOf,
} from './shape.ts';

/** Up to this many tokens, matmuls read the weights once per token; from there on, once per tile of tokens. */
const FEW_TOKENS = 4;

type Resources = Readonly<Record<string, Resource>>;
type Grid = readonly [x: number, y?: number];

/**
 * The operations of passes over a number of tokens. A method makes the dispatches of one operation, with the kernel that
 * suits that number, one for each part of a matrix that is too large for one binding. Dispatches are labelled by the
 * weights that they read. Arguments are inputs, weights, outputs, in this order.
 *
 * What adds to the residual stream x also prepares h, its norm, for the product that comes next. For few tokens, h is in
 * the form of `lib/normed_rows`, and only that product completes it.
 */
export class Operations {
  readonly #kernels: Kernels;
  readonly #count: number;
  readonly #isFew: boolean;

  /** @param count - Tokens of a pass, or rows of logits. */
  constructor(kernels: Kernels, count: number) {
    this.#kernels = kernels;
    this.#count = count;
    this.#isFew = count <= FEW_TOKENS;
  }

  /** x = the rows of `w` for the token ids; h = x / rms(x) * scale. */
  embed(
    tokens: GPUBuffer,
    w: DenseMatrix,
    scale: GPUBuffer,
    x: GPUBuffer,
    h: GPUBuffer,
  ): Dispatch[] {
    const kernel = this.#kernels.get('embed');
    const embed = w.parts.map(({ firstRow, rows, values, scales }) => {
      const params = this.#kernels.params(firstRow, rows);
      const resources = { params, tokens, weights: values, scales, scale, x, h };
      return kernel.dispatch(w.label, resources, [1, this.#count]);
    });
    return [...embed, ...this.#norm(x, scale, h)];
  }

  /** y = x / rms(x) * scale, from the step's output row on: of the rows whose logits are needed. */
  outputNorm(x: GPUBuffer, scale: GPUBuffer, y: GPUBuffer): Dispatch[] {
    const resources = { step: this.#kernels.step, x, scale, y };
    return [
      this.#kernels.get('rms_norm/output').dispatch(scale.label, resources, [1, this.#count]),
    ];
  }

  /** Queries to `projected`; rotated keys, and values, to the cache. */
  qkv(
    h: GPUBuffer,
    w: Linear,
    rope_table: GPUBuffer,
    { isSliding, keys, values }: LayerCache,
    projected: GPUBuffer,
  ): Dispatch[] {
    const { step } = this.#kernels;
    const { weight, bias } = w;
    const rotation = { step, rope_table, projected, keys, values };
    if (!this.#isFew) {
      const { heads, kvHeads } = this.#kernels.shape;
      const grid: Grid = [
        workgroupsOf('rope', ((heads + 2 * kvHeads) * HEAD_SIZE) / 8), // 8 dimensions an invocation
        this.#count,
      ];
      return [
        ...this.#linearTiled('linear_tiled/qkv', h, w, projected),
        this.#kernels.get(`rope/${spanOf(isSliding)}`).dispatch(weight.label, rotation, grid),
      ];
    }
    return weight.parts.map((part) =>
      this.#kernels.get(`qkv/${spanOf(isSliding)}`).dispatch(
        weight.label,
        {
          ...rotation,
          params: this.#kernels.params(part.firstRow / HEAD_SIZE),
          weights: part.values,
          scales: part.scales,
          bias,
          h,
        },
        [(2 * part.rows) / HEAD_SIZE, this.#count],
      ),
    );
  }

  /** Attention with sinks over the cache. `splits` is scratch. */
  attend(
    projected: GPUBuffer,
    { isSliding, keys, values }: LayerCache,
    sinks: GPUBuffer,
    splits: AttentionSplits,
    attended: GPUBuffer,
  ): Dispatch[] {
    const { step, shape } = this.#kernels;
    const { heads, kvHeads } = shape;
    const span = spanOf(isSliding);
    const resources = { step, projected, keys, values, sinks, attended };
    if (this.#count > 1) {
      const queries = this.#count * (heads / kvHeads);
      const grid: Grid = [kvHeads, workgroupsOf('attend_tiled', queries)];
      return [this.#kernels.get(`attend_tiled/${span}`).dispatch(sinks.label, resources, grid)];
    }
    const split = { split_out: splits.out, split_stats: splits.stats };
    const splitsOfLayer = splitCount(shape, isSliding);
    const attend: Dispatch = {
      ...this.#kernels
        .get(`attend/${span}`)
        .dispatch(sinks.label, { ...resources, ...split }, [kvHeads, splitsOfLayer]),
      elementsPerWorkgroup: SPLIT_KEYS,
    };
    if (splitsOfLayer === 1) return [attend];
    const joined = { step, ...split, sinks, attended };
    const grid: Grid = [workgroupsOf('attend_reduce', (heads * HEAD_SIZE) / 4)]; // 4 dimensions an invocation
    return [attend, this.#kernels.get(`attend_reduce/${span}`).dispatch(sinks.label, joined, grid)];
  }

  /** x += w attended + bias; h = x / rms(x) * scale. */
  addOut(attended: GPUBuffer, w: Linear, scale: GPUBuffer, x: GPUBuffer, h: GPUBuffer): Dispatch[] {
    if (!this.#isFew) {
      return [...this.#linearTiled('linear_tiled/out', attended, w, x), ...this.#norm(x, scale, h)];
    }
    const { weight, bias } = w;
    return weight.parts.map(({ firstRow, rows, values, scales }) => {
      const params = this.#kernels.params(firstRow);
      const resources = { params, weights: values, scales, bias, attended, scale, x, h };
      const grid: Grid = [rowGroups('out', rows), this.#count];
      return this.#kernels.get('out').dispatch(weight.label, resources, grid);
    });
  }

  /** The experts that each token chooses: their logits, from which few tokens choose whenever they need it. */
  route(h: GPUBuffer, { weight, bias }: Linear, choice: ExpertChoice): Dispatch[] {
    const { step, shape } = this.#kernels;
    const { routerLogits: router_logits, experts, weights: expert_weights } = choice;
    const [part] = weight.parts; // the only one: a model whose router needs more is refused at load
    const weights = (part as DenseMatrix['parts'][number]).values;
    const resources = { h, weights, bias, router_logits };
    if (this.#isFew) {
      const grid: Grid = [shape.experts, this.#count];
      return [this.#kernels.get('router').dispatch(weight.label, resources, grid)];
    }
    const chosen = { ...resources, experts, expert_weights };
    const group = { step, experts, ...slotTiles(choice) };
    return [
      this.#kernels.get('route').dispatch(weight.label, chosen, [1, this.#count]),
      this.#kernels.get('group_by_expert').dispatch(weight.label, group, [1]),
    ];
  }

  /** hidden = swiglu(mlp1 h) of the chosen experts. */
  swiglu(h: GPUBuffer, choice: ExpertChoice, mlp1: ExpertMatrix, hidden: GPUBuffer): Dispatch[] {
    if (!this.#isFew) {
      return this.#expertsTiled('expert_swiglu_tiled', mlp1, { ...slotTiles(choice), h, hidden });
    }
    const resources = { router_logits: choice.routerLogits, h, hidden };
    const slots = this.#count * this.#kernels.shape.expertsPerToken;
    const grid: Grid = [rowGroups('expert_swiglu', mlp1.rows), slots];
    return this.#experts('expert_swiglu', mlp1, resources, grid);
  }

  /**
   * x += the weighted sum of mlp2 hidden over the chosen experts; h = x / rms(x) * scale. `out` is scratch, [tokens,
   * expertsPerToken, hiddenSize].
   */
  addExperts(
    hidden: GPUBuffer,
    choice: ExpertChoice,
    mlp2: ExpertMatrix,
    scale: GPUBuffer,
    out: GPUBuffer,
    x: GPUBuffer,
    h: GPUBuffer,
  ): Dispatch[] {
    if (this.#isFew) {
      const resources = { router_logits: choice.routerLogits, hidden, scale, x, h };
      const grid: Grid = [rowGroups('expert_out', mlp2.rows), this.#count];
      return this.#experts('expert_out', mlp2, resources, grid);
    }
    const tiled = { ...slotTiles(choice), expert_weights: choice.weights, hidden, out };
    const quads = this.#kernels.shape.hiddenSize / 4;
    const grid: Grid = [workgroupsOf('expert_sum', quads), this.#count];
    return [
      ...this.#expertsTiled('expert_out_tiled', mlp2, tiled),
      this.#kernels.get('expert_sum').dispatch(mlp2.label, { out, x }, grid),
      ...this.#norm(x, scale, h),
    ];
  }

  /** logits = w x. */
  unembed(x: GPUBuffer, w: DenseMatrix, logits: GPUBuffer): Dispatch[] {
    if (!this.#isFew) {
      return this.#linearTiled('linear_tiled/unembedding', x, { weight: w }, logits);
    }
    return w.parts.map(({ firstRow, rows, values, scales }) =>
      this.#kernels
        .get('linear')
        .dispatch(
          w.label,
          { params: this.#kernels.params(firstRow), weights: values, scales, x, y: logits },
          [rowGroups('linear', rows), this.#count],
        ),
    );
  }

  /** Chooses the next token from the first row of logits, makes it the next input, and advances the step. */
  sample(logits: GPUBuffer, sampling: SamplingState, tokens: GPUBuffer): Dispatch[] {
    const { step, shape } = this.#kernels;
    const { options, seen, stripLogits: strip_logits, stripTokens: strip_tokens } = sampling;
    const shared = { sampling: options, seen, logits, strip_logits, strip_tokens };
    const strips = Math.ceil(shape.vocabularySize / STRIP);
    return [
      this.#kernels.get('sample_strips').dispatch('sample', shared, [strips]),
      this.#kernels.get('sample').dispatch('sample', { ...shared, step, tokens }, [1]),
    ];
  }

  /** h = x / rms(x) * scale, of many tokens: for few, the kernels that write x do that. */
  #norm(x: GPUBuffer, scale: GPUBuffer, h: GPUBuffer): Dispatch[] {
    if (this.#isFew) return [];
    const resources = { step: this.#kernels.step, x, scale, y: h };
    return [this.#kernels.get('rms_norm').dispatch(scale.label, resources, [1, this.#count])];
  }

  /** y = w x + bias, or y += w x + bias, according to the pipeline. */
  #linearTiled(
    pipeline: PipelineName,
    x: GPUBuffer,
    { weight, bias }: Omit<Linear, 'bias'> & Partial<Linear>,
    y: GPUBuffer,
  ): Dispatch[] {
    return weight.parts.map(({ firstRow, rows, values, scales }) =>
      this.#kernels.get(pipeline).dispatch(
        weight.label,
        {
          params: this.#kernels.params(firstRow),
          weights: values,
          scales,
          bias: bias ?? scales, // a kernel without a bias still binds one: any buffer will do
          x,
          y: { buffer: y, size: 4 * this.#count * weight.rows }, // its size tells the kernel how many tokens there are
        },
        [Math.ceil(rows / TILE_ROWS), Math.ceil(this.#count / TILE_TOKENS)],
      ),
    );
  }

  /** A tiled matmul of the chosen experts, of as many tiles of slots as there may be. */
  #expertsTiled(pipeline: PipelineName, matrix: ExpertMatrix, resources: Resources): Dispatch[] {
    const slotTiles = slotTileCount(this.#kernels.shape, this.#count);
    return this.#experts(pipeline, matrix, resources, [matrix.rows / TILE_ROWS, slotTiles]);
  }

  /** A matmul of the chosen experts. */
  #experts(
    pipeline: PipelineName,
    { label, bias, parts }: ExpertMatrix,
    resources: Resources,
    grid: Grid,
  ): Dispatch[] {
    const kernel = this.#kernels.get(pipeline);
    return parts.map(({ firstExpert, experts, blocks, scales }) => {
      const params = this.#kernels.params(firstExpert, experts);
      const operands = { params, weights: blocks, scales, bias, ...resources };
      return kernel.dispatch(label, operands, grid);
    });
  }
}

function slotTiles({ tiles, sortedSlots }: ExpertChoice): Resources {
  return { tiles, sorted_slots: sortedSlots };
}
