/** The numbers of an architecture, for the oracles and checkpoint writers of the tests. Shares nothing with `src`. */
export interface Config {
  /** Number of transformer layers; even layers attend to a window, odd ones to everything. */
  readonly layers: number;
  /** Width of the residual stream. */
  readonly hidden: number;
  /** Width inside an expert. */
  readonly intermediate: number;
  /** Query heads. */
  readonly heads: number;
  /** Key/value heads. */
  readonly kvHeads: number;
  /** Width of one head. */
  readonly headDim: number;
  /** Experts per layer. */
  readonly experts: number;
  /** Experts that each token uses. */
  readonly expertsPerToken: number;
  /** Token ids. */
  readonly vocabulary: number;
  /** Keys that a query of a sliding layer sees, itself included. */
  readonly window: number;
  /** Base of the rotary frequencies. */
  readonly ropeTheta: number;
  /** The YaRN extension of the rotary frequencies. */
  readonly yarn: YarnConfig;
  /** Added to the mean square in RMSNorm. */
  readonly epsilon: number;
  /** The limit to which the gate and up values of an expert are clamped. */
  readonly swigluLimit: number;
  /** The most positions that the model supports. */
  readonly maxPositions: number;
  /** Token ids for the JSON files. Default: the last three ids of the vocabulary. */
  readonly specialIds?: SpecialIds;
}

/** The token ids that configuration files name. */
export interface SpecialIds {
  /** `<|startoftext|>` */
  readonly bos: number;
  /** `<|endoftext|>` */
  readonly pad: number;
  /** `<|return|>` */
  readonly eos: number;
  /** `<|call|>`, if generation ends with it, too. */
  readonly call?: number;
}

/** YaRN's settings. */
export interface YarnConfig {
  /** How many times longer the extended context is. */
  readonly factor: number;
  /** The context length before the extension, in tokens. */
  readonly originalContext: number;
  /** Rotations over the original context above which a frequency is unchanged. */
  readonly betaFast: number;
  /** Rotations over the original context below which a frequency is divided by the factor. */
  readonly betaSlow: number;
  /** Whether the range between the two is rounded outwards to whole dimensions: false in gpt-oss. */
  readonly truncate: boolean;
}

const GPT_OSS_20B: Config = {
  layers: 24,
  hidden: 2880,
  intermediate: 2880,
  heads: 64,
  kvHeads: 8,
  headDim: 64,
  experts: 32,
  expertsPerToken: 4,
  vocabulary: 201088,
  window: 128,
  ropeTheta: 150000,
  yarn: { factor: 32, originalContext: 4096, betaFast: 32, betaSlow: 1, truncate: false },
  epsilon: 1e-5,
  swigluLimit: 7,
  maxPositions: 131072,
  specialIds: { bos: 199998, pad: 199999, eos: 200002, call: 200012 },
};

/** Configurations by name: the published ones, and small ones of the same architecture. */
export const PRESETS: {
  readonly '20b': Config;
  readonly '120b': Config;
  readonly '20b-2layers': Config;
  readonly nano: Config;
  readonly tiny: Config;
} = {
  '20b': GPT_OSS_20B,
  '120b': { ...GPT_OSS_20B, layers: 36, experts: 128 },
  '20b-2layers': { ...GPT_OSS_20B, layers: 2 },
  nano: {
    ...GPT_OSS_20B,
    layers: 4,
    hidden: 160,
    intermediate: 128,
    heads: 4,
    kvHeads: 2,
    experts: 8,
    vocabulary: 1600,
    specialIds: { bos: 1579, pad: 1580, eos: 1583 },
  },
  tiny: {
    ...GPT_OSS_20B,
    layers: 4,
    hidden: 96,
    intermediate: 96,
    heads: 16,
    kvHeads: 2,
    experts: 8,
    vocabulary: 640,
    window: 16,
    specialIds: { bos: 637, pad: 638, eos: 639 },
  },
};

/** The name of a preset. */
export type PresetName = keyof typeof PRESETS;

type Json = { readonly [key: string]: unknown };

/** Reads a parsed config.json of the Hugging Face layout or OpenAI's original layout. Throws if a number is missing. */
export function parseConfig(json: Json): Config {
  const number = (from: Json, key: string): number => {
    const value = from[key];
    if (typeof value !== 'number') throw new TypeError(`config.json: ${key} is not a number`);
    return value;
  };
  const rope = json.rope_scaling as Json | undefined;
  return {
    layers: number(json, 'num_hidden_layers'),
    hidden: number(json, 'hidden_size'),
    intermediate: number(json, 'intermediate_size'),
    heads: number(json, 'num_attention_heads'),
    kvHeads: number(json, 'num_key_value_heads'),
    headDim: number(json, 'head_dim'),
    experts: number(json, rope ? 'num_local_experts' : 'num_experts'),
    expertsPerToken: number(json, 'experts_per_token'),
    vocabulary: number(json, 'vocab_size'),
    window: number(json, 'sliding_window'),
    ropeTheta: number(json, 'rope_theta'),
    yarn: {
      factor: rope ? number(rope, 'factor') : number(json, 'rope_scaling_factor'),
      originalContext: rope
        ? number(rope, 'original_max_position_embeddings')
        : number(json, 'initial_context_length'),
      betaFast: rope ? number(rope, 'beta_fast') : number(json, 'rope_ntk_beta'),
      betaSlow: rope ? number(rope, 'beta_slow') : number(json, 'rope_ntk_alpha'),
      truncate: rope?.truncate === true,
    },
    epsilon: rope ? number(json, 'rms_norm_eps') : 1e-5,
    swigluLimit: number(json, 'swiglu_limit'),
    maxPositions: rope ? number(json, 'max_position_embeddings') : 131072,
  };
}

