import { expect, test } from 'vitest';
import { readTestFile, readTestJson, testFileUrl } from '../../test/files.ts';
import { type ByteSource, totalBytes } from '../sources/byte-source.ts';
import { openSource } from '../sources/open-source.ts';
import { checkTensor, type PublishedTensor } from './checkpoint-tensor.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import { readTensor } from './read-tensor.ts';

const TINY = 'packages/core/test/golden/tiny';
const HF_FILES = [
  'config.json',
  'model.safetensors.index.json',
  ...[0, 1, 2].map((i) => `model-0000${i}-of-00002.safetensors`),
];
const INDEX = 'model.safetensors.index.json';

type Files = Record<string, Uint8Array<ArrayBuffer> | undefined>;

async function filesOf(folder: string, names: readonly string[]): Promise<Files> {
  const bytes = await Promise.all(names.map((name) => readTestFile(`${TINY}/${folder}/${name}`)));
  return Object.fromEntries(names.map((name, i) => [name, bytes[i]]));
}

function sourceOf(files: Files): Promise<ByteSource> {
  return openSource(
    Object.entries(files).flatMap(([path, bytes]) =>
      bytes
        ? [
            Object.defineProperty(new File([bytes], path), 'webkitRelativePath', {
              value: `m/${path}`,
            }),
          ]
        : [],
    ),
  );
}

const json = (value: unknown): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(JSON.stringify(value));

const hf = (): Promise<ByteSource> => openSource(testFileUrl(`${TINY}/hf`));
const original = (): Promise<ByteSource> => openSource(testFileUrl(`${TINY}/original/`));

const NAMES = [
  'embedding.weight',
  'unembedding.weight',
  'norm.scale',
  ...[0, 1, 2, 3].flatMap((layer) =>
    [
      'attn.norm.scale',
      'attn.qkv.weight',
      'attn.qkv.bias',
      'attn.sinks',
      'attn.out.weight',
      'attn.out.bias',
      'mlp.norm.scale',
      'mlp.gate.weight',
      'mlp.gate.bias',
      'mlp.mlp1_weight.blocks',
      'mlp.mlp1_weight.scales',
      'mlp.mlp1_bias',
      'mlp.mlp2_weight.blocks',
      'mlp.mlp2_weight.scales',
      'mlp.mlp2_bias',
    ].map((name) => `block.${layer}.${name}`),
  ),
];

test('every tensor has the same bytes, type and shape in both layouts', async () => {
  const [hfSource, originalSource] = [await hf(), await original()];
  const [a, b] = [await openCheckpoint(hfSource), await openCheckpoint(originalSource)];
  expect([a.layout, b.layout]).toEqual(['hf', 'original']);
  for (const name of NAMES) {
    const [left, right] = [a.tensor(name), b.tensor(name)];
    expect(left.shape, name).toEqual(right.shape);
    for (const { encoding } of left.pieces) expect(encoding).toBe(right.pieces[0]?.encoding);
    expect(left.pieces).toHaveLength(name.includes('qkv') ? 3 : 1);
    expect(right.pieces).toHaveLength(1);
    const bytes = await Promise.all(
      [[hfSource, left] as const, [originalSource, right] as const].map(
        async ([source, { pieces }]) => {
          const parts = await Promise.all(
            pieces.map(async ({ path, offsetBytes, sizeBytes }) => {
              const part = new Uint8Array(sizeBytes);
              await source.read({ path, offsetBytes }, part);
              return part;
            }),
          );
          return Buffer.concat(parts);
        },
      ),
    );
    expect(Buffer.compare(bytes[0] as Buffer, bytes[1] as Buffer), name).toBe(0);
  }
});

