/** The parameter names of a layout other than OpenAI's original one. */
interface Names {
  /** Names outside of blocks. */
  readonly outside: Readonly<Record<string, readonly string[]>>;
  /** Names within a block. */
  readonly inBlock: Readonly<Record<string, readonly string[]>>;
  /** The prefix of a block's names. */
  readonly block: (layer: string) => string;
}

const QKV = ['q', 'k', 'v'] as const;

/** Hugging Face's layout. */
const HF: Names = {
  outside: {
    'embedding.weight': ['model.embed_tokens.weight'],
    'unembedding.weight': ['lm_head.weight'],
    'norm.scale': ['model.norm.weight'],
  },
  inBlock: {
    'attn.norm.scale': ['input_layernorm.weight'],
    'attn.qkv.weight': QKV.map((part) => `self_attn.${part}_proj.weight`),
    'attn.qkv.bias': QKV.map((part) => `self_attn.${part}_proj.bias`),
    'attn.sinks': ['self_attn.sinks'],
    'attn.out.weight': ['self_attn.o_proj.weight'],
    'attn.out.bias': ['self_attn.o_proj.bias'],
    'mlp.norm.scale': ['post_attention_layernorm.weight'],
    'mlp.gate.weight': ['mlp.router.weight'],
    'mlp.gate.bias': ['mlp.router.bias'],
    'mlp.mlp1_weight': ['mlp.experts.gate_up_proj'],
    'mlp.mlp1_weight.blocks': ['mlp.experts.gate_up_proj_blocks'],
    'mlp.mlp1_weight.scales': ['mlp.experts.gate_up_proj_scales'],
    'mlp.mlp1_bias': ['mlp.experts.gate_up_proj_bias'],
    'mlp.mlp2_weight': ['mlp.experts.down_proj'],
    'mlp.mlp2_weight.blocks': ['mlp.experts.down_proj_blocks'],
    'mlp.mlp2_weight.scales': ['mlp.experts.down_proj_scales'],
    'mlp.mlp2_bias': ['mlp.experts.down_proj_bias'],
  },
  block: (layer) => `model.layers.${layer}.`,
};

/** GGUF files with the architecture `gpt-oss`. */
const GGUF: Names = {
  outside: {
    'embedding.weight': ['token_embd.weight'],
    'unembedding.weight': ['output.weight'],
    'norm.scale': ['output_norm.weight'],
  },
  inBlock: {
    'attn.norm.scale': ['attn_norm.weight'],
    'attn.qkv.weight': QKV.map((part) => `attn_${part}.weight`),
    'attn.qkv.bias': QKV.map((part) => `attn_${part}.bias`),
    'attn.sinks': ['attn_sinks.weight'],
    'attn.out.weight': ['attn_output.weight'],
    'attn.out.bias': ['attn_output.bias'],
    'mlp.norm.scale': ['post_attention_norm.weight'],
    'mlp.gate.weight': ['ffn_gate_inp.weight'],
    'mlp.gate.bias': ['ffn_gate_inp.bias'],
    'mlp.mlp1_weight': ['ffn_gate_exps.weight', 'ffn_up_exps.weight'],
    'mlp.mlp1_bias': ['ffn_gate_exps.bias', 'ffn_up_exps.bias'],
    'mlp.mlp2_weight': ['ffn_down_exps.weight'],
    'mlp.mlp2_bias': ['ffn_down_exps.bias'],
  },
  block: (layer) => `blk.${layer}.`,
};

/**
 * The tensors of another layout that make up a tensor of the original one: q, k and v, whose rows are concatenated; in
 * GGUF also gate and up, whose rows alternate.
 *
 * @param name - The original name, for example `block.3.attn.qkv.bias`.
 * @throws RangeError if the layout has no counterpart.
 */
export function publishedNames(name: string, layout: 'hf' | 'gguf'): readonly string[] {
  const { outside, inBlock, block } = layout === 'hf' ? HF : GGUF;
  const [, layer, rest] = /^block\.(\d+)\.(.+)$/.exec(name) ?? [];
  const names =
    layer === undefined || rest === undefined
      ? outside[name]
      : inBlock[rest]?.map((inner) => block(layer) + inner);
  if (!names) throw new RangeError(`gpt-oss has no tensor named ${name}`);
  return names;
}
