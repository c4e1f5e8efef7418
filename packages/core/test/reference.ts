/** The whole forward pass of gpt-oss in float64: the oracle of the engine's tests. */

import type { Config } from './config.ts';
import { CACHED, decodeMxfp4 } from './number-formats.ts';
import {
  type AttentionInput,
  type AttentionOutput,
  attention,
  type RopeFrequencies,
  type Route,
  rmsNorm,
  rope,
  route,
  swiglu,
  yarnFrequencies,
} from './oracles.ts';
import { type DecodeBlocks, type MatrixShape, ReferenceWeights } from './reference-weights.ts';
import type { Tensor } from './safetensors-file.ts';
import { memoryReader, type TensorReader } from './tensor-reader.ts';

/** The operations of the forward pass that a test can replace, to show that a mistake would be noticed. */
export interface Operations {
  /** See {@link decodeMxfp4}. */
  readonly decodeMxfp4: DecodeBlocks;
  /** See {@link rmsNorm}. */
  readonly rmsNorm: (x: Float64Array, scale: Float64Array, epsilon: number) => Float64Array;
  /** See {@link yarnFrequencies}. */
  readonly yarnFrequencies: typeof yarnFrequencies;
  /** See {@link attention}. */
  readonly attention: (input: AttentionInput) => AttentionOutput;
  /** See {@link route}. */
  readonly route: (logits: Float64Array, count: number) => Route;
  /** See {@link swiglu}. */
  readonly swiglu: (x: Float64Array, limit: number) => Float64Array;
}

/** How the reference computes. */
export interface ReferenceOptions {
  /** `int8` quantizes attention, embedding and unembedding weights in groups of 32. Default: `bf16`, as published. */
  readonly dense?: 'bf16' | 'int8';
  /** How keys (after rope) and values are rounded. Default: `f32`, which rounds nothing. */
  readonly kvCache?: keyof typeof CACHED;
  /** Replacements for single operations. */
  readonly operations?: Partial<Operations>;
}

/** What a forward pass should return. */
export interface ForwardOptions {
  /** Positions whose logits are wanted, counted from the first token of this call. Default: all. */
  readonly logits?: 'all' | 'last' | readonly number[];
  /** Whether to keep every intermediate result. */
  readonly trace?: boolean;
}

/** The result of a forward pass. */
export interface ForwardResult {
  /** [wanted positions, vocabulary] */
  readonly logits: Float64Array;
  /**
   * Intermediate results, row = position of this call: `embedding`, `final_norm` (of the wanted positions), and per
   * layer `layerN.` with `attn_norm`, `q_rope`, `k_rope`, `v`, `sink_mass`, `attn_out_pre`, `attn_out_post`,
   * `resid_mid`, `mlp_norm`, `router_logits`, `expert_ids`, `expert_weights`, `mlp1_out`, `mlp_act`, `mlp_out`,
   * `resid_out`. Empty unless asked for.
   */
  readonly trace: ReadonlyMap<string, Float64Array>;
}

/** A sequence of tokens with their keys and values. */
export interface ReferenceSequence {
  /** The number of tokens. */
  readonly length: number;
  /** Evaluates tokens after those of the sequence. */
  append(tokens: ArrayLike<number>, options?: ForwardOptions): Promise<ForwardResult>;
}

/** The model in float64. */
export interface Reference {
  /** Its configuration. */
  readonly config: Config;
  /** Evaluates a prompt from position 0 on. */
  forward(tokens: ArrayLike<number>, options?: ForwardOptions): Promise<ForwardResult>;
  /** Starts an empty sequence. */
  createSequence(): ReferenceSequence;
  /** Continues a prompt with `count` tokens, each the likeliest one, or the one with the lowest id among equals. */
  greedy(prompt: ArrayLike<number>, count: number): Promise<number[]>;
}