test('a checkpoint lists the files to store', async () => {
  const checkpoint = await openCheckpoint(await hf());
  expect(checkpoint.files.map(({ path }) => path)).toEqual(HF_FILES);
  const files = await filesOf('hf', HF_FILES);
  for (const { path, sizeBytes } of checkpoint.files) expect(sizeBytes).toBe(files[path]?.length);
  expect(totalBytes(checkpoint.files)).toBe(
    Object.values(files).reduce((sum, file) => sum + (file?.length ?? 0), 0),
  );
  expect(checkpoint.config.num_hidden_layers).toBe(4);
  expect(await checkpoint.tokenizer()).toBeUndefined();
});

test('the tokenizer is found and parsed; files that are not used are not listed', async () => {
  const source = await openSource(testFileUrl('demo/public/models/gpt-oss-nano'));
  const checkpoint = await openCheckpoint(source);
  const paths = checkpoint.files.map(({ path }) => path);
  expect(paths).toContain('tokenizer.json');
  expect(paths).not.toContain('generation_config.json');
  expect(paths).not.toContain('tokenizer_config.json');
  expect(await checkpoint.tokenizer()).toEqual(
    await readTestJson('demo/public/models/gpt-oss-nano/tokenizer.json'),
  );
});

test('the original layout is found in original/, with the tokenizer in the root', async () => {
  const inner = await filesOf('original', ['config.json', 'model.safetensors']);
  const source = await sourceOf({
    'original/config.json': inner['config.json'],
    'original/model.safetensors': inner['model.safetensors'],
    'tokenizer.json': json({ model: {} }),
    'config.json': json({ model_type: 'gpt_oss' }), // the root has no weights
  });
  const checkpoint = await openCheckpoint(source);
  expect(checkpoint.layout).toBe('original');
  expect(checkpoint.config.num_experts).toBe(8);
  expect(checkpoint.files.map(({ path }) => path)).toEqual([
    'original/config.json',
    'tokenizer.json',
    'original/model.safetensors',
  ]);
  expect(checkpoint.tensor('norm.scale').pieces[0]?.path).toBe('original/model.safetensors');
  expect(await checkpoint.tokenizer()).toEqual({ model: {} });
});

test.each([
  ["OpenAI's", (i: number) => `model--0000${i + 1}-of-00003.safetensors`],
  ["Hugging Face's", (i: number) => `model-0000${i + 1}-of-00003.safetensors`],
  ["gpt-oss's", (i: number) => `model-0000${i}-of-00002.safetensors`],
])('shards without an index are found by %s names', async (_, name) => {
  const files = await filesOf('hf', HF_FILES);
  const source = await sourceOf({
    'config.json': files['config.json'],
    ...Object.fromEntries(
      [0, 1, 2].map((i) => [name(i), files[`model-0000${i}-of-00002.safetensors`]]),
    ),
  });
  const checkpoint = await openCheckpoint(source);
  for (const tensor of NAMES) checkpoint.tensor(tensor);
  expect(checkpoint.files).toHaveLength(4);
});

test('a failed check names the tensor, its file, and the expected and found types and shapes', async () => {
  const checkpoint = await openCheckpoint(await hf());
  const shape = [8, 192, 3, 16];
  const blocks = checkpoint.tensor('block.1.mlp.mlp1_weight.blocks');
  expect(checkTensor(blocks, ['U8'], shape).shape).toEqual(shape);
  const norm = checkTensor(checkpoint.tensor('norm.scale'), ['F32', 'BF16'], [96]);
  expect(norm.pieces[0]?.encoding).toBe('BF16');
  expect(() => checkTensor(blocks, ['BF16', 'F32'], shape)).toThrow(
    expect.objectContaining({
      code: 'format-unsupported',
      message: expect.stringMatching(
        /model\.layers\.1\.mlp\.experts\.gate_up_proj_blocks \(block\.1\.mlp\.mlp1_weight\.blocks\) in model-\S+ is of type U8; ossicle reads BF16, F32 there/,
      ),
    }),
  );
  for (const wrong of [
    [8, 192, 48],
    [8, 192, 3],
  ]) {
    expect(() => checkTensor(blocks, ['U8'], wrong)).toThrow(
      expect.objectContaining({
        code: 'format-invalid',
        message: expect.stringMatching(
          new RegExp(
            `block\\.1\\.mlp\\.mlp1_weight\\.blocks in model-\\S+ is U8 \\[8, 192, 3, 16\\].*U8 \\[${wrong.join(', ')}\\]`,
          ),
        ),
      }),
    );
  }
  expect(() => checkpoint.tensor('block.4.attn.sinks')).toThrow(
    expect.objectContaining({
      code: 'format-invalid',
      message: expect.stringContaining('model.layers.4.self_attn.sinks'),
    }),
  );
  expect(() => checkpoint.tensor('block.0.attn.rotor')).toThrow(RangeError);
});

