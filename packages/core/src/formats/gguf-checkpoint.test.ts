import { createTokenizer } from '@ossicle/harmony';
import { expect, test } from 'vitest';
import { createCheckpoint } from '../../test/checkpoint.ts';
import { PRESETS } from '../../test/config.ts';
import { readTestFile, readTestJson, testFileUrl } from '../../test/files.ts';
import { createGguf, type GgufOptions, type TokenizerJson } from '../../test/gguf-checkpoint.ts';
import { writeGguf } from '../../test/gguf-file.ts';
import { totalBytes } from '../sources/byte-source.ts';
import { openSource } from '../sources/open-source.ts';
import { resolveSource } from '../sources/resolve-source.ts';
import { checkTensor } from './checkpoint-tensor.ts';
import { chooseGguf, ggufPath, splitParts } from './gguf-files.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import { readTensor } from './read-tensor.ts';

const TINY = 'packages/core/test/golden/tiny';
const NANO = 'demo/public/models/gpt-oss-nano';

const { config: tinyConfig, tensors: tinyTensors } = createCheckpoint(PRESETS.tiny);

const gguf = (options: GgufOptions = {}): File[] => createGguf(tinyConfig, tinyTensors, options);

async function open(files: readonly File[]) {
  return openCheckpoint(await openSource(files));
}

test('the golden file has the same config as the other layouts', async () => {
  const checkpoint = await openCheckpoint(await openSource(testFileUrl(`${TINY}/gguf/model.gguf`)));
  expect(checkpoint.layout).toBe('gguf');
  const published = await readTestJson<Record<string, unknown>>(`${TINY}/hf/config.json`);
  const { rope_scaling: rope, rms_norm_eps: epsilon, ...rest } = checkpoint.config;
  expect(published).toMatchObject(rest);
  expect(published.rope_scaling).toMatchObject(rope as object);
  expect(epsilon).toBe(Math.fround(1e-5));
  expect(Object.keys(rest)).toHaveLength(13);
  expect(checkpoint.files).toEqual([{ path: 'model.gguf', sizeBytes: 2579840 }]);
  expect(totalBytes(checkpoint.files)).toBe(2579840);
});

test('tensors of the golden file are found, with gate and up rows alternating', async () => {
  const source = await openSource(testFileUrl(`${TINY}/gguf/model.gguf`));
  const checkpoint = await openCheckpoint(source);
  expect(checkpoint.tensor('block.3.attn.qkv.weight')).toMatchObject({
    shape: [1280, 96],
    order: 'consecutive',
    pieces: [{ name: 'blk.3.attn_q.weight' }, { name: 'blk.3.attn_k.weight' }, {}],
  });
  expect(checkpoint.experts('block.0.mlp.mlp1_weight')).toMatchObject({
    form: 'rows',
    weight: {
      shape: [8, 192, 96],
      order: 'alternating',
      pieces: [
        { name: 'blk.0.ffn_gate_exps.weight', encoding: 'MXFP4' },
        { name: 'blk.0.ffn_up_exps.weight' },
      ],
    },
  });
  const hf = await openSource(testFileUrl(`${TINY}/hf`));
  const published = await openCheckpoint(hf);
  for (const name of ['attn.qkv.bias', 'attn.sinks', 'mlp.mlp1_bias', 'mlp.mlp2_bias']) {
    const tensor = `block.2.${name}`;
    const values = await readTensor(source, checkpoint.tensor(tensor));
    expect(values, name).toEqual(await readTensor(hf, published.tensor(tensor)));
    expect(checkpoint.tensor(tensor).shape).toEqual(published.tensor(tensor).shape);
  }
  expect(() => checkpoint.tensor('block.4.attn.sinks')).toThrow(
    expect.objectContaining({
      code: 'format-invalid',
      message: expect.stringContaining('blk.4.attn_sinks.weight (block.4.attn.sinks)'),
    }),
  );
});

test('YaRN settings come from the metadata, with the published values as defaults', async () => {
  const rope = async (metadata: NonNullable<GgufOptions['metadata']>) =>
    (await open(gguf({ metadata }))).config.rope_scaling;
  const published = { rope_type: 'yarn', factor: 32, original_max_position_embeddings: 4096 };
  expect(await rope({})).toEqual({ ...published, truncate: false });
  expect(await rope({ 'gpt-oss.rope.scaling.yarn_beta_fast': ['f32', 16] })).toEqual({
    ...published,
    beta_fast: 16,
    truncate: false,
  });
  expect(await rope({ 'gpt-oss.rope.scaling.type': undefined })).toMatchObject({
    rope_type: 'none',
  });
});

