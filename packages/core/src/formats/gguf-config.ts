import { formatInvalid } from '../errors.ts';
import { type GgufValue, invalid } from './gguf.ts';
import type { Json } from './json-file.ts';
import { ollamaGguf } from './unsupported.ts';

const ARCHITECTURE = 'gpt-oss';
const OLLAMA_ARCHITECTURE = 'gptoss';

/** Fields of config.json, and their keys below `gpt-oss.`; of several keys, the first one present counts. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  num_hidden_layers: ['block_count'],
  hidden_size: ['embedding_length'],
  intermediate_size: ['expert_feed_forward_length', 'feed_forward_length'],
  num_attention_heads: ['attention.head_count'],
  num_key_value_heads: ['attention.head_count_kv'],
  head_dim: ['attention.key_length'],
  num_local_experts: ['expert_count'],
  num_experts_per_tok: ['expert_used_count'],
  sliding_window: ['attention.sliding_window'],
  max_position_embeddings: ['context_length'],
  rms_norm_eps: ['attention.layer_norm_rms_epsilon'],
  rope_theta: ['rope.freq_base'],
};

const ROPE_FIELDS: Readonly<Record<string, readonly string[]>> = {
  factor: ['rope.scaling.factor'],
  original_max_position_embeddings: ['rope.scaling.original_context_length'],
};

/** Not in published files: all readers assume the same numbers. */
const OPTIONAL_ROPE_FIELDS: Readonly<Record<string, readonly string[]>> = {
  beta_fast: ['rope.scaling.yarn_beta_fast'],
  beta_slow: ['rope.scaling.yarn_beta_slow'],
};

/**
 * Makes a config.json from a GGUF file's metadata. The rest is as in the published config: YaRN's betas and unrounded
 * range, sliding windows in even layers, the limit of SwiGLU.
 *
 * @param path - The file, for errors.
 * @param vocabularySize - The number of rows of the embedding.
 * @throws {@link OssicleError} `format-invalid` if it is another architecture, or something is missing;
 * `format-unsupported` if it is Ollama's.
 */
export function ggufConfig(
  path: string,
  metadata: ReadonlyMap<string, GgufValue>,
  vocabularySize: number | undefined,
): Json {
  const architecture = metadata.get('general.architecture');
  if (architecture === OLLAMA_ARCHITECTURE) {
    throw ollamaGguf(path, {
      num_hidden_layers: metadata.get(`${OLLAMA_ARCHITECTURE}.block_count`),
    });
  }
  if (architecture !== ARCHITECTURE) {
    const shown = typeof architecture === 'string' ? JSON.stringify(architecture) : 'none';
    throw formatInvalid(
      `${path} has the architecture ${shown}; ossicle runs "${ARCHITECTURE}" models only, with the tensor names of llama.cpp. ` +
        'Use a GGUF file made by llama.cpp, such as those of ggml-org.',
    );
  }
  const find = (keys: readonly string[]): number | undefined => {
    for (const key of keys) {
      const value = metadata.get(`${ARCHITECTURE}.${key}`);
      if (typeof value === 'number') return value;
      if (value !== undefined) throw invalid(path, `${ARCHITECTURE}.${key} is not a number`);
    }
    return undefined;
  };
  const read = (fields: Readonly<Record<string, readonly string[]>>): Json =>
    Object.fromEntries(
      Object.entries(fields).map(([field, keys]) => {
        const value = find(keys);
        if (value === undefined) {
          throw invalid(path, `its metadata has no ${ARCHITECTURE}.${keys.join(' or ')}`);
        }
        return [field, value];
      }),
    );
  if (vocabularySize === undefined) throw invalid(path, 'it has no tensor token_embd.weight');
  return {
    model_type: 'gpt_oss',
    vocab_size: vocabularySize,
    ...read(FIELDS),
    rope_scaling: {
      rope_type: metadata.get(`${ARCHITECTURE}.rope.scaling.type`) ?? 'none',
      ...read(ROPE_FIELDS),
      ...Object.fromEntries(
        Object.entries(OPTIONAL_ROPE_FIELDS).flatMap(([field, keys]) => {
          const value = find(keys);
          return value === undefined ? [] : [[field, value]];
        }),
      ),
      truncate: false,
    },
  };
}