test.each<[string, (files: Files) => void, string, RegExp]>([
  ['has no config', (f) => delete f['config.json'], 'download-failed', /no config\.json/],
  [
    'has a broken config',
    (f) => (f['config.json'] = new TextEncoder().encode('{')),
    'format-invalid',
    /config\.json .* is not JSON/,
  ],
  [
    'has a config that is a list',
    (f) => (f['config.json'] = json([])),
    'format-invalid',
    /not a JSON object/,
  ],
  [
    'has a huge config',
    (f) => (f['config.json'] = new Uint8Array(2 ** 20 + 1)),
    'format-invalid',
    /larger/,
  ],
  [
    'lacks a shard',
    (f) => delete f['model-00001-of-00002.safetensors'],
    'download-failed',
    /model-00001-of-00002\.safetensors/,
  ],
  [
    'has no weights',
    (f) => {
      for (const name of HF_FILES.slice(1)) delete f[name];
    },
    'download-failed',
    /neither model\.safetensors\.index\.json/,
  ],
  [
    'has a truncated shard',
    (f) =>
      (f['model-00002-of-00002.safetensors'] = f['model-00002-of-00002.safetensors']?.slice(0, -1)),
    'integrity',
    /model-00002-of-00002\.safetensors is cut short: expected 857128 bytes, found 857127/,
  ],
  [
    'has an empty shard',
    (f) => (f['model-00002-of-00002.safetensors'] = new Uint8Array()),
    'integrity',
    /cut short/,
  ],
  [
    'has the same shard twice',
    (f) => (f['model-00002-of-00002.safetensors'] = f['model-00001-of-00002.safetensors']),
    'format-invalid',
    /both in/,
  ],
  ['has an index without a map', (f) => (f[INDEX] = json({})), 'format-invalid', /no weight_map/],
  [
    'has an index of no files',
    (f) => (f[INDEX] = json({ weight_map: {} })),
    'format-invalid',
    /names 0 files/,
  ],
  [
    'has an index of too many files',
    (f) =>
      (f[INDEX] = json({
        weight_map: Object.fromEntries(
          Array.from({ length: 300 }, (_, i) => [i, `${i}.safetensors`]),
        ),
      })),
    'format-invalid',
    /names 300 files/,
  ],
  [
    'has an index with a tensor in the wrong file',
    (f) =>
      (f[INDEX] = json({
        weight_map: { 'model.norm.weight': 'model-00000-of-00002.safetensors' },
      })),
    'format-invalid',
    /puts model\.norm\.weight/,
  ],
  ...[
    '../x.safetensors',
    '/x.safetensors',
    'a\\x.safetensors',
    'https://evil.example/x.safetensors',
    'a//x.safetensors',
    './x.safetensors',
    'x.bin',
    5,
  ].map(
    (path) =>
      [
        `has an index that points to ${path}`,
        (f: Files) => (f[INDEX] = json({ weight_map: { a: path } })),
        'format-invalid',
        /not a safetensors file beside it/,
      ] as [string, (files: Files) => void, string, RegExp],
  ),
])('a checkpoint that %s is rejected', async (_, damage, code, message) => {
  const files = await filesOf('hf', HF_FILES);
  damage(files);
  await expect(openCheckpoint(await sourceOf(files))).rejects.toMatchObject({
    name: 'OssicleError',
    code,
    message: expect.stringMatching(message),
  });
});

