import { describe, expect, test } from 'vitest';
import { createCheckpoint } from '../../test/checkpoint.ts';
import { PRESETS } from '../../test/config.ts';
import { createGguf } from '../../test/gguf-checkpoint.ts';
import { GGML_TYPE, writeGguf } from '../../test/gguf-file.ts';
import { type Dtype, frameHeader, writeSafetensors } from '../../test/safetensors-file.ts';
import type { ByteSource } from '../sources/byte-source.ts';
import { openSource } from '../sources/open-source.ts';
import { openCheckpoint } from './open-checkpoint.ts';

type Content = string | Uint8Array<ArrayBuffer>;

/** The files of a folder named `my-model`. */
function folder(files: Readonly<Record<string, Content>>): Promise<ByteSource> {
  return openSource(
    Object.entries(files).map(([path, content]) =>
      Object.defineProperty(new File([content], path), 'webkitRelativePath', {
        value: `my-model/${path}`,
      }),
    ),
  );
}

/** A config.json with the layers of gpt-oss-20b, or of another model. */
const config = (fields: object = {}, layers = 24): string =>
  JSON.stringify({ model_type: 'gpt_oss', num_hidden_layers: layers, ...fields });

/** A safetensors file with tensors of two elements each. */
const weights = (...names: readonly (string | readonly [string, Dtype])[]): Content =>
  writeSafetensors(
    new Map(
      names.map((name) => {
        const [tensor, dtype] = typeof name === 'string' ? [name, 'U8' as const] : name;
        const bytes = new Uint8Array(dtype === 'U32' ? 8 : dtype === 'BF16' ? 4 : 2);
        return [tensor, { dtype, shape: [2], bytes }];
      }),
    ),
  );

/** A safetensors file with one tensor of four elements, of any type of up to 8 bits. */
function typedWeights(name: string, dtype: string): Content {
  const bytes = Number(/\d/.exec(dtype)) / 2;
  const header = { [name]: { dtype, shape: [4], data_offsets: [0, bytes] } };
  return `${new TextDecoder().decode(frameHeader(JSON.stringify(header)))}${'\0'.repeat(bytes)}`;
}

const LAYER = 'model.layers.0';

