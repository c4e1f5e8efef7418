import { formatInvalid, shownJson } from '../errors.ts';
import { BLOCK_COLUMNS, HEAD_SIZE } from '../kernels/shape.ts';
import type { ModelConfig, RopeConfig } from '../types/config.ts';
import { attentionFactor } from './rope.ts';

/** The fields of a JSON object. */
type Fields = Readonly<Record<string, unknown>>;

/** More layers are a mistake or malice. */
const MAX_LAYERS = 1024;

/**
 * Reads config.json in Hugging Face's or OpenAI's original layout, or its equivalent from a GGUF file.
 *
 * @throws {@link OssicleError} `format-invalid` if a field is missing or has a value that no gpt-oss model has.
 */
export function parseConfig(json: Fields): ModelConfig {
  const modelType = json.model_type;
  if (modelType !== undefined && modelType !== 'gpt_oss') {
    throw formatInvalid(
      `The model's config says model_type ${shownJson(modelType)}; ossicle runs gpt_oss models only.`,
    );
  }
  const layers = count(json, 'num_hidden_layers', undefined, MAX_LAYERS);
  const hiddenSize = count(json, 'hidden_size');
  const intermediateSize = count(json, 'intermediate_size');
  const heads = count(json, 'num_attention_heads');
  const kvHeads = count(json, 'num_key_value_heads');
  const experts = count(json, ['num_local_experts', 'num_experts']);
  const expertsPerToken = count(json, ['num_experts_per_tok', 'experts_per_token']);
  const headSize = count(json, 'head_dim');
  if (headSize !== HEAD_SIZE) {
    throw formatInvalid(
      `The model's config says head_dim ${headSize}; gpt-oss models have ${HEAD_SIZE}.`,
    );
  }
  if (heads % kvHeads !== 0) {
    throw formatInvalid(
      `The model's config says num_attention_heads ${heads}, which is not a multiple of num_key_value_heads ${kvHeads}.`,
    );
  }
  if (expertsPerToken > experts) {
    throw formatInvalid(
      `The model's config asks for ${expertsPerToken} experts per token and has only ${experts}.`,
    );
  }
  for (const [name, size] of [
    ['hidden_size', hiddenSize],
    ['intermediate_size', intermediateSize],
  ] as const) {
    if (size % BLOCK_COLUMNS !== 0) {
      throw formatInvalid(
        `The model's config says ${name} ${size}; MXFP4 weights need a multiple of ${BLOCK_COLUMNS}.`,
      );
    }
  }
  const rope = parseRope(json);
  return {
    layers,
    hiddenSize,
    intermediateSize,
    heads,
    kvHeads,
    experts,
    expertsPerToken,
    vocabularySize: count(json, 'vocab_size'),
    slidingWindow: count(json, 'sliding_window'),
    slidingLayers: parseLayerTypes(json.layer_types, layers),
    maxContextLength: count(
      json,
      'max_position_embeddings',
      Math.floor(rope.originalContextLength * rope.factor),
    ),
    normEpsilon: number(json, 'rms_norm_eps', 1e-5),
    swigluLimit: number(json, 'swiglu_limit', 7),
    rope,
  };
}

/**
 * Reads `rope_scaling` of the published files, `rope_parameters` of newer ones, or the flat fields of the original layout.
 */
function parseRope(json: Fields): RopeConfig {
  const scaling = json.rope_scaling ?? json.rope_parameters;
  if (typeof scaling === 'object' && scaling !== null) {
    const fields = scaling as Fields;
    const type = fields.rope_type ?? fields.type;
    if (type !== 'yarn') {
      throw formatInvalid(
        `The model's config says rope_type ${shownJson(type)}; gpt-oss models have "yarn".`,
      );
    }
    const factor = number(fields, 'factor');
    checkAttentionFactor(fields, attentionFactor({ factor }));
    return {
      theta: number({ ...fields, ...json }, 'rope_theta'),
      factor,
      originalContextLength: count(
        fields,
        'original_max_position_embeddings',
        number(json, 'initial_context_length', 4096),
      ),
      betaFast: number(fields, 'beta_fast', 32),
      betaSlow: number(fields, 'beta_slow', 1),
      truncate: fields.truncate === undefined || fields.truncate === true,
    };
  }
  return {
    theta: number(json, 'rope_theta'),
    factor: number(json, 'rope_scaling_factor'),
    originalContextLength: count(json, 'initial_context_length'),
    betaFast: number(json, 'rope_ntk_beta', 32),
    betaSlow: number(json, 'rope_ntk_alpha', 1),
    truncate: false,
  };
}

/** gpt-oss models have YaRN's own factor; transformers lets a config override it. */
function checkAttentionFactor(scaling: Fields, expected: number): void {
  const { attention_factor: given = null, mscale, mscale_all_dim } = scaling;
  const isExpected = typeof given === 'number' && Math.abs(given - expected) < 1e-6;
  if (given !== null && !isExpected) {
    throw formatInvalid(
      `The model's config says attention_factor ${shownJson(given)}; gpt-oss models have ${expected}.`,
    );
  }
  if (given === null && mscale && mscale_all_dim) {
    throw formatInvalid(
      "The model's config says mscale and mscale_all_dim; gpt-oss models have neither.",
    );
  }
}

function parseLayerTypes(types: unknown, layers: number): boolean[] {
  if (types === undefined || types === null)
    return Array.from({ length: layers }, (_, layer) => layer % 2 === 0);
  if (!Array.isArray(types) || types.length !== layers) {
    throw formatInvalid(`The model's config has no layer_types for each of its ${layers} layers.`);
  }
  return types.map((type: unknown, layer) => {
    if (type === 'sliding_attention') return true;
    if (type === 'full_attention') return false;
    throw formatInvalid(
      `The model's config says layer_types[${layer}] ${shownJson(type)}, which ossicle does not know.`,
    );
  });
}

/** A larger count is a mistake or malice. */
const MAX_COUNT = 2 ** 24;

/** A positive integer. Of several names, the first one present counts. */
function count(
  json: Fields,
  names: string | readonly string[],
  fallback?: number,
  most: number = MAX_COUNT,
): number {
  const value = number(json, names, fallback);
  if (!Number.isSafeInteger(value) || value < 1 || value > most) {
    throw formatInvalid(
      `The model's config says ${[names].flat().join(' or ')} ${value}; it must be a whole number from 1 to ${most}.`,
    );
  }
  return value;
}

/** A finite number above zero. */
function number(json: Fields, names: string | readonly string[], fallback?: number): number {
  const found = [names].flat().find((name) => json[name] !== undefined && json[name] !== null);
  const value = found === undefined ? fallback : json[found];
  if (value === undefined) {
    throw formatInvalid(
      `The model's config has no ${[names].flat().join(' or ')}. Is it a gpt-oss checkpoint?`,
    );
  }
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
    throw formatInvalid(
      `The model's config says ${found} ${shownJson(value)}; it must be a number above 0.`,
    );
  }
  return value;
}