test.each<[string, NonNullable<GgufOptions['metadata']>, RegExp]>([
  [
    'of another architecture',
    { 'general.architecture': ['text', 'llama'] },
    /the architecture "llama"; ossicle runs "gpt-oss"/,
  ],
  ['without an architecture', { 'general.architecture': undefined }, /the architecture none/],
  [
    'without the number of experts',
    { 'gpt-oss.expert_count': undefined },
    /no gpt-oss\.expert_count/,
  ],
  [
    'with a text in place of a number',
    { 'gpt-oss.block_count': ['text', '4'] },
    /gpt-oss\.block_count is not a number/,
  ],
])('a file %s is rejected', async (_, metadata, message) => {
  await expect(open(gguf({ metadata }))).rejects.toMatchObject({
    code: 'format-invalid',
    message: expect.stringMatching(message),
  });
});

test('the error for an unsupported type names the tensor and the types to use', async () => {
  const checkpoint = await open(gguf());
  const tensor = checkpoint.tensor('block.1.attn.out.weight');
  const pieces = tensor.pieces.map((piece) => ({ ...piece, encoding: 'Q4_K' as const }));
  expect(() => checkTensor({ ...tensor, pieces }, ['BF16', 'Q8_0'], tensor.shape)).toThrow(
    /^blk\.1\.attn_output\.weight \(block\.1\.attn\.out\.weight\) in model\.gguf is of type Q4_K; ossicle reads BF16, Q8_0 there\. Use .*Q8_0/,
  );
});

test('a split file can be opened by any of its parts', async () => {
  const parts = gguf({ parts: 3 });
  const whole = await open(gguf());
  const checkpoint = await open([...parts].reverse());
  expect(checkpoint.config).toEqual(whole.config);
  expect(checkpoint.files.map(({ path }) => path)).toEqual(parts.map(({ name }) => name));
  expect(checkpoint.tensor('block.0.attn.norm.scale').pieces[0]?.path).not.toBe(
    checkpoint.tensor('embedding.weight').pieces[0]?.path,
  );
  const source = await openSource(parts);
  expect(source.id).toMatch(/^files:model-00001-of-00003\.gguf#[0-9a-f]{16}$/);
});

test.each<[string, (parts: File[]) => File[], string, RegExp]>([
  ['lacks a part', ([a, , c]) => [a!, c!], 'download-failed', /no file model-00002-of-00003\.gguf/],
  [
    'has a part twice',
    ([a, b, c]) => [a!, b!, new File([b!], c!.name)],
    'format-invalid',
    /model-00003-of-00003\.gguf .*split\.no 1, but 2 was expected/,
  ],
  [
    'has parts of another split',
    (parts) =>
      parts.map((part) => new File([part], part.name.replace('of-00003', 'of-00002'))).slice(0, 2),
    'format-invalid',
    /split\.count 3, but 2 was expected/,
  ],
  [
    'has a whole file in place of a part',
    ([a, b, c]) => [a!, b!, new File([gguf()[0]!], c!.name)],
    'format-invalid',
    /split\.no undefined/,
  ],
])('a split file that %s is rejected', async (_, change, code, message) => {
  await expect(open(change(gguf({ parts: 3 })))).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
  });
});

test('the names of all parts follow from the name of one', () => {
  expect(splitParts('a/gpt.gguf')).toEqual(['a/gpt.gguf']);
  expect(splitParts('gpt-00002-of-00003.gguf')).toEqual(
    [1, 2, 3].map((part) => `gpt-0000${part}-of-00003.gguf`),
  );
  expect(splitParts('GPT-00001-of-00002.GGUF')).toEqual([
    'GPT-00001-of-00002.GGUF',
    'GPT-00002-of-00002.GGUF',
  ]);
  for (const name of ['x-00000-of-00003.gguf', 'x-00004-of-00003.gguf', 'x-00001-of-99999.gguf']) {
    expect(() => splitParts(name)).toThrow(expect.objectContaining({ code: 'format-invalid' }));
  }
});

