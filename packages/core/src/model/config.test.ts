import { describe, expect, test } from 'vitest';
import { huggingFaceConfig, originalConfig, PRESETS } from '../../test/config.ts';
import { tensorTable } from '../../test/tensor-table.ts';
import { OssicleError } from '../errors.ts';
import { parseConfig } from './config.ts';
import { parameterCount } from './parameters.ts';

type Json = Record<string, unknown>;

const huggingFace = (): Json => JSON.parse(huggingFaceConfig(PRESETS['20b']));
const original = (): Json => JSON.parse(originalConfig(PRESETS['20b']));

const YARN = huggingFace().rope_scaling as Json;

describe('parseConfig', () => {
  test('reads the published config.json', () => {
    expect(parseConfig(huggingFace())).toEqual({
      layers: 24,
      hiddenSize: 2880,
      intermediateSize: 2880,
      heads: 64,
      kvHeads: 8,
      experts: 32,
      expertsPerToken: 4,
      vocabularySize: 201088,
      slidingWindow: 128,
      slidingLayers: Array.from({ length: 24 }, (_, layer) => layer % 2 === 0),
      maxContextLength: 131072,
      normEpsilon: 1e-5,
      swigluLimit: 7,
      rope: {
        theta: 150000,
        factor: 32,
        originalContextLength: 4096,
        betaFast: 32,
        betaSlow: 1,
        truncate: false,
      },
    });
  });

  test.each(['20b', '120b', 'nano', 'tiny'] as const)(
    'reads the same config for %s from the original layout',
    (name) => {
      const config = parseConfig(JSON.parse(originalConfig(PRESETS[name])));
      expect(config).toEqual(parseConfig(JSON.parse(huggingFaceConfig(PRESETS[name]))));
    },
  );

  test('reads rope settings from rope_parameters, as newer files have them', () => {
    const { rope_scaling, rope_theta, ...json } = huggingFace();
    const rope_parameters = { ...(rope_scaling as Json), rope_theta };
    expect(parseConfig({ ...json, rope_parameters })).toEqual(parseConfig(huggingFace()));
  });

  test('uses the defaults of transformers for missing values', () => {
    const { layer_types: _, ...json } = huggingFace();
    const { truncate: __, ...rope_scaling } = json.rope_scaling as Json;
    expect(parseConfig({ ...json, rope_scaling })).toEqual({
      ...parseConfig(huggingFace()),
      rope: { ...parseConfig(huggingFace()).rope, truncate: true },
    });
    expect(parseConfig({ ...json, layer_types: null })).toEqual(parseConfig(huggingFace()));
    const spelledOut = { ...YARN, attention_factor: 0.1 * Math.log(32) + 1, mscale: null };
    expect(parseConfig({ ...json, rope_scaling: spelledOut })).toEqual(parseConfig(huggingFace()));
  });

  test('counts the parameters of the published models', () => {
    for (const name of ['20b', '120b', 'tiny'] as const) {
      const config = parseConfig(JSON.parse(huggingFaceConfig(PRESETS[name])));
      const elements = tensorTable(PRESETS[name], 'hf').map(({ name: tensor, shape }) => {
        if (tensor.endsWith('_scales')) return 0;
        const count = shape.reduce((product, n) => product * n, 1);
        return tensor.endsWith('_blocks') ? 2 * count : count; // two codes per byte
      });
      expect(parameterCount(config)).toBe(elements.reduce((a, b) => a + b, 0));
    }
  });

  const WRONG: readonly (readonly [change: Json, message: RegExp])[] = [
    [{ model_type: 'llama' }, /model_type "llama".*gpt_oss/],
    [{ hidden_size: undefined }, /no hidden_size/],
    [{ num_hidden_layers: 0 }, /num_hidden_layers 0/],
    [{ num_hidden_layers: 2.5 }, /num_hidden_layers 2\.5/],
    [{ vocab_size: '201088' }, /vocab_size "201088"/],
    [{ head_dim: 128 }, /head_dim 128.*64/],
    [{ num_key_value_heads: 7 }, /num_attention_heads 64.*num_key_value_heads 7/],
    [{ num_experts_per_tok: 33 }, /33 experts per token.*32/],
    [{ hidden_size: 2881 }, /hidden_size 2881.*32/],
    [{ intermediate_size: 100 }, /intermediate_size 100.*32/],
    [{ layer_types: ['sliding_attention'] }, /layer_types.*24/],
    [{ layer_types: Array.from({ length: 24 }, () => 'linear') }, /layer_types\[0\] "linear"/],
    [{ rope_scaling: { rope_type: 'linear', factor: 2 } }, /rope_type "linear".*yarn/],
    [{ rope_scaling: { ...YARN, attention_factor: 1 } }, /attention_factor 1;.*1\.3465/],
    [{ rope_scaling: { ...YARN, mscale: 1, mscale_all_dim: 0.5 } }, /mscale/],
    [{ rope_theta: -1 }, /rope_theta -1/],
    [{ rms_norm_eps: null, rope_scaling: { rope_type: 'yarn' } }, /factor/],
    [{ sliding_window: Number.NaN }, /sliding_window/],
    [{ rope_scaling: { ...YARN, attention_factor: { valueOf: null, toString: null } } }, /1\.3465/],
  ];

  test.each(WRONG)('rejects %j', (change, message) => {
    const parse = () => parseConfig({ ...huggingFace(), ...change });
    expect(parse).toThrow(OssicleError);
    expect(parse).toThrow(expect.objectContaining({ code: 'format-invalid' }));
    expect(parse).toThrow(message);
  });

  test.each([
    ['deep', JSON.parse('['.repeat(20_000) + ']'.repeat(20_000))],
    ['long', 'x'.repeat(100_000)],
  ])('rejects %s values in a short message', (_, value) => {
    const { rope_scaling: rope } = huggingFace();
    for (const change of [
      { model_type: value },
      { head_dim: value },
      { rope_scaling: { ...(rope as Json), attention_factor: value } },
    ]) {
      expect(() => parseConfig({ ...huggingFace(), ...change })).toThrow(
        expect.objectContaining({
          code: 'format-invalid',
          message: expect.stringMatching(/^.{20,200}$/),
        }),
      );
    }
  });

  test('rejects a config of the original layout with a missing number', () => {
    for (const name of ['num_experts', 'experts_per_token', 'rope_scaling_factor', 'rope_theta']) {
      expect(() => parseConfig({ ...original(), [name]: undefined }), name).toThrow(name);
    }
  });
});
