import type { Weights } from '../../packages/core/src/model/weights.ts';

/** Where in the model the weights of a dispatch belong. */
export interface Place {
  /** The dispatch's label without its layer, as in `attn.qkv.weight`. */
  readonly part: string;
  /** Whether its layer sees only the sliding window. */
  readonly isSliding: boolean;
}

/** The places of all weights, by the labels that dispatches have from them. */
export function placesOf(
  weights: Weights,
  slidingLayers: readonly boolean[],
): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();
  const add = (part: string, { label }: { readonly label: string }, isSliding = false): void => {
    places.set(label, { part, isSliding });
  };
  add('embedding.weight', weights.embedding);
  weights.block.forEach(({ attn, mlp }, layer) => {
    const isSliding = slidingLayers[layer] ?? false;
    add('attn.norm', attn.norm);
    add('attn.qkv.weight', attn.qkv.weight);
    add('attn', attn.sinks, isSliding);
    add('attn.out.weight', attn.out.weight);
    add('mlp.gate.weight', mlp.gate.weight);
    add('mlp.mlp1', mlp.mlp1);
    add('mlp.mlp2', mlp.mlp2);
  });
  add('norm', weights.norm);
  add('unembedding.weight', weights.unembedding);
  return places;
}
