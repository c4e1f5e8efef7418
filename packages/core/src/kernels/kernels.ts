import type { Buffers } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { type BindingResource, type Dispatch, Kernel, type KernelSource } from '../gpu/kernel.ts';
import { type DenseFormat, type DenseMatrix, type ExpertMatrix, TILE_ROWS } from './matrix.ts';
import { kernelSource, type LibraryName } from './shaders.ts';

/** Dimensions of a head. The model family has no other. */
export const HEAD_SIZE = 64;

/** Up to this many tokens, matmuls read the weights once per token; from there on, once per tile of tokens. */
export const FEW_TOKENS = 4;

/** Keys that one split of decode attention covers (`shaders/attend.wgsl`). */
const SPLIT_KEYS = 128;

/** Logits that one workgroup of sampling goes through (`shaders/lib/sampling.wgsl`). */
const STRIP = 4096;

/** Slots of a tile of the grouped expert matmuls (`shaders/lib/slot_tile.wgsl`). */
const TILE_SLOTS = 32;

/** Bytes of a `SlotTile`. */
const SLOT_TILE_BYTES = 12;

/** The numbers that kernels are compiled for. */
export interface KernelShape {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly experts: number;
  readonly expertsPerToken: number;
  readonly vocabularySize: number;
  readonly normEpsilon: number;
  readonly swigluLimit: number;
  /** Positions that sliding layers see, the current one included. */
  readonly slidingWindow: number;
  /** Positions that the cache of a sliding layer holds. */
  readonly ringCapacity: number;
  /** Positions that the cache of a full layer holds. */
  readonly contextLength: number;
  /** The most tokens of one forward pass. */
  readonly maxTokens: number;
  readonly dense: DenseFormat;
  readonly kvCache: 'f16' | 'f32';
}

/** Keys and values of one layer. */
export interface LayerCache {
  /** Whether the layer sees only its sliding window. */
  readonly sliding: boolean;
  /** [kvHeads, capacity, 64]. */
  readonly keys: GPUBuffer;
  /** [kvHeads, capacity, 64]. */
  readonly values: GPUBuffer;
}

/** The chosen experts of each token, and what the grouped matmuls need to know of them. */
export interface ExpertChoice {
  /** f32 [tokens, experts]. */
  readonly routerLogits: GPUBuffer;
  /** u32 [tokens, expertsPerToken], best first. */
  readonly experts: GPUBuffer;
  /** f32 [tokens, expertsPerToken]. */
  readonly weights: GPUBuffer;
  /** u32 [tokens * expertsPerToken]. */
  readonly sortedSlots: GPUBuffer;
  /** `SlotTile`s. */
  readonly tiles: GPUBuffer;
}

/** Scratch of decode attention over more than one split. */
export interface AttentionSplits {
  /** f32 [heads, splits, 64]. */
  readonly out: GPUBuffer;
  /** f32 [heads, splits, 2]. */
  readonly stats: GPUBuffer;
}

/** What sampling reads and writes. */
export interface SamplingState {
  /** Uniform `Sampling` of `shaders/lib/sampling.wgsl`. */
  readonly options: GPUBuffer;
  /** A bit for each token that has occurred. */
  readonly seen: GPUBuffer;
  readonly stripLogits: GPUBuffer;
  readonly stripTokens: GPUBuffer;
}

/** Sizes of scratch buffers, in bytes, that follow from how kernels divide their work. */
export function scratchBytes(shape: KernelShape): {
  splitOut: number;
  splitStats: number;
  tiles: number;
  strips: number;
} {
  const splits = Math.max(splitCount(shape, false), splitCount(shape, true));
  return {
    splitOut: shape.heads * splits * HEAD_SIZE * 4,
    splitStats: shape.heads * splits * 8,
    tiles: slotTileCount(shape, shape.maxTokens) * SLOT_TILE_BYTES,
    strips: Math.ceil(shape.vocabularySize / STRIP) * 4,
  };
}

function splitCount(shape: KernelShape, sliding: boolean): number {
  return Math.ceil((sliding ? shape.slidingWindow : shape.contextLength) / SPLIT_KEYS);
}