test('the id of a source shows whether it is a GGUF file', async () => {
  expect(ggufPath('files:gpt.gguf#0123abcd')).toBe('gpt.gguf');
  expect(ggufPath('https://host/a/gpt-00001-of-00003.gguf')).toBe('gpt-00001-of-00003.gguf');
  expect(ggufPath('owner/gpt.gguf-repo@main')).toBeUndefined();
  expect(ggufPath('https://host/gpt.gguf/')).toBeUndefined();
  expect(ggufPath('files:picked#0123abcd')).toBeUndefined();
  const id = async (source: Parameters<typeof openSource>[0]) => (await openSource(source)).id;
  expect(await id('https://host/a/gpt.gguf?sig=1')).toBe('https://host/a/gpt.gguf');
  expect(await id('https://huggingface.co/o/n/blob/main/gpt.gguf')).toBe('o/n/gpt.gguf@main');
  expect(await id('https://huggingface.co/o/n/resolve/v%2F2/F16/gpt.gguf?download=true')).toBe(
    'o/n/F16/gpt.gguf@v/2',
  );
  expect(await id('o/n/F16/gpt.gguf@v2')).toBe('o/n/F16/gpt.gguf@v2');
  expect(ggufPath('o/n/F16/gpt.gguf@v2')).toBe('F16/gpt.gguf');
  expect(ggufPath('o/n.gguf@main')).toBeUndefined();
  expect(() => resolveSource('o/n/../gpt.gguf')).toThrow(TypeError);
});

test('in a repo, safetensors files are preferred, then a single GGUF model', () => {
  expect(chooseGguf('o/n@main', ['README.md', 'a.gguf'])).toBe('a.gguf');
  expect(chooseGguf('o/n@main', ['F16/a-00002-of-00002.gguf', 'F16/a-00001-of-00002.gguf'])).toBe(
    'F16/a-00001-of-00002.gguf',
  );
  expect(chooseGguf('o/n@main', ['a.gguf', 'original/model.safetensors'])).toBeUndefined();
  expect(chooseGguf('o/n@main', ['config.json', '../a.gguf'])).toBeUndefined();
  expect(() => chooseGguf('o/n@v2', ['b.gguf', 'a.gguf', 'c-00001-of-00002.gguf'])).toThrow(
    expect.objectContaining({
      code: 'format-invalid',
      message: expect.stringContaining(
        '3 GGUF models: a.gguf, b.gguf, c-00001-of-00002.gguf. Name one of them as the source, as in "o/n/a.gguf@v2"',
      ),
    }),
  );
});

