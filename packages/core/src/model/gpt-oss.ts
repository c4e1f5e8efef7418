import type { Dispatch } from '../gpu/kernel.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { LayerCache } from '../kernels/operands.ts';
import { Operations } from '../kernels/operations.ts';
import type { Product } from '../kernels/shape.ts';
import type { KvCache } from './kv-cache.ts';
import type { Activations, ForwardPass } from './state.ts';
import type { AttentionWeights, MlpWeights, Weights } from './weights.ts';

/** What a pass works with, except the weights and the cache. */
interface Pass {
  /** The operations on its tokens. */
  readonly k: Operations;
  readonly a: Activations;
  /** f32 [contextLength, 64], see {@link ropeTable}. */
  readonly ropeTable: GPUBuffer;
}

/**
 * The forward pass of gpt-oss, up to the residual stream: tokens in, keys and values to the cache.
 * Reads like openai/gpt-oss `gpt_oss/torch/model.py`, and keeps its names.
 */
function forward(pass: Pass, w: Weights, kv: Pick<KvCache, 'layers'>): Dispatch[] {
  const { k, a } = pass;
  const scales = [...w.block.map(({ attn }) => attn.norm), w.norm]; // of the norms before each layer, and after the last
  return [
    ...k.embed(a.tokens, w.embedding, scales[0] as GPUBuffer, a.x, a.h), // x: [tokens, hiddenSize], the residual stream
    ...w.block.flatMap(({ attn, mlp }, layer) => [
      ...attention(pass, attn, mlp.norm, kv.layers[layer] as LayerCache),
      ...experts(pass, mlp, scales[layer + 1] as GPUBuffer),
    ]),
  ];
}

/** Logits of rows of the residual stream, as many as the pass has tokens, from the step's output row on. */
function unembed({ k, a }: Pass, w: Weights): Dispatch[] {
  return [
    ...k.outputNorm(a.x, w.norm, a.h),
    ...k.unembed(a.h, w.unembedding, a.logits), // [tokens, vocabularySize]
  ];
}

/** x += out(attend(rope(qkv(h)))), over the layer's window, or over all tokens so far; h = norm(x) by the next scale. */
function attention(
  { k, a, ropeTable }: Pass,
  w: AttentionWeights,
  nextScale: GPUBuffer,
  cache: LayerCache,
): Dispatch[] {
  return [
    ...k.qkv(a.h, w.qkv, ropeTable, cache, a.projected),
    ...k.attend(a.projected, cache, w.sinks, a.splits, a.attended),
    ...k.addOut(a.attended, w.out, nextScale, a.x, a.h),
  ];
}

/** x += sum over the chosen experts of p * mlp2(swiglu(mlp1(h))); h = norm(x) by the next scale. */
function experts({ k, a }: Pass, w: MlpWeights, nextScale: GPUBuffer): Dispatch[] {
  return [
    ...k.route(a.h, w.gate, a.choice),
    ...k.swiglu(a.h, a.choice, w.mlp1, a.hidden),
    ...k.addExperts(a.hidden, a.choice, w.mlp2, nextScale, a.expertOut, a.x, a.h),
  ];
}

/**
 * Makes the passes of a loaded gpt-oss model.
 *
 * @param ropeTable - f32 [contextLength, 64], see {@link ropeTable}.
 * @param product - See {@link Operations}.
 */
export function gptOss(
  kernels: Kernels,
  weights: Weights,
  a: Activations,
  ropeTable: GPUBuffer,
  product?: Product,
): ForwardPass {
  const passOf = (count: number): Pass => ({
    k: new Operations(kernels, count, product),
    a,
    ropeTable,
  });
  return {
    forward: (kv, count) => forward(passOf(count), weights, kv),
    unembed: (rows) => unembed(passOf(rows), weights),
  };
}