function specialIdsOf({ specialIds, vocabulary }: Config): SpecialIds {
  return specialIds ?? { bos: vocabulary - 3, pad: vocabulary - 2, eos: vocabulary - 1 };
}

/**
 * The text of config.json in the Hugging Face layout; byte for byte the published one for a published configuration.
 */
export function huggingFaceConfig(config: Config): string {
  const { yarn } = config;
  const { eos, pad } = specialIdsOf(config);
  return pythonJson(
    {
      architectures: ['GptOssForCausalLM'],
      attention_bias: true,
      attention_dropout: new Float(0),
      eos_token_id: eos,
      experts_per_token: config.expertsPerToken,
      head_dim: config.headDim,
      hidden_act: 'silu',
      hidden_size: config.hidden,
      initial_context_length: yarn.originalContext,
      initializer_range: new Float(0.02),
      intermediate_size: config.intermediate,
      layer_types: Array.from({ length: config.layers }, (_, layer) =>
        layer % 2 === 0 ? 'sliding_attention' : 'full_attention',
      ),
      max_position_embeddings: config.maxPositions,
      model_type: 'gpt_oss',
      num_attention_heads: config.heads,
      num_experts_per_tok: config.expertsPerToken,
      num_hidden_layers: config.layers,
      num_key_value_heads: config.kvHeads,
      num_local_experts: config.experts,
      output_router_logits: false,
      pad_token_id: pad,
      quantization_config: {
        modules_to_not_convert: [
          'model.layers.*.self_attn',
          'model.layers.*.mlp.router',
          'model.embed_tokens',
          'lm_head',
        ],
        quant_method: 'mxfp4',
      },
      rms_norm_eps: new Float(config.epsilon),
      rope_scaling: {
        beta_fast: new Float(yarn.betaFast),
        beta_slow: new Float(yarn.betaSlow),
        factor: new Float(yarn.factor),
        original_max_position_embeddings: yarn.originalContext,
        rope_type: 'yarn',
        truncate: yarn.truncate,
      },
      rope_theta: config.ropeTheta,
      router_aux_loss_coef: new Float(0.9),
      sliding_window: config.window,
      swiglu_limit: new Float(config.swigluLimit),
      tie_word_embeddings: false,
      transformers_version: '4.55.0.dev0',
      use_cache: true,
      vocab_size: config.vocabulary,
    },
    2,
  ).concat('\n');
}

/** The text of generation_config.json; byte for byte the published one for a published configuration. */
export function generationConfig(config: Config): string {
  const { bos, pad, eos, call } = specialIdsOf(config);
  return pythonJson(
    {
      bos_token_id: bos,
      do_sample: true,
      eos_token_id: call === undefined ? [eos, pad] : [eos, pad, call],
      pad_token_id: pad,
      transformers_version: '4.55.0.dev0',
    },
    2,
  ).concat('\n');
}

/** The text of config.json in OpenAI's original layout. */
export function originalConfig(config: Config): string {
  return pythonJson({
    num_hidden_layers: config.layers,
    num_experts: config.experts,
    experts_per_token: config.expertsPerToken,
    vocab_size: config.vocabulary,
    hidden_size: config.hidden,
    intermediate_size: config.intermediate,
    swiglu_limit: new Float(config.swigluLimit),
    head_dim: config.headDim,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    sliding_window: config.window,
    initial_context_length: config.yarn.originalContext,
    rope_theta: config.ropeTheta,
    rope_scaling_factor: new Float(config.yarn.factor),
    rope_ntk_alpha: config.yarn.betaSlow,
    rope_ntk_beta: config.yarn.betaFast,
  });
}

/** A number that Python writes as a float: with a fraction, or a two-digit exponent. */
class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  toString(): string {
    const isSmall = this.value !== 0 && Math.abs(this.value) < 1e-4;
    const text = isSmall ? this.value.toExponential() : String(this.value);
    if (isSmall) return text.replace(/e-(\d)$/, 'e-0$1');
    return text.includes('.') ? text : `${text}.0`;
  }
}

/**
 * Writes JSON like Python's `json.dumps`, which wrote the published files.
 *
 * @param indent - Spaces per level; if omitted, everything is on one line, with a space after `,` and `:`.
 */
export function pythonJson(value: unknown, indent?: number, depth = 0): string {
  if (value instanceof Float) return value.toString();
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const items = Array.isArray(value)
    ? value.map((item) => pythonJson(item, indent, depth + 1))
    : Object.entries(value).map(
        ([key, item]) => `${JSON.stringify(key)}: ${pythonJson(item, indent, depth + 1)}`,
      );
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  if (indent === undefined) return `${open}${items.join(', ')}${close}`;
  const pad = `\n${' '.repeat(indent * (depth + 1))}`;
  return `${open}${pad}${items.join(`,${pad}`)}\n${' '.repeat(indent * depth)}${close}`;
}