test('among picked files, safetensors files are preferred, then a single GGUF model', async () => {
  const [file] = gguf() as [File];
  const [first, second] = ['a.gguf', 'b.gguf'].map((name) => new File([file], name)) as [
    File,
    File,
  ];
  expect((await openSource([first, new File(['{}'], 'config.json')])).id).toMatch(
    /^files:a\.gguf#/,
  );
  const shard = new File([], 'model.safetensors');
  expect((await openSource([first, shard])).id).toMatch(/^files:picked#/);
  await expect(openCheckpoint(await openSource([first, second]))).rejects.toMatchObject({
    code: 'format-invalid',
    message: expect.stringContaining('2 GGUF models in one folder: a.gguf, b.gguf'),
  });
});

test('the root of an exported folder is the folder with ossicle.json', async () => {
  const picked = (path: string, file: Blob = new Blob(['{}'])): File =>
    Object.defineProperty(new File([file], path.split('/').at(-1) ?? ''), 'webkitRelativePath', {
      value: path,
    });
  const original = await openSource([
    picked('m/original/config.json'),
    picked('m/tokenizer.json'),
    picked('m/ossicle.json'),
  ]);
  expect(original.id).toMatch(/^files:m#/);
  expect(await original.size('tokenizer.json')).toBe(2);
  expect(await original.size('original/config.json')).toBe(2);
  const [file] = gguf() as [File];
  const quantised = await openSource([picked('m/F16/a.gguf', file), picked('m/ossicle.json')]);
  expect(await quantised.size('ossicle.json')).toBe(2);
  expect((await openCheckpoint(quantised)).files).toMatchObject([{ path: 'F16/a.gguf' }]);
});

async function nanoTokenizer(): Promise<TokenizerJson> {
  return readTestJson<TokenizerJson>(`${NANO}/tokenizer.json`);
}

const TEXTS = [
  'Hello, world!  What\'s 12345 - 678?\r\n\n\tÜber-große CamelCASE "don\'t" — 你好 🎉',
  '<|start|>user<|message|>'.repeat(2),
  '   leading, trailing   ',
];

test('the tokenizer in the metadata encodes like the published tokenizer.json', async () => {
  const json = await nanoTokenizer();
  const vocabulary = Math.max(...json.added_tokens.map(({ id }) => id)) + 5;
  const config = { ...tinyConfig, vocabulary };
  const checkpoint = await open(createGguf(config, tinyTensors, { tokenizer: json }));
  const actual = createTokenizer(await checkpoint.tokenizer());
  const expected = createTokenizer(json);
  for (const text of TEXTS) {
    expect(actual.encode(text)).toEqual(expected.encode(text));
    expect(actual.decode(actual.encode(text))).toBe(text);
  }
  for (const { content, id } of json.added_tokens) expect(actual.tokenId(content)).toBe(id);
  expect(actual.isSpecial(vocabulary - 1)).toBe(true);
});

test('special tokens are recognized by their text, whatever their type', async () => {
  const json = await nanoTokenizer();
  const types = Array.from({ length: 1600 }, () => 1);
  const checkpoint = await open(
    createGguf({ ...tinyConfig, vocabulary: 1600 }, tinyTensors, {
      tokenizer: json,
      metadata: { 'tokenizer.ggml.token_type': ['i32s', types] },
    }),
  );
  const tokenizer = createTokenizer(await checkpoint.tokenizer());
  for (const { content, id } of json.added_tokens) expect(tokenizer.tokenId(content)).toBe(id);
});

test('a tokenizer.json beside the file replaces the one in the metadata', async () => {
  const json = new File([JSON.stringify({ model: {} })], 'tokenizer.json');
  const checkpoint = await open([...gguf({ tokenizer: await nanoTokenizer() }), json]);
  expect(await checkpoint.tokenizer()).toEqual({ model: {} });
  expect(checkpoint.files.map(({ path }) => path)).toEqual(['tokenizer.json', 'model.gguf']);
  expect(await (await open(gguf())).tokenizer()).toBeUndefined();
});

test.each<[string, NonNullable<GgufOptions['metadata']>, RegExp]>([
  [
    'of another kind',
    { 'tokenizer.ggml.model': ['text', 'llama'] },
    /of the kind "llama".*tokenizer\.json beside it/,
  ],
  ['with another pattern', { 'tokenizer.ggml.pre': ['text', 'qwen2'] }, /the pattern "qwen2"/],
  ['without merges', { 'tokenizer.ggml.merges': undefined }, /no token_type or merges/],
  [
    'with too few types',
    { 'tokenizer.ggml.token_type': ['i32s', [1, 1]] },
    /\d+ tokens, but 2 token types/,
  ],
  [
    'with a text in place of the tokens',
    { 'tokenizer.ggml.tokens': ['text', 'a b'] },
    /tokens is not an array/,
  ],
  ['with numbers in place of the tokens', { 'tokenizer.ggml.tokens': ['i32s', [1, 2]] }, /token/],
])('a tokenizer %s is rejected', async (_, metadata, message) => {
  const checkpoint = await open(gguf({ tokenizer: await nanoTokenizer(), metadata }));
  await expect(checkpoint.tokenizer()).rejects.toMatchObject({
    code: 'format-invalid',
    message: expect.stringMatching(message),
  });
});

test('a .gguf file with other contents, or without tensors and metadata, is rejected', async () => {
  const bytes = await readTestFile(`${TINY}/hf/model-00000-of-00002.safetensors`);
  await expect(open([new File([bytes], 'model.gguf')])).rejects.toMatchObject({
    code: 'format-invalid',
    message: expect.stringContaining('not with "GGUF"'),
  });
  const empty = writeGguf({ metadata: {}, tensors: [] });
  await expect(open([new File([empty], 'model.gguf')])).rejects.toMatchObject({
    code: 'format-invalid',
  });
});