/** The most tiles that `tokens` can need: full ones, and a ragged one for each expert in use. */
function slotTileCount({ experts, expertsPerToken }: KernelShape, tokens: number): number {
  const slots = tokens * expertsPerToken;
  return Math.floor(slots / TILE_SLOTS) + Math.min(experts, slots);
}

type Resources = Record<string, BindingResource>;

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
      this.#dispatch('embed', w.label, this.#withParams({ tokens, weights: values, scales, x }, firstRow, rows), [
        1,
        count,
      ]),
    );
  }

  /** y = x / rms(x) * scale. */
  norm(label: string, x: GPUBuffer, scale: GPUBuffer, y: GPUBuffer, count: number): Dispatch[] {
    return [this.#dispatch('norm', label, { step: this.#step, x, scale, y }, [1, count])];
  }

  /** The same from `step.outputRow` on, for the rows whose logits are wanted. */
  outputNorm(label: string, x: GPUBuffer, scale: GPUBuffer, y: GPUBuffer, count: number): Dispatch[] {
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
          [Math.ceil(((heads + 2 * kvHeads) * HEAD_SIZE) / 8 / 64), count],
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
        this.#dispatch(`attend_tiled/${span}`, label, { step, projected, keys, values, sinks, attended }, [
          kvHeads,
          Math.ceil((count * (heads / kvHeads)) / 64),
        ]),
      ];
    }
    const split = { split_out: splits.out, split_stats: splits.stats };
    const splitsOfLayer = splitCount(this.#shape, cache.sliding);
    const attend = this.#dispatch(
      `attend/${span}`,
      label,
      { step, projected, keys, values, sinks, attended, ...split },
      [kvHeads, splitsOfLayer],
    );
    if (splitsOfLayer === 1) return [attend];
    return [
      attend,
      this.#dispatch(`attend_reduce/${span}`, `${label} reduce`, { step, ...split, sinks, attended }, [
        Math.ceil(heads / 4),
      ]),
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
      { x, scale, weights, bias, h, router_logits: routerLogits, experts, expert_weights: expertWeights },
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
      Math.ceil(this.#shape.hiddenSize / 4 / 64),
      count,
    ]);
    return [...products, sum];
  }

  /** Chooses the next token from the first row of logits, makes it the next input, and advances the step. */
  sample(logits: GPUBuffer, { options, seen, stripLogits, stripTokens }: SamplingState, tokens: GPUBuffer): Dispatch[] {
    const strips = { strip_logits: stripLogits, strip_tokens: stripTokens };
    return [
      this.#dispatch('sample_strips', 'sample strips', { sampling: options, seen, logits, ...strips }, [
        Math.ceil(this.#shape.vocabularySize / STRIP),
      ]),
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
    const few = count <= FEW_TOKENS;
    return w.parts.map(({ firstRow, rows, values, scales }) => {
      // A kernel that has no bias has it bound all the same: any buffer will do.
      const resources = { weights: values, scales, bias: bias ?? scales, x, y };
      const tiles = Math.ceil(rows / TILE_ROWS);
      return few
        ? this.#dispatch(`linear/${variant}`, w.label, this.#withParams(resources, firstRow), [tiles, count])
        : this.#dispatch(
            `linear_tiled/${variant}`,
            w.label,
            this.#withParams(resources, firstRow, count),
            [tiles, Math.ceil(count / 64)],
          );
    });
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

