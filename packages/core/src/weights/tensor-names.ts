/** OpenAI's original names, outside and inside of `block.N.`, and what Hugging Face's layout calls the same tensors. */
const MODEL_NAMES: Readonly<Record<string, string>> = {
  'embedding.weight': 'model.embed_tokens.weight',
  'unembedding.weight': 'lm_head.weight',
  'norm.scale': 'model.norm.weight',
};

const QKV = ['q_proj', 'k_proj', 'v_proj'] as const;

const BLOCK_NAMES: Readonly<Record<string, readonly string[]>> = {
  'attn.norm.scale': ['input_layernorm.weight'],
  'attn.qkv.weight': QKV.map((part) => `self_attn.${part}.weight`),
  'attn.qkv.bias': QKV.map((part) => `self_attn.${part}.bias`),
  'attn.sinks': ['self_attn.sinks'],
  'attn.out.weight': ['self_attn.o_proj.weight'],
  'attn.out.bias': ['self_attn.o_proj.bias'],
  'mlp.norm.scale': ['post_attention_layernorm.weight'],
  'mlp.gate.weight': ['mlp.router.weight'],
  'mlp.gate.bias': ['mlp.router.bias'],
  'mlp.mlp1_weight.blocks': ['mlp.experts.gate_up_proj_blocks'],
  'mlp.mlp1_weight.scales': ['mlp.experts.gate_up_proj_scales'],
  'mlp.mlp1_bias': ['mlp.experts.gate_up_proj_bias'],
  'mlp.mlp2_weight.blocks': ['mlp.experts.down_proj_blocks'],
  'mlp.mlp2_weight.scales': ['mlp.experts.down_proj_scales'],
  'mlp.mlp2_bias': ['mlp.experts.down_proj_bias'],
};

/**
 * The tensors of Hugging Face's layout whose rows, one after another, are a tensor of the original layout.
 *
 * @param name - The original name, for example `block.3.attn.qkv.bias`.
 * @throws RangeError where the original layout has no such name.
 */
export function publishedNames(name: string): readonly string[] {
  const [, layer, inBlock] = /^block\.(\d+)\.(.+)$/.exec(name) ?? [];
  const names =
    inBlock === undefined
      ? MODEL_NAMES[name] && [MODEL_NAMES[name]]
      : BLOCK_NAMES[inBlock]?.map((rest) => `model.layers.${layer}.${rest}`);
  if (!names) throw new RangeError(`gpt-oss has no tensor named ${name}`);
  return names;
}
