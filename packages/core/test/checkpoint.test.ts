import { describe, expect, test } from 'vitest';
import {
  type Checkpoint,
  createCheckpoint,
  createVectorCheckpoint,
  type VectorModel,
} from './checkpoint.ts';
import { generationConfig, huggingFaceConfig, PRESETS, parseConfig } from './config.ts';
import { readGoldenJson, readTiny } from './golden.ts';
import { tensorValues } from './number-formats.ts';
import { createReference } from './reference.ts';
import {
  readSafetensors,
  safetensorsHeader,
  tensorBytes,
  writeSafetensors,
} from './safetensors-file.ts';
import { fileReader, memoryReader } from './tensor-reader.ts';
import { shardIndex, shardTensors, tensorTable } from './tensor-table.ts';

async function sha256(content: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  const digest = await crypto.subtle.digest('SHA-256', bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

describe('the published gpt-oss-20b', () => {
  const table = tensorTable(PRESETS['20b'], 'hf');
  const shards = shardTensors(table, 'hf');

  test('has shards with the published names, tensor counts, header lengths and sizes', () => {
    const described = shards.map(({ name, tensors }) => {
      const header = safetensorsHeader(tensors).length;
      const size = tensors.reduce((sum, spec) => sum + tensorBytes(spec), header);
      return [name, tensors.length, header, size];
    });
    expect(described).toEqual([
      ['model-00000-of-00002.safetensors', 196, 22_248, 4_792_272_488],
      ['model-00001-of-00002.safetensors', 197, 22_312, 4_798_702_184],
      ['model-00002-of-00002.safetensors', 66, 7_576, 4_170_342_232],
    ]);
  });

  test('has the published index and configuration, byte for byte', async () => {
    expect(await sha256(shardIndex(table, shards))).toBe(
      '0e085b977c4c9942f85938828e8c989ed7d5cdabf852e4da6a67c116cd502cd1',
    );
    expect(await sha256(huggingFaceConfig(PRESETS['20b']))).toBe(
      '3a2a26ded679375b7928ddeca59764df7cea83220c1961035f6d6e232659e9ce',
    );
    expect(await sha256(generationConfig(PRESETS['20b']))).toBe(
      'f9970ada892d2d1f72e3ed0a6535ccebadd11897318794ca671d8c7014c957da',
    );
  });

  test('has one original file with the published size and header length', () => {
    const [file, ...others] = shardTensors(tensorTable(PRESETS['20b'], 'original'), 'original');
    expect(others).toEqual([]);
    const header = safetensorsHeader(file!.tensors).length;
    expect([file!.name, file!.tensors.length, header]).toEqual(['model.safetensors', 363, 36_216]);
    const size = file!.tensors.reduce((sum, spec) => sum + tensorBytes(spec), header);
    expect(size).toBe(13_761_300_984);
  });
});

test('the published gpt-oss-120b has fifteen shards and the published number of bytes', () => {
  const table = tensorTable(PRESETS['120b'], 'hf');
  expect(table.length).toBe(687);
  expect(table.reduce((sum, spec) => sum + tensorBytes(spec), 0)).toBe(65_248_815_744);
  expect(shardTensors(table, 'hf').map(({ name }) => name)).toEqual(
    Array.from(
      { length: 15 },
      (_, i) => `model-${String(i).padStart(5, '0')}-of-00014.safetensors`,
    ),
  );
});

test.each(['hf', 'original'] as const)(
  'the tensor table of the %s layout matches the tiny checkpoint',
  async (layout) => {
    const { tensors } = await readTiny(layout);
    const table = tensorTable(PRESETS.tiny, layout);
    expect(new Map(table.map(({ name, dtype, shape }) => [name, { dtype, shape }]))).toEqual(
      new Map([...tensors].map(([name, { dtype, shape }]) => [name, { dtype, shape }])),
    );
  },
);

test('writing the tensors of the original file reproduces that file', async () => {
  const { tensors, files } = await readTiny('original');
  const published = files.find(({ name }) => name === 'model.safetensors')!;
  expect(await sha256(writeSafetensors(tensors))).toBe(
    await sha256(new Uint8Array(await published.arrayBuffer())),
  );
});

function file({ files }: Checkpoint, name: string): File {
  return files.find((candidate) => candidate.name === name)!;
}

async function header(checkpoint: Checkpoint, name: string): Promise<Map<string, unknown>> {
  return readSafetensors(new Uint8Array(await file(checkpoint, name).arrayBuffer()));
}

describe('a synthetic checkpoint', () => {
  const config = { ...PRESETS.tiny, layers: 2, vocabulary: 300 };

  test('depends only on its seed', async () => {
    const digest = (seed: number) =>
      sha256(writeSafetensors(createCheckpoint(config, { seed }).tensors));
    expect(await digest(5)).toBe(await digest(5));
    expect(await digest(5)).not.toBe(await digest(6));
  });

  test('has a configuration that can be read back, in both layouts', async () => {
    for (const layout of ['hf', 'original'] as const) {
      const checkpoint = createCheckpoint(config, { layout });
      const read = parseConfig(JSON.parse(await file(checkpoint, 'config.json').text()));
      const { specialIds: _, ...numbers } = config;
      expect(read).toEqual(numbers);
    }
  });

  test('has the same logits from the files of either layout and from memory', async () => {
    const tokens = [1, 250, 7, 7, 299, 0];
    const hf = createCheckpoint(config, { seed: 3 });
    const original = createCheckpoint(config, { seed: 3, layout: 'original' });
    expect(hf.files.filter(({ name }) => name.endsWith('.safetensors')).length).toBeGreaterThan(1);
    const readers = [
      memoryReader(hf.tensors),
      await fileReader(hf.files),
      await fileReader(original.files),
    ];
    const logits = await Promise.all(
      readers.map(async (reader) => (await createReference(reader, config).forward(tokens)).logits),
    );
    expect(logits[1]).toEqual(logits[0]);
    expect(logits[2]).toEqual(logits[0]);
  });

  test('has non-degenerate logits, routes, sinks and clamps', async () => {
    const { tensors } = createCheckpoint(PRESETS.tiny);
    const tokens = Array.from({ length: 40 }, (_, i) => (i * 229) % 640);
    const { logits, trace } = await createReference(tensors, PRESETS.tiny).forward(tokens, {
      trace: true,
    });
    expect(logits.every(Number.isFinite)).toBe(true);
    const deviation = Math.sqrt(logits.reduce((sum, z) => sum + z * z, 0) / logits.length);
    expect(deviation).toBeGreaterThan(1);
    expect(deviation).toBeLessThan(10);
    for (let layer = 0; layer < 4; layer++) {
      const of = (name: string) => trace.get(`layer${layer}.${name}`)!;
      expect(new Set(of('expert_ids')).size).toBeGreaterThan(5);
      const sinkMass = of('sink_mass').reduce((a, b) => a + b, 0) / of('sink_mass').length;
      expect(sinkMass).toBeGreaterThan(0.05);
      expect(sinkMass).toBeLessThan(0.8);
      const clamped = of('mlp1_out').filter((value) => Math.abs(value) > 7).length;
      expect(clamped / of('mlp1_out').length).toBeGreaterThan(1e-4);
      expect(clamped / of('mlp1_out').length).toBeLessThan(0.1);
    }
  });
});

describe('a damaged checkpoint', () => {
  const config = { ...PRESETS.tiny, layers: 1, vocabulary: 64 };
  const shard = 'model.safetensors';
  const damaged = (damage: Parameters<typeof createCheckpoint>[1]) =>
    createCheckpoint(config, { maxShardBytes: Number.POSITIVE_INFINITY, ...damage });
  const whole = damaged({});

  test('lacks a file, a tensor, or bytes', async () => {
    const noConfig = damaged({ damage: { kind: 'missing-file', file: 'config.json' } });
    expect(noConfig.files.map(({ name }) => name)).toEqual(['generation_config.json', shard]);
    const tensor = 'model.norm.weight';
    const noTensor = await header(damaged({ damage: { kind: 'missing-tensor', tensor } }), shard);
    expect(noTensor.size).toBe(whole.tensors.size - 1);
    expect(noTensor.has(tensor)).toBe(false);
    const short = damaged({ damage: { kind: 'truncated', file: shard, missingBytes: 100 } });
    expect(file(short, shard).size).toBe(file(whole, shard).size - 100);
  });

  test('has a tensor of another dtype or shape in a well-formed file', async () => {
    const tensor = 'model.layers.0.self_attn.sinks';
    const dtype = damaged({ damage: { kind: 'dtype', tensor, dtype: 'F32' } });
    expect((await header(dtype, shard)).get(tensor)).toMatchObject({ dtype: 'F32', shape: [16] });
    const shape = damaged({ damage: { kind: 'shape', tensor, shape: [15] } });
    expect((await header(shape, shard)).get(tensor)).toMatchObject({ dtype: 'BF16', shape: [15] });
  });

  test('cannot be damaged in a file or tensor that it does not have', () => {
    expect(() => damaged({ damage: { kind: 'missing-file', file: 'none' } })).toThrow('none');
    expect(() => damaged({ damage: { kind: 'missing-tensor', tensor: 'none' } })).toThrow('none');
  });

  test('has false offsets, header lengths or content', async () => {
    const tensor = 'model.norm.weight';
    const offsets = damaged({ damage: { kind: 'offsets', tensor, offsets: [0, 10 ** 12] } });
    await expect(header(offsets, shard)).rejects.toThrow(tensor);
    const length = damaged({ damage: { kind: 'header-length', file: shard, length: 2n ** 60n } });
    const first = await file(length, shard).slice(0, 8).arrayBuffer();
    expect(new DataView(first).getBigUint64(0, true)).toBe(2n ** 60n);
    const text = damaged({ damage: { kind: 'content', file: 'config.json', content: '{' } });
    expect(await file(text, 'config.json').text()).toBe('{');
  });
});

interface Vectors {
  readonly tiny_model: VectorModel & {
    readonly token_ids: readonly number[];
    readonly argmax_per_position: readonly number[];
    readonly last_logits: readonly number[];
    readonly position_5_first8: readonly number[];
    readonly trace: { readonly [name: string]: readonly number[] };
    readonly first_values: { readonly [name: string]: readonly number[] };
  };
}

describe('the model of gpt-oss-vectors.json', async () => {
  const { tiny_model: model } = await readGoldenJson<Vectors>('gpt-oss-vectors.json');
  const { config, tensors } = createVectorCheckpoint(model, PRESETS.tiny);

  test('has the recorded first values', () => {
    for (const [name, values] of Object.entries(model.first_values)) {
      expect([...tensorValues(tensors.get(name)!).slice(0, values.length)], name).toEqual(values);
    }
  });

  test.each(['hf', 'original'] as const)(
    'gives the stated logits in the %s layout',
    async (layout) => {
      const { files } = createVectorCheckpoint(model, PRESETS.tiny, { layout });
      const reference = createReference(await fileReader(files), config);
      const { logits } = await reference.forward(model.token_ids);
      const row = (position: number) => logits.subarray(position * 160, (position + 1) * 160);
      model.argmax_per_position.forEach((id, position) => {
        expect(row(position).indexOf(Math.max(...row(position)))).toBe(id);
      });
      model.last_logits.forEach((value, id) => {
        expect(row(39)[id]).toBeCloseTo(value, 4);
      });
      model.position_5_first8.forEach((value, id) => {
        expect(row(5)[id]).toBeCloseTo(value, 4);
      });
    },
  );

  test('computes the recorded intermediate results', async () => {
    const { trace } = await createReference(tensors, config).forward(model.token_ids, {
      trace: true,
    });
    const { trace: golden } = model;
    for (let layer = 0; layer < 4; layer++) {
      const of = (name: string, from: number, count: number) => [
        ...trace.get(`layer${layer}.${name}`)!.slice(from, from + count),
      ];
      expect(of('expert_ids', 39 * 4, 4)).toEqual(golden[`layer${layer}_last_experts`]);
      of('expert_weights', 39 * 4, 4).forEach((weight, i) => {
        expect(weight).toBeCloseTo(golden[`layer${layer}_last_weights`]![i]!, 6);
      });
      of('resid_out', 39 * 64, 4).forEach((value, i) => {
        expect(value).toBeCloseTo(golden[`layer${layer}_last_residual_first4`]![i]!, 5);
      });
    }
    golden.after_attn_0!.forEach((value, i) => {
      expect(trace.get('layer0.resid_mid')![39 * 64 + i]).toBeCloseTo(value, 5);
    });
  });
});