/** Makes the reference for a checkpoint in memory or behind a reader, in the Hugging Face or the original layout. */
export function createReference(
  tensors: ReadonlyMap<string, Tensor> | TensorReader,
  config: Config,
  options: ReferenceOptions = {},
): Reference {
  const operations: Operations = {
    decodeMxfp4,
    rmsNorm,
    yarnFrequencies,
    attention,
    route,
    swiglu,
    ...options.operations,
  };
  const weights = new ReferenceWeights(
    'read' in tensors ? tensors : memoryReader(tensors),
    config,
    options.dense === 'int8',
    operations.decodeMxfp4,
  );
  const createSequence = () => new Sequence(weights, config, operations, options.kvCache ?? 'f32');
  return {
    config,
    createSequence,
    forward: (tokens, forwardOptions) => createSequence().append(tokens, forwardOptions),
    async greedy(prompt, count) {
      const sequence = createSequence();
      const generated: number[] = [];
      let next = prompt;
      while (generated.length < count) {
        const { logits } = await sequence.append(next, { logits: 'last' });
        const likeliest = logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));
        generated.push(likeliest);
        next = [likeliest];
      }
      return generated;
    },
  };
}

/** The keys and values of one layer: [positions, kvHeads * headDim] each. */
interface LayerCache {
  k: Float64Array;
  v: Float64Array;
}

type Record = (name: string, values: Float64Array) => void;

class Sequence implements ReferenceSequence {
  readonly #weights: ReferenceWeights;
  readonly #config: Config;
  readonly #operations: Operations;
  readonly #cached: (values: Float64Array) => Float64Array;
  readonly #frequencies: RopeFrequencies;
  readonly #cache: LayerCache[];
  length = 0;

