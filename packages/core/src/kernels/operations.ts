import type { Dispatch, Resource } from '../gpu/kernel.ts';
import { attentionCost, denseCost, expertCost } from './cost.ts';
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
  attendTiledGrid,
  attendWorkgroups,
  HEAD_SIZE,
  PRODUCT_TILES,
  type Product,
  rowGroups,
  SPLIT_KEYS,
  STRIP,
  slotTileCount,
  splitCount,
  TILE_ROWS,
  workgroupsOf,
} from './shape.ts';

/** Up to this many tokens, matmuls read the weights once per token; from there on, once per tile of tokens. */
const FEW_TOKENS = 1;

/** Up to this many inputs per weight matrix, on average, tiled matmuls of GPUs use narrow tiles. */
const NARROW_INPUTS = 32;

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
  /** The tiles of dense matmuls. */
  readonly #denseProduct: Product;
  /** The tiles of the experts' matmuls. */
  readonly #expertProduct: Product;

  /**
   * @param count - Tokens of a pass, or rows of logits.
   * @param product - The tiles of matmuls of many tokens. Default: by the number of inputs.
   */
  constructor(kernels: Kernels, count: number, product?: Product) {
    this.#kernels = kernels;
    this.#count = count;
    this.#isFew = count <= FEW_TOKENS;
    const { experts, expertsPerToken } = kernels.shape;
    const productOf = (inputs: number): Product => {
      if (product !== undefined || kernels.has('tall')) return product ?? 'tall';
      return inputs > NARROW_INPUTS && kernels.has('wide') ? 'wide' : 'narrow';
    };
    this.#denseProduct = productOf(count);
    this.#expertProduct = productOf((count * expertsPerToken) / experts);
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
        ...this.#linearTiled('qkv', h, w, projected),
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
        denseCost(weight, part.rows, this.#count),
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
    const span = spanOf(isSliding);
    const resources = { step, projected, keys, values, sinks, attended };
    const cost = attentionCost(shape, isSliding, this.#count, shape.contextLength - this.#count);
    if (this.#count > 1) {
      const kernel = this.#kernels.get(`attend_tiled/${span}`);
      const [fours, tiles] = attendTiledGrid(shape, this.#count);
      const cut = (first: number, tiles: number): Dispatch => {
        const params = this.#kernels.params(first);
        return kernel.dispatch(sinks.label, { ...resources, params }, [fours, tiles]);
      };
      return [{ ...cut(0, tiles), cut, cost }];
    }
    const split = { split_out: splits.out, split_stats: splits.stats };
    const splitsOfLayer = splitCount(shape, isSliding);
    const attend: Dispatch = {
      ...this.#kernels
        .get(`attend/${span}`)
        .dispatch(
          sinks.label,
          { ...resources, ...split },
          [attendWorkgroups(shape), splitsOfLayer],
          cost,
        ),
      elementsPerWorkgroup: SPLIT_KEYS,
    };
    if (splitsOfLayer === 1) return [attend];
    const joined = { step, ...split, sinks, attended };
    const reduce = this.#kernels.get(`attend_reduce/${span}`);
    return [attend, reduce.dispatch(sinks.label, joined, [shape.heads])];
  }

  /** x += w attended + bias; h = x / rms(x) * scale. */
  addOut(attended: GPUBuffer, w: Linear, scale: GPUBuffer, x: GPUBuffer, h: GPUBuffer): Dispatch[] {
    if (!this.#isFew) {
      return [...this.#linearTiled('out', attended, w, x), ...this.#norm(x, scale, h)];
    }
    const { weight, bias } = w;
    return weight.parts.map(({ firstRow, rows, values, scales }) => {
      const params = this.#kernels.params(firstRow);
      const resources = { params, weights: values, scales, bias, attended, scale, x, h };
      const grid: Grid = [rowGroups('out', rows), this.#count];
      const cost = denseCost(weight, rows, this.#count);
      return this.#kernels.get('out').dispatch(weight.label, resources, grid, cost);
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
    const grouping = this.#kernels.get(`group_by_expert/${this.#expertProduct}`);
    return [
      this.#kernels.get('route').dispatch(weight.label, chosen, [1, this.#count]),
      grouping.dispatch(weight.label, group, [1]),
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
      return this.#linearTiled('unembedding', x, { weight: w }, logits);
    }
    return w.parts.map(({ firstRow, rows, values, scales }) =>
      this.#kernels
        .get('linear')
        .dispatch(
          w.label,
          { params: this.#kernels.params(firstRow), weights: values, scales, x, y: logits },
          [rowGroups('linear', rows), this.#count],
          denseCost(w, rows, this.#count),
        ),
    );
  }

  /** Chooses the next token from the first row of logits, makes it the next input, and advances the step. */
  sample(logits: GPUBuffer, sampling: SamplingState, tokens: GPUBuffer): Dispatch[] {
    const { step, shape } = this.#kernels;
    const { options, adjustments, mask, ...found } = sampling;
    const shared = { ...found, sampling: options, logits, step };
    const grid: Grid = [Math.ceil(shape.vocabularySize / STRIP)];
    return [
      this.#kernels.get('sample_strips').dispatch('sample', { ...shared, adjustments, mask }, grid),
      this.#kernels.get('sample_candidates').dispatch('sample', shared, grid),
      this.#kernels.get('sample').dispatch('sample', { ...shared, tokens, adjustments }, [1]),
    ];
  }

  /** h = x / rms(x) * scale, of many tokens: for few, the kernels that write x do that. */
  #norm(x: GPUBuffer, scale: GPUBuffer, h: GPUBuffer): Dispatch[] {
    if (this.#isFew) return [];
    const resources = { step: this.#kernels.step, x, scale, y: h };
    return [this.#kernels.get('rms_norm').dispatch(scale.label, resources, [1, this.#count])];
  }

  /** y = w x + bias, or y += w x + bias, according to the use. */
  #linearTiled(
    use: 'qkv' | 'out' | 'unembedding',
    x: GPUBuffer,
    { weight, bias }: Omit<Linear, 'bias'> & Partial<Linear>,
    y: GPUBuffer,
  ): Dispatch[] {
    const tile = PRODUCT_TILES[this.#denseProduct];
    const kernel = this.#kernels.get(`linear_tiled/${use}/${this.#denseProduct}`);
    return weight.parts.map(({ firstRow, rows, values, scales }) =>
      kernel.dispatch(
        weight.label,
        {
          params: this.#kernels.params(firstRow, Math.ceil(rows / TILE_ROWS)),
          weights: values,
          scales,
          bias: bias ?? scales, // a kernel without a bias still binds one: any buffer will do
          x,
          y,
          step: this.#kernels.step,
        },
        [Math.ceil(rows / tile.rows), Math.ceil(this.#count / tile.inputs)],
        denseCost(weight, rows, this.#count),
      ),
    );
  }

  /** A tiled matmul of the chosen experts, of as many tiles of slots as there may be. */
  #expertsTiled(
    kernel: 'expert_swiglu_tiled' | 'expert_out_tiled',
    matrix: ExpertMatrix,
    resources: Resources,
  ): Dispatch[] {
    const product = this.#expertProduct;
    return this.#experts(`${kernel}/${product}`, matrix, resources, [
      Math.ceil(matrix.rows / PRODUCT_TILES[product].rows),
      slotTileCount(this.#kernels.shape, this.#count, product),
    ]);
  }

  /** A matmul of the chosen experts. */
  #experts(
    pipeline: PipelineName,
    matrix: ExpertMatrix,
    resources: Resources,
    grid: Grid,
  ): Dispatch[] {
    const kernel = this.#kernels.get(pipeline);
    const { label, bias, parts } = matrix;
    const { expertsPerToken } = this.#kernels.shape;
    return parts.map((part) => {
      const { firstExpert, experts, blocks, scales } = part;
      const params = this.#kernels.params(firstExpert, experts);
      const operands = { params, weights: blocks, scales, bias, ...resources };
      const cost = expertCost(matrix, part, this.#count, expertsPerToken);
      return kernel.dispatch(label, operands, grid, cost);
    });
  }
}

function slotTiles({ tiles, sortedSlots }: ExpertChoice): Resources {
  return { tiles, sorted_slots: sortedSlots };
}