/** The pipelines of a model: every kernel with the constants of each of its uses. */
function kernelVariants(shape: KernelShape): Record<string, KernelSource> {
  const { hiddenSize, intermediateSize, heads, kvHeads, expertsPerToken: TOP } = shape;
  const dense: LibraryName[] = ['tile', `dense_${shape.dense}`];
  const kv: LibraryName = `kv_${shape.kvCache}`;
  const tiledDense: LibraryName[] = [...dense, 'tile_product'];
  const expert: LibraryName[] = ['tile', 'mxfp4'];
  const tiledExpert: LibraryName[] = [...expert, 'tile_product', 'slot_tile', 'expert_tile'];
  const EPSILON = shape.normEpsilon;
  const HEADS = { HEADS: heads, KV_HEADS: kvHeads };
  const mlp1 = { COLUMNS: hiddenSize, ROWS: 2 * intermediateSize, TOP, LIMIT: shape.swigluLimit };
  const mlp2 = { COLUMNS: intermediateSize, ROWS: hiddenSize };
  const uses = {
    qkv: { COLUMNS: hiddenSize, ROWS: (heads + 2 * kvHeads) * HEAD_SIZE, HAS_BIAS: 1, ADD: 0 },
    out: { COLUMNS: heads * HEAD_SIZE, ROWS: hiddenSize, HAS_BIAS: 1, ADD: 1 },
    unembedding: { COLUMNS: hiddenSize, ROWS: shape.vocabularySize, HAS_BIAS: 0, ADD: 0 },
  };
  const variants: Record<string, KernelSource> = {
    embed: kernelSource('embed', dense, { COLUMNS: hiddenSize }),
    norm: kernelSource('rms_norm', ['reduce', 'step'], { COLUMNS: hiddenSize, EPSILON }),
    'norm/output': kernelSource('rms_norm', ['reduce', 'step'], {
      COLUMNS: hiddenSize,
      EPSILON,
      FROM_OUTPUT_ROW: 1,
    }),
    'linear/out': kernelSource('linear', dense, uses.out),
    'linear/unembedding': kernelSource('linear', dense, uses.unembedding),
    'linear_tiled/qkv': kernelSource('linear_tiled', tiledDense, uses.qkv),
    'linear_tiled/out': kernelSource('linear_tiled', tiledDense, uses.out),
    'linear_tiled/unembedding': kernelSource('linear_tiled', tiledDense, uses.unembedding),
    route: kernelSource('route', ['reduce', 'tile', 'dense_bf16'], {
      COLUMNS: hiddenSize,
      EXPERTS: shape.experts,
      TOP,
      EPSILON,
    }),
    group_by_expert: kernelSource('group_by_expert', ['step', 'slot_tile'], {
      EXPERTS: shape.experts,
      TOP,
      MAX_TILES: slotTileCount(shape, shape.maxTokens),
    }),
    expert_swiglu: kernelSource('expert_swiglu', [...expert, 'swiglu'], mlp1),
    expert_swiglu_tiled: kernelSource('expert_swiglu_tiled', [...tiledExpert, 'swiglu'], mlp1),
    expert_out: kernelSource('expert_out', expert, { ...mlp2, TOP }),
    expert_out_tiled: kernelSource('expert_out_tiled', tiledExpert, mlp2),
    expert_sum: kernelSource('expert_sum', [], { COLUMNS: hiddenSize, TOP }),
    sample_strips: kernelSource('sample_strips', ['sampling'], { VOCABULARY: shape.vocabularySize }),
    sample: kernelSource('sample', ['sampling', 'step', 'reduce'], { VOCABULARY: shape.vocabularySize }),
  };
  for (const sliding of [false, true]) {
    const span = sliding ? 'sliding' : 'full';
    const cache = { ...HEADS, CAPACITY: sliding ? shape.ringCapacity : shape.contextLength };
    const WINDOW = sliding ? shape.slidingWindow : 0;
    const SPLITS = splitCount(shape, sliding);
    const position: LibraryName[] = [kv, 'append', 'rope', 'step'];
    variants[`qkv/${span}`] = kernelSource('qkv', [...dense, ...position], { ...cache, COLUMNS: hiddenSize });
    variants[`rope/${span}`] = kernelSource('rope', position, cache);
    variants[`attend/${span}`] = kernelSource('attend', [kv, 'step'], { ...cache, WINDOW, SPLITS });
    variants[`attend_tiled/${span}`] = kernelSource('attend_tiled', [kv, 'step'], { ...cache, WINDOW });
    if (SPLITS > 1) {
      variants[`attend_reduce/${span}`] = kernelSource('attend_reduce', ['step'], {
        HEADS: heads,
        WINDOW,
        SPLITS,
      });
    }
  }
  return variants;
}
