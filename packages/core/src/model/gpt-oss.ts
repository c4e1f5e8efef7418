import type { Dispatch } from '../gpu/kernel.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { LayerCache } from '../kernels/operands.ts';
import { Operations } from '../kernels/operations.ts';
import type { Activations, ForwardPass, KvCache } from './state.ts';
import type { AttentionWeights, MlpWeights, Weights } from './weights.ts';

/**
 * The forward pass of gpt-oss, up to the residual stream: tokens in, keys and values to the cache.
 * Reads like openai/gpt-oss `gpt_oss/torch/model.py`, and keeps its names.
 *
 * @param k - The operations of a pass over this many tokens.
 * @param ropeTable - f32 [contextLength, 64], see {@link ropeTable}.
 */
function forward(
  k: Operations,
  w: Weights,
  a: Activations,
  kv: KvCache,
  ropeTable: GPUBuffer,
): Dispatch[] {
  return [
    ...k.embed(a.tokens, w.embedding, a.x), // x: [tokens, hiddenSize], the residual stream
    ...w.block.flatMap(({ attn, mlp }, layer) => [
      ...attention(k, attn, a, kv.layers[layer] as LayerCache, ropeTable),
      ...experts(k, mlp, a),
    ]),
  ];
}

/** Logits of rows of the residual stream, as many as `k` has tokens, from the step's output row on. */
function unembed(k: Operations, w: Weights, a: Activations): Dispatch[] {
  return [
    ...k.outputNorm(a.x, w.norm, a.h),
    ...k.unembed(a.h, w.unembedding, a.logits), // [tokens, vocabularySize]
  ];
}

/** x += out(attend(rope(qkv(norm(x))))), over the layer's window, or over all tokens so far. */
function attention(
  k: Operations,
  w: AttentionWeights,
  a: Activations,
  cache: LayerCache,
  ropeTable: GPUBuffer,
): Dispatch[] {
  return [
    ...k.norm(a.x, w.norm, a.h),
    ...k.qkv(a.h, w.qkv, ropeTable, cache, a.projected),
    ...k.attend(a.projected, cache, w.sinks, a.splits, a.attended),
    ...k.addOut(a.attended, w.out, a.x),
  ];
}

/** x += sum over the chosen experts of p * mlp2(swiglu(mlp1(norm(x)))). */
function experts(k: Operations, w: MlpWeights, a: Activations): Dispatch[] {
  return [
    ...k.route(a.x, w.norm, w.gate, a.h, a.choice), // h: the norm of x
    ...k.swiglu(a.h, a.choice, w.mlp1, a.hidden),
    ...k.addExperts(a.hidden, a.choice, w.mlp2, a.expertOut, a.x),
  ];
}

/**
 * Makes the passes of a loaded gpt-oss model.
 *
 * @param ropeTable - f32 [contextLength, 64], see {@link ropeTable}.
 */
export function gptOss(
  kernels: Kernels,
  weights: Weights,
  activations: Activations,
  ropeTable: GPUBuffer,
): ForwardPass {
  return {
    forward: (kv, count) =>
      forward(new Operations(kernels, count), weights, activations, kv, ropeTable),
    unembed: (rows) => unembed(new Operations(kernels, rows), weights, activations),
  };
}
