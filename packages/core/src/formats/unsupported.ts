import { OssicleError } from '../errors.ts';
import type { ByteSource } from '../sources/byte-source.ts';
import { displayName } from '../sources/display-name.ts';
import type { Encoding } from './checkpoint-tensor.ts';
import { isJsonObject, type Json } from './json-file.ts';

/**
 * The types of which a checkpoint may have tensors; which of them are read depends on the tensor. Those that only
 * tensors without a part in the model have, such as I64, do not make it unreadable.
 */
const READABLE_TYPES = /^(MXFP4|Q8_0|BF16|F16|F32|F64|C64|BOOL|[IU]\d+)$/;

/** The sizes of the published models, by their layers. */
const SIZES: Readonly<Record<number, string>> = { 24: '20b', 36: '120b' };

const LORA =
  'a LoRA adapter, which is not a whole model. Merge it into the model it was trained on, and save that.';
const ADAPTER_CONFIG = 'adapter_config.json';

/** Tensor names that tell a format, and what they say of a checkpoint; `$` stands for the name. */
const TELLING_TENSORS: readonly (readonly [RegExp, string])[] = [
  [/\.lora_[AB]\b/, `is ${LORA}`],
  [/\.(absmax|quant_map|quant_state\b.*)$/, 'is quantized by bitsandbytes (it has $)'],
  [/\.(qweight|qzeros)$/, 'is quantized by GPTQ or AWQ (it has $)'],
  [/\.weight_packed$/, 'is quantized by compressed-tensors (it has $)'],
  [/\.mlp\.experts\.(gate|up)_proj\b/, "is in MLX's format (it has $)"],
  [
    /\.mlp\.experts\.((gate_up|down|gate|up)_projs\.)?\d+\./,
    'has each expert in tensors of its own ($), as Unsloth and some quantizers save them',
  ],
];

/** Files of weights in other formats, most telling first. */
const OTHER_WEIGHTS: readonly (readonly [RegExp, string])[] = [
  [/\.onnx(_data)?$/i, 'ONNX'],
  [/(^|\/)metal\/model\.bin$/, "the format of OpenAI's Metal implementation"],
  [/\.(bin|pt|pth|ckpt)$/i, "PyTorch's format"],
  [/\.(h5|msgpack|tflite|mlmodelc?|mlpackage)$/i, 'another format'],
];

/** Files to look for in sources that cannot be listed. */
const OTHER_FILES = [
  ADAPTER_CONFIG,
  'onnx/model.onnx',
  'model.onnx',
  'pytorch_model.bin.index.json',
  'pytorch_model.bin',
];

/**
 * Checks that a safetensors checkpoint has no quantization other than MXFP4.
 *
 * @throws {@link OssicleError} `format-unsupported` if it has.
 */
export function checkQuantization(id: string, config: Json): void {
  const { quantization_config: quantization, quantization: mlx } = config;
  const method = isJsonObject(quantization) ? quantization.quant_method : undefined;
  if (typeof method === 'string' && method !== 'mxfp4') {
    throw unsupported(
      id,
      `is quantized by ${method}, as quantization_config in its config.json says`,
      config,
    );
  }
  const hasMlxFields = isJsonObject(quantization) && 'group_size' in quantization;
  if (isJsonObject(mlx) || (method === undefined && hasMlxFields)) {
    const field = isJsonObject(mlx) ? 'quantization' : 'quantization_config';
    throw unsupported(id, `is in MLX's format (its config.json has "${field}")`, config);
  }
}

/**
 * Checks that no tensor has a name that only another format has.
 *
 * @throws {@link OssicleError} `format-unsupported` if one has.
 */
export function checkTensorNames(id: string, config: Json, names: Iterable<string>): void {
  const all = [...names];
  for (const [pattern, what] of TELLING_TENSORS) {
    const name = all.find((each) => pattern.test(each));
    if (name !== undefined)
      throw unsupported(
        id,
        what.replace('$', () => name),
        config,
      );
  }
}

/**
 * Checks the types of all tensors.
 *
 * @throws {@link OssicleError} `format-unsupported` with the types that cannot be read.
 */
export function checkTypes(
  id: string,
  config: Json,
  tensors: ReadonlyMap<string, { readonly encoding: Encoding }>,
): void {
  const examples = new Map<string, string>();
  for (const [name, { encoding }] of tensors) {
    if (READABLE_TYPES.test(encoding) || examples.has(encoding)) continue;
    examples.set(encoding, name);
  }
  if (examples.size === 0) return;
  const types = [...examples].map(([type, name]) => `${type} (such as ${name})`);
  throw unsupported(id, `has tensors of type ${types.join(', ')}`, config);
}

/** The error for a GGUF file that is an adapter. */
export function ggufAdapter(path: string): OssicleError {
  return unsupported(path, `is ${LORA}`, {});
}

/** The error for a GGUF file of Ollama's architecture. */
export function ollamaGguf(path: string, config: Json): OssicleError {
  return unsupported(
    path,
    'is a file of Ollama, with the architecture "gptoss"; ossicle runs "gpt-oss", whose tensors have other names',
    config,
  );
}

/**
 * Looks for weights in another format.
 *
 * @returns The `format-unsupported` error that names it; `undefined` if there are none.
 */
export async function findOtherFormat(
  source: ByteSource,
  config: Json = {},
  signal?: AbortSignal,
): Promise<OssicleError | undefined> {
  const paths = await listPaths(source, signal);
  if (paths.some((path) => path.split('/').at(-1) === ADAPTER_CONFIG)) {
    return unsupported(source.id, `is ${LORA}`, config);
  }
  for (const [pattern, format] of OTHER_WEIGHTS) {
    const path = paths.find((each) => pattern.test(each));
    if (path === undefined) continue;
    return unsupported(source.id, `has its weights in ${format} (${path})`, config);
  }
  return undefined;
}

async function listPaths(source: ByteSource, signal?: AbortSignal): Promise<readonly string[]> {
  const paths = await source.list(signal);
  if (paths.length > 0) return paths;
  const sizes = await Promise.all(OTHER_FILES.map((path) => source.size(path, signal)));
  return OTHER_FILES.filter((_, i) => sizes[i] !== undefined);
}

/** @param what - A verb and its object. With a full stop, it says what to do too. */
function unsupported(id: string, what: string, config: Json): OssicleError {
  const size = SIZES[Number(config.num_hidden_layers)];
  const instead =
    size === undefined
      ? 'Load the model in one of these formats instead.'
      : `Load openai/gpt-oss-${size} or ggml-org/gpt-oss-${size}-GGUF instead.`;
  const formats =
    'ossicle reads safetensors with MXFP4 or unquantized weights as Hugging Face and OpenAI publish them, and GGUF ' +
    'files of llama.cpp with MXFP4, Q8_0, BF16, F16 and F32';
  return new OssicleError(
    'format-unsupported',
    `${displayName(id)} ${what}${what.endsWith('.') ? '' : '.'} ${formats}. ${instead}`,
  );
}