describe('a gpt-oss model in a format that is not read is refused by name', () => {
  test.each<[string, Readonly<Record<string, Content>>, RegExp]>([
    [
      'MLX, by its config',
      {
        'config.json': config({ quantization: { group_size: 32, bits: 4, mode: 'mxfp4' } }),
        'model.safetensors': weights(['lm_head.weight', 'U32']),
      },
      /^my-model is in MLX's format \(.*"quantization"/,
    ],
    [
      'MLX, by a quantization_config without a method',
      {
        'config.json': config({ quantization_config: { group_size: 64, bits: 8 } }),
        'model.safetensors': weights(['lm_head.weight', 'U32']),
      },
      /MLX's format/,
    ],
    [
      'MLX without quantization, by its tensors',
      {
        'config.json': config(),
        'model.safetensors': weights(
          ['model.embed_tokens.weight', 'BF16'],
          [`${LAYER}.mlp.experts.gate_proj.weight`, 'BF16'],
          [`${LAYER}.mlp.experts.up_proj.weight`, 'BF16'],
        ),
      },
      /MLX's format \(.*model\.layers\.0\.mlp\.experts\.gate_proj\.weight/,
    ],
    [
      'bitsandbytes',
      {
        'config.json': config({ quantization_config: { quant_method: 'bitsandbytes' } }),
        'model.safetensors': weights(`${LAYER}.self_attn.q_proj.weight.absmax`),
      },
      /is quantized by bitsandbytes/,
    ],
    [
      'bitsandbytes without a config',
      {
        'config.json': config(),
        'model.safetensors': weights(`${LAYER}.self_attn.q_proj.weight.absmax`),
      },
      /is quantized by bitsandbytes .*q_proj\.weight\.absmax/,
    ],
    [
      'another method',
      {
        'config.json': config({ quantization_config: { quant_method: 'compressed-tensors' } }),
        'model.safetensors': weights(`${LAYER}.self_attn.q_proj.weight_packed`),
      },
      /is quantized by compressed-tensors/,
    ],
    [
      "Unsloth's linears",
      {
        'config.json': config(),
        'model.safetensors': weights([`${LAYER}.mlp.experts.gate_up_projs.0.weight`, 'BF16']),
      },
      /each expert in tensors of its own \(.*gate_up_projs\.0\.weight\), as Unsloth/,
    ],
    [
      'experts one by one',
      {
        'config.json': config(),
        'model.safetensors': weights([`${LAYER}.mlp.experts.31.down_proj.weight`, 'BF16']),
      },
      /each expert in tensors of its own/,
    ],
    ...['F4', 'F6_E2M3', 'F6_E3M2', 'F8_E4M3', 'F8_E5M2'].map(
      (dtype): [string, Readonly<Record<string, Content>>, RegExp] => [
        `numbers of type ${dtype}`,
        {
          'config.json': config(),
          'model.safetensors': typedWeights(`${LAYER}.mlp.experts.down_proj`, dtype),
        },
        new RegExp(`^my-model has tensors of type ${dtype} \\(such as .*experts\\.down_proj\\)`),
      ],
    ),
    [
      'a LoRA adapter',
      {
        'adapter_config.json': '{"base_model_name_or_path":"openai/gpt-oss-20b"}',
        'adapter_model.safetensors': weights('base_model.model.x.lora_A.weight'),
      },
      /my-model is a LoRA adapter.*Merge it into the model it was trained on/,
    ],
    [
      'a LoRA adapter with the config of its model',
      {
        'adapter_config.json': '{}',
        'adapter_model.safetensors': weights('base_model.model.x.lora_A.weight'),
        'config.json': config(),
      },
      /is a LoRA adapter/,
    ],
    [
      'ONNX',
      { 'config.json': config(), 'onnx/model_q4f16.onnx': '', 'onnx/model_q4f16.onnx_data': '' },
      /has its weights in ONNX \(onnx\/model_q4f16\.onnx\)/,
    ],
    [
      'PyTorch',
      { 'config.json': config(), 'pytorch_model-00001-of-00002.bin': '' },
      /has its weights in PyTorch's format \(pytorch_model-00001-of-00002\.bin\)/,
    ],
    [
      "OpenAI's Metal file",
      { 'config.json': config(), 'metal/model.bin': '' },
      /has its weights in the format of OpenAI's Metal/,
    ],
  ])('%s', async (_, files, message) => {
    await expect(openCheckpoint(await folder(files))).rejects.toMatchObject({
      code: 'format-unsupported',
      message: expect.stringMatching(message),
    });
  });

  test.each([
    { name: 'Q4_K', type: 12, elements: 256, bytes: 144 },
    { name: 'Q5_0', type: 6, elements: 32, bytes: 22 },
    { name: 'IQ4_NL', type: 20, elements: 32, bytes: 18 },
  ])('GGUF with $name', async ({ name, type, elements, bytes }) => {
    const file = writeGguf({
      metadata: { 'general.architecture': ['text', 'gpt-oss'], 'gpt-oss.block_count': ['u32', 24] },
      tensors: [
        { name: 'output_norm.weight', type: GGML_TYPE.F32, shape: [1], bytes: new Uint8Array(4) },
        { name: 'output.weight', type, shape: [elements], bytes: new Uint8Array(bytes) },
      ],
    });
    await expect(
      openCheckpoint(await openSource([new File([file], 'gpt-oss-20b-Q.gguf')])),
    ).rejects.toMatchObject({
      code: 'format-unsupported',
      message: expect.stringMatching(
        new RegExp(
          `^gpt-oss-20b-Q\\.gguf has tensors of type ${name} \\(such as output\\.weight\\).*Q8_0.*ggml-org/gpt-oss-20b-GGUF`,
        ),
      ),
    });
  });

  test("Ollama's GGUF, and adapters in GGUF", async () => {
    const open = async (metadata: Parameters<typeof writeGguf>[0]['metadata']) =>
      openCheckpoint(
        await openSource([new File([writeGguf({ metadata, tensors: [] })], 'a.gguf')]),
      );
    await expect(open({ 'general.architecture': ['text', 'gptoss'] })).rejects.toMatchObject({
      code: 'format-unsupported',
      message: expect.stringMatching(/Ollama.*"gptoss"; ossicle runs "gpt-oss"/),
    });
    await expect(
      open({ 'general.architecture': ['text', 'gpt-oss'], 'general.type': ['text', 'adapter'] }),
    ).rejects.toMatchObject({
      code: 'format-unsupported',
      message: expect.stringMatching(/a\.gguf is a LoRA adapter/),
    });
  });
});

test('a source that cannot be listed is asked for files of other formats', async () => {
  const files = { 'config.json': config(), 'pytorch_model.bin': '' };
  const source = Object.assign(await folder(files), { list: async () => [] });
  await expect(openCheckpoint(source)).rejects.toMatchObject({
    code: 'format-unsupported',
    message: expect.stringMatching(/PyTorch's format \(pytorch_model\.bin\)/),
  });
});

test('a refusal says which published repos of the same model can be loaded', async () => {
  const refusal = async (json: string): Promise<string> =>
    openCheckpoint(await folder({ 'config.json': json, 'model.onnx': '' })).then(
      () => '',
      (error: Error) => error.message,
    );
  expect(await refusal(config())).toMatch(
    /Load openai\/gpt-oss-20b or ggml-org\/gpt-oss-20b-GGUF instead\.$/,
  );
  expect(await refusal(config({}, 36))).toMatch(
    /Load openai\/gpt-oss-120b or ggml-org\/gpt-oss-120b-GGUF instead\.$/,
  );
  expect(await refusal(config({}, 7))).toMatch(/Load .* in one of these formats instead\.$/);
});

test('checkpoints that can be read are not refused for a quantization_config of their own', async () => {
  const { files } = createCheckpoint(PRESETS.tiny);
  expect((await openCheckpoint(await openSource(files))).config.quantization_config).toMatchObject({
    quant_method: 'mxfp4',
  });
  const { config: tiny, tensors } = createCheckpoint(PRESETS.tiny);
  const gguf = createGguf(tiny, tensors, { dense: 'Q8_0' });
  expect((await openCheckpoint(await openSource(gguf))).layout).toBe('gguf');
});

test('local files are named by their own name, without their fingerprint', async () => {
  for (const files of [{}, { 'config.json': '[]' }, { 'config.json': config() }]) {
    const error = await openCheckpoint(await folder({ 'x.txt': '', ...files })).catch(String);
    expect(error).toMatch(/my-model|picked/);
    expect(error).not.toMatch(/files:|#/);
  }
});
