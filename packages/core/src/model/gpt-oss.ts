import type { Dispatch } from '../gpu/kernel.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { LayerCache } from '../kernels/operands.ts';
import type { Activations, KvCache } from './state.ts';
import type { AttentionWeights, MlpWeights, Weights } from './weights.ts';

/** The passes of a loaded model. */
export interface ForwardPass {
  /** Evaluates the next `count` tokens up to the residual stream; appends their keys and values to the cache. */
  forward(kv: KvCache, count: number): Dispatch[];
  /** Logits of `rows` tokens of the last pass, from the step's output row on. */
  unembed(rows: number): Dispatch[];
}

/** What the passes of gpt-oss work on. */
export interface GptOssParts {
  readonly kernels: Kernels;
  readonly weights: Weights;
  readonly activations: Activations;
  /** f32 [contextLength, 64], see {@link ropeTable}. */
  readonly ropeTable: GPUBuffer;
}

/** Makes the passes of a gpt-oss model. */
export function gptOss({ kernels, weights, activations, ropeTable }: GptOssParts): ForwardPass {
  return {
    forward: (kv, count) => forward(kernels, weights, activations, kv, ropeTable, count),
    unembed: (rows) => unembed(kernels, weights, activations, rows),
  };
}

/**
 * The forward pass of gpt-oss, up to the residual stream: tokens in, keys and values to the cache.
 * Reads as openai/gpt-oss `gpt_oss/torch/model.py`, and keeps its names.
 *
 * @param ropeTable - f32 [contextLength, 64], see {@link ropeTable}.
 * @param count - Tokens of this pass.
 */
function forward(
  k: Kernels,
  w: Weights,
  a: Activations,
  kv: KvCache,
  ropeTable: GPUBuffer,
  count: number,
): Dispatch[] {
  return [
    ...k.embed(a.tokens, w.embedding, a.x, count), // x: [count, hiddenSize], the residual stream
    ...w.block.flatMap(({ attn, mlp }, layer) => [
      ...attention(k, attn, a, kv.layers[layer] as LayerCache, ropeTable, count),
      ...experts(k, mlp, a, count),
    ]),
  ];
}

/** Logits of `count` rows of the residual stream, from the step's output row on. */
function unembed(k: Kernels, w: Weights, a: Activations, count: number): Dispatch[] {
  return [
    ...k.outputNorm('norm', a.x, w.norm, a.h, count),
    ...k.unembed(a.h, w.unembedding, a.logits, count), // [count, vocabularySize]
  ];
}

/** x += out(attend(rope(qkv(norm(x))))), over the layer's window, or over all tokens so far. */
function attention(
  k: Kernels,
  w: AttentionWeights,
  a: Activations,
  cache: LayerCache,
  ropeTable: GPUBuffer,
  count: number,
): Dispatch[] {
  const label = w.qkv.weight.label.replace(/\.qkv\.weight$/, '');
  return [
    ...k.norm(`${label}.norm`, a.x, w.norm, a.h, count),
    ...k.attention.qkv(a.h, w.qkv.weight, w.qkv.bias, ropeTable, cache, a.projected, count),
    ...k.attention.attend(label, a.projected, cache, w.sinks, a.splits, a.attended, count),
    ...k.attention.addOut(a.attended, w.out.weight, w.out.bias, a.x, count),
  ];
}

/** x += sum over the chosen experts of p * mlp2(swiglu(mlp1(norm(x)))). */
function experts(k: Kernels, w: MlpWeights, a: Activations, count: number): Dispatch[] {
  return [
    ...k.experts.route(a.x, w.norm, w.gate.weight, w.gate.bias, a.h, a.choice, count),
    ...k.experts.swiglu(a.h, a.choice, w.mlp1, a.hidden, count),
    ...k.experts.add(a.hidden, a.choice, w.mlp2, a.expertOut, a.x, count),
  ];
}