test('parts of one tensor with different types and shapes are rejected', async () => {
  const header = (name: string, dtype: string, shape: number[], start: number, size: number) => [
    name,
    { dtype, shape, data_offsets: [start, start + size] },
  ];
  const text = json(
    Object.fromEntries([
      header('model.layers.0.self_attn.q_proj.bias', 'BF16', [2], 0, 4),
      header('model.layers.0.self_attn.k_proj.bias', 'F32', [1, 1], 4, 4),
      header('model.layers.0.self_attn.v_proj.bias', 'BF16', [2], 8, 4),
      header('model.embed_tokens.weight', 'BF16', [1, 2], 12, 4),
    ]),
  );
  const file = new Uint8Array(8 + text.length + 16);
  file[0] = text.length & 0xff;
  file[1] = text.length >> 8;
  file.set(text, 8);
  const checkpoint = await openCheckpoint(
    await sourceOf({ 'config.json': json({}), 'model.safetensors': file }),
  );
  expect(() => checkpoint.tensor('block.0.attn.qkv.bias')).toThrow(
    /k_proj\.bias in model\.safetensors is F32 \[1, 1\], which does not match/,
  );
});

test('an abort rejects the opening with its reason', async () => {
  const reason = new Error('enough');
  await expect(openCheckpoint(await hf(), AbortSignal.abort(reason))).rejects.toBe(reason);
});

test('small tensors of type BF16, F16 or F32 are read as float32', async () => {
  const source = await hf();
  const checkpoint = await openCheckpoint(source);
  const sinks = await readTensor(source, checkpoint.tensor('block.0.attn.sinks'));
  expect(sinks).toHaveLength(16);
  expect(new Set(sinks).size).toBeGreaterThan(8);
  const qkv = await readTensor(source, checkpoint.tensor('block.3.attn.qkv.bias'));
  const others = await original();
  const whole = (await openCheckpoint(others)).tensor('block.3.attn.qkv.bias');
  expect(qkv).toEqual(await readTensor(others, whole));
  const raw = new Uint8Array(2 * 1280);
  const { path, offsetBytes } = whole.pieces[0] as PublishedTensor;
  await others.read({ path, offsetBytes }, raw);
  const view = new DataView(raw.buffer);
  const bits = new DataView(qkv.buffer);
  for (let i = 0; i < 1280; i++)
    expect(bits.getUint32(4 * i, true)).toBe((view.getUint16(2 * i, true) << 16) >>> 0);

  const bytes = Uint8Array.of(
    0x00,
    0x3c,
    0x01,
    0x00,
    0x00,
    0x80,
    0xff,
    0x7b,
    0x00,
    0xfc,
    0x55,
    0xb5,
  );
  const memory = await sourceOf({ 'config.json': bytes });
  const tensor = (encoding: 'F16' | 'F32' | 'U8') => {
    const shape = [encoding === 'F32' ? 3 : 6];
    const piece: PublishedTensor = {
      name: 't',
      encoding,
      shape,
      path: 'config.json',
      offsetBytes: 0,
      sizeBytes: 12,
    };
    return { name: 't', shape, pieces: [piece], order: 'consecutive' as const };
  };
  expect([...(await readTensor(memory, tensor('F16')))]).toEqual([
    1,
    2 ** -24,
    -0,
    65504,
    -Infinity,
    -0.333251953125,
  ]);
  expect(await readTensor(memory, tensor('F32'))).toEqual(new Float32Array(bytes.buffer));
  await expect(readTensor(memory, tensor('U8'))).rejects.toMatchObject({ code: 'format-invalid' });
});