  constructor(
    weights: ReferenceWeights,
    config: Config,
    operations: Operations,
    kvCache: keyof typeof CACHED,
  ) {
    this.#weights = weights;
    this.#config = config;
    this.#operations = operations;
    this.#cached = CACHED[kvCache];
    this.#frequencies = operations.yarnFrequencies(config.headDim, config.ropeTheta, config.yarn);
    this.#cache = Array.from({ length: config.layers }, () => ({
      k: new Float64Array(0),
      v: new Float64Array(0),
    }));
  }

  async append(tokens: ArrayLike<number>, options: ForwardOptions = {}): Promise<ForwardResult> {
    const { hidden, layers, vocabulary, epsilon } = this.#config;
    const trace = new Map<string, Float64Array>();
    const record: Record = (name, values) => {
      if (options.trace) trace.set(name, values.slice());
    };
    const x = new Float64Array(tokens.length * hidden); // [tokens, hidden]
    for (let token = 0; token < tokens.length; token++) {
      const id = tokens[token]!;
      const row = await this.#weights.values('model.embed_tokens.weight', id, id + 1);
      x.set(row, token * hidden);
    }
    record('embedding', x);
    for (let layer = 0; layer < layers; layer++) {
      const recordLayer: Record = (name, values) => record(`layer${layer}.${name}`, values);
      await this.#attention(x, layer, recordLayer);
      await this.#experts(x, layer, recordLayer);
    }
    this.length += tokens.length;
    const wanted = wantedPositions(options.logits ?? 'all', tokens.length);
    const rows = new Float64Array(wanted.length * hidden);
    wanted.forEach((position, i) => {
      rows.set(x.subarray(position * hidden, (position + 1) * hidden), i * hidden);
    });
    const norm = await this.#weights.values('model.norm.weight', 0, hidden);
    const h = this.#operations.rmsNorm(rows, norm, epsilon);
    record('final_norm', h);
    return { logits: await this.#weights.linear(h, 'lm_head.weight', [vocabulary, hidden]), trace };
  }

  /** x += Wo attend(rope(Wqkv norm(x))) */
  async #attention(x: Float64Array, layer: number, record: Record): Promise<void> {
    const { hidden, heads, kvHeads, headDim, window } = this.#config;
    const kvWidth = kvHeads * headDim;
    const name = `model.layers.${layer}.self_attn`;
    const h = await this.#norm(x, `model.layers.${layer}.input_layernorm.weight`);
    record('attn_norm', h);
    const project = async (part: string, input: Float64Array, shape: MatrixShape) => {
      const bias = await this.#weights.values(`${name}.${part}_proj.bias`, 0, shape[0]);
      return this.#weights.linear(input, `${name}.${part}_proj.weight`, shape, bias);
    };
    const rotate = (values: Float64Array, width: number) =>
      rope(values, width, this.length, this.#frequencies);
    const q = rotate(await project('q', h, [heads * headDim, hidden]), heads * headDim);
    const k = rotate(await project('k', h, [kvWidth, hidden]), kvWidth);
    const v = await project('v', h, [kvWidth, hidden]);
    record('q_rope', q);
    record('k_rope', k);
    record('v', v);
    const cache = this.#cache[layer]!;
    cache.k = concat(cache.k, this.#cached(k));
    cache.v = concat(cache.v, this.#cached(v));
    const { out, sinkMass } = this.#operations.attention({
      q,
      ...cache,
      sinks: await this.#weights.values(`${name}.sinks`, 0, heads),
      kvHeads,
      headDim,
      window: layer % 2 === 0 ? window : 0,
    });
    record('sink_mass', sinkMass);
    record('attn_out_pre', out);
    const y = await project('o', out, [hidden, heads * headDim]);
    record('attn_out_post', y);
    addTo(x, y);
    record('resid_mid', x);
  }

  /** x += sum over the chosen experts of weight * (W2 swiglu(W1 norm(x))) */
  async #experts(x: Float64Array, layer: number, record: Record): Promise<void> {
    const { hidden, intermediate, experts, expertsPerToken, swigluLimit } = this.#config;
    const name = `model.layers.${layer}.mlp`;
    const h = await this.#norm(x, `model.layers.${layer}.post_attention_layernorm.weight`);
    record('mlp_norm', h);
    const tokens = h.length / hidden;
    const routerBias = await this.#weights.values(`${name}.router.bias`, 0, experts);
    const logits = await this.#weights.linear(
      h,
      `${name}.router.weight`,
      [experts, hidden],
      routerBias,
    );
    record('router_logits', logits);
    const routes = Array.from({ length: tokens }, (_, token) =>
      this.#operations.route(
        logits.subarray(token * experts, (token + 1) * experts),
        expertsPerToken,
      ),
    );
    record('expert_ids', Float64Array.from(routes.flatMap(({ ids }) => ids)));
    record('expert_weights', Float64Array.from(routes.flatMap(({ weights }) => weights)));
    const mlp1 = new Float64Array(tokens * expertsPerToken * 2 * intermediate);
    const activated = new Float64Array(tokens * expertsPerToken * intermediate);
    const y = new Float64Array(x.length);
    for (let expert = 0; expert < experts; expert++) {
      const uses = routes.flatMap(({ ids, weights }, token) => {
        const slot = ids.indexOf(expert);
        return slot < 0
          ? []
          : [{ token, slot: token * expertsPerToken + slot, weight: weights[slot]! }];
      });
      if (uses.length === 0) continue;
      const inputs = new Float64Array(uses.length * hidden);
      uses.forEach(({ token }, i) => {
        inputs.set(h.subarray(token * hidden, (token + 1) * hidden), i * hidden);
      });
      const gateUp = await this.#weights.expertLinear(
        inputs,
        `${name}.experts.gate_up_proj`,
        expert,
        [2 * intermediate, hidden],
      );
      const a = new Float64Array(uses.length * intermediate);
      uses.forEach(({ slot }, i) => {
        const row = gateUp.subarray(i * 2 * intermediate, (i + 1) * 2 * intermediate);
        const activation = this.#operations.swiglu(row, swigluLimit);
        a.set(activation, i * intermediate);
        mlp1.set(row, slot * 2 * intermediate);
        activated.set(activation, slot * intermediate);
      });
      const down = await this.#weights.expertLinear(a, `${name}.experts.down_proj`, expert, [
        hidden,
        intermediate,
      ]);
      uses.forEach(({ token, weight }, i) => {
        for (let j = 0; j < hidden; j++) y[token * hidden + j]! += weight * down[i * hidden + j]!;
      });
    }
    record('mlp1_out', mlp1);
    record('mlp_act', activated);
    record('mlp_out', y);
    addTo(x, y);
    record('resid_out', x);
  }

  async #norm(x: Float64Array, name: string): Promise<Float64Array> {
    const { hidden, epsilon } = this.#config;
    return this.#operations.rmsNorm(x, await this.#weights.values(name, 0, hidden), epsilon);
  }
}

function wantedPositions(
  wanted: 'all' | 'last' | readonly number[],
  count: number,
): readonly number[] {
  if (wanted === 'last') return [count - 1];
  return wanted === 'all' ? Array.from({ length: count }, (_, i) => i) : wanted;
}

function concat(a: Float64Array, b: Float64Array): Float64Array {
  const joined = new Float64Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

function addTo(x: Float64Array, y: Float64Array): void {
  for (let i = 0; i < x.length; i++) x[i]! += y[i]!;
}
