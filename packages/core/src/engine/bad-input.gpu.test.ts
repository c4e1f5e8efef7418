import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createCheckpoint, type Damage } from '../../test/checkpoint.ts';
import { huggingFaceConfig } from '../../test/config.ts';
import {
  type CountedDeviceOptions,
  countedDevice,
  openTestDevice,
  SMALL,
  type TestDevice,
} from '../../test/engine.ts';
import { createGguf } from '../../test/gguf-checkpoint.ts';
import { createRandom } from '../../test/random.ts';
import type { ErrorCode } from '../errors.ts';
import type { LoadProgress } from '../types/load.ts';
import type { Engine } from './engine.ts';
import { createEngine, type EngineOptions } from './load/create-engine.ts';

const SHARD = 'model-00001-of-00002.safetensors';
const INDEX = 'model.safetensors.index.json';

let gpu: TestDevice;

beforeAll(async () => {
  gpu = await openTestDevice();
});

afterAll(() => gpu.close());

/** Loads on a device that counts buffers, and checks that a failed load leaves none behind. */
async function load(
  files: readonly File[],
  options: Partial<EngineOptions> = {},
  countOptions: CountedDeviceOptions = {},
): Promise<Engine> {
  const { device, counts } = countedDevice(gpu.device, countOptions);
  try {
    return await createEngine({
      device,
      source: files,
      dense: 'bf16',
      contextLength: 64,
      ...options,
    });
  } catch (error) {
    expect([...counts.liveBuffers.values()], 'buffers left behind').toEqual([]);
    throw error;
  }
}

async function expectFailure(
  loading: Promise<unknown>,
  code: ErrorCode,
  ...messages: readonly RegExp[]
): Promise<void> {
  const error = await loading.then(
    () => expect.unreachable('it loaded'),
    (reason: unknown) => reason as Error & { code?: string },
  );
  expect(error.name, error.message).toBe('OssicleError');
  expect(error.code, error.message).toBe(code);
  for (const message of messages) expect(error.message).toMatch(message);
}

const norm = 'model.norm.weight';
const blocks = 'model.layers.1.mlp.experts.gate_up_proj_blocks';
const json = huggingFaceConfig(SMALL);

const DAMAGES: readonly {
  readonly what: string;
  readonly damage: Damage;
  readonly code: ErrorCode;
  readonly says: readonly RegExp[];
}[] = [
  {
    what: 'without one of its shards',
    damage: { kind: 'missing-file', file: SHARD },
    code: 'download-failed',
    says: [/model-00001-of-00002\.safetensors/],
  },
  {
    what: 'without config.json',
    damage: { kind: 'missing-file', file: 'config.json' },
    code: 'download-failed',
    says: [/config\.json/],
  },
  {
    what: 'without a tensor that its index lists',
    damage: { kind: 'missing-tensor', tensor: blocks },
    code: 'format-invalid',
    says: [/layers\.1\.mlp\.experts\.gate_up_proj_blocks/],
  },
  {
    what: 'with a tensor of another type',
    damage: { kind: 'dtype', tensor: norm, dtype: 'I32' },
    code: 'format-unsupported',
    says: [/norm\.scale/, /model-00002/, /type I32/, /BF16/],
  },
  {
    what: 'with a tensor of another shape',
    damage: { kind: 'shape', tensor: blocks, shape: [6, 64, 2, 8] },
    code: 'format-invalid',
    says: [/block\.1\.mlp\.mlp1_weight\.blocks/, /U8 \[6, 64, 2, 8\]/, /U8 \[6, 64, 2, 16\]/],
  },
  {
    what: 'with a part of a matrix that does not fit the others',
    damage: {
      kind: 'shape',
      tensor: 'model.layers.0.self_attn.k_proj.weight',
      shape: [128, 32],
    },
    code: 'format-invalid',
    says: [/k_proj/, /\[128, 32\]/, /\[256, 64\]/],
  },
  {
    what: 'with a shard that lacks its last 7 bytes',
    damage: { kind: 'truncated', file: SHARD, missingBytes: 7 },
    code: 'integrity',
    says: [/model-00001-of-00002/, /\d+ bytes/],
  },
  {
    what: 'with a shard of 4 bytes',
    damage: { kind: 'content', file: SHARD, content: new Uint8Array(4) },
    code: 'integrity',
    says: [/model-00001-of-00002/, /\b4\b/],
  },
  {
    what: 'with offsets beyond the file',
    damage: { kind: 'offsets', tensor: norm, offsets: [0, 10 ** 12] },
    code: 'format-invalid',
    says: [/model\.norm\.weight/, /1000000000000/],
  },
  {
    what: 'with a header of impossible length',
    damage: { kind: 'header-length', file: SHARD, length: 2n ** 60n },
    code: 'format-invalid',
    says: [/model-00001-of-00002/],
  },
  {
    what: 'with a config.json that is cut short',
    damage: { kind: 'content', file: 'config.json', content: '{' },
    code: 'format-invalid',
    says: [/config\.json/, /JSON/],
  },
  {
    what: 'with an HTML page in place of a shard',
    damage: { kind: 'content', file: SHARD, content: '<!doctype html><title>404</title>' },
    code: 'format-invalid',
    says: [/model-00001-of-00002/],
  },
  {
    what: 'with an index that is not an index',
    damage: { kind: 'content', file: INDEX, content: '{"weight_map": 1}' },
    code: 'format-invalid',
    says: [/model\.safetensors\.index\.json/],
  },
  {
    what: 'of another architecture',
    damage: { kind: 'content', file: 'config.json', content: json.replace('gpt_oss', 'qwen3') },
    code: 'format-invalid',
    says: [/"qwen3"/, /gpt_oss/],
  },
  {
    what: 'whose tensors do not match its config',
    damage: {
      kind: 'content',
      file: 'config.json',
      content: json.replace('"vocab_size": 160', '"vocab_size": 320'),
    },
    code: 'format-invalid',
    says: [/embedding\.weight/, /\[160, 64\]/, /\[320, 64\]/],
  },
];

describe('a damaged checkpoint', () => {
  test.each(DAMAGES)(
    '$what is rejected with an error that names the culprit',
    async ({ damage, code, says }) => {
      const { files } = createCheckpoint(SMALL, { damage });
      await expectFailure(load(files), code, ...says);
    },
  );

  test('without its index still loads, as the shards describe themselves', async () => {
    const damage = { kind: 'missing-file', file: INDEX } as const;
    const engine = await load(createCheckpoint(SMALL, { damage }).files);
    expect(await engine.createSession().evaluate([1, 2, 3])).toHaveLength(160);
    engine.dispose();
  });

  test('does not prevent an intact one from loading afterwards', async () => {
    const damage = { kind: 'truncated', file: SHARD, missingBytes: 1 } as const;
    await expectFailure(load(createCheckpoint(SMALL, { damage }).files), 'integrity');
    const engine = await load(createCheckpoint(SMALL).files);
    expect(await engine.createSession().evaluate([1])).toHaveLength(160);
    engine.dispose();
  });
});

test('a generation rejects if the weights produce NaN, and the session stays usable', async () => {
  const { tensors } = createCheckpoint(SMALL);
  tensors.get('model.norm.weight')!.bytes.fill(0xff); // NaN
  const engine = await load(createGguf(SMALL, tensors));
  const session = engine.createSession();
  for (const options of [{ temperature: 0 }, { temperature: 1, topP: 0.9 }, { logprobs: 1 }]) {
    const { result } = session.generate(Uint32Array.of(1, 2, 3), { ...options, maxTokens: 9 });
    await expectFailure(result, 'gpu-error', /not numbers/);
    expect(session.tokens).toEqual([1, 2, 3]);
  }
  expect(await session.evaluate([4])).toHaveLength(160);
  engine.dispose();
});

describe('wrong options', () => {
  test.each([
    [{ contextLength: 0 }, /contextLength must be a whole number from 1 to 131072, not 0/],
    [{ contextLength: 200000 }, /contextLength .* 131072, not 200000/],
    [{ contextLength: 1.5 }, /contextLength .* 1\.5/],
    [{ prefillChunkLength: 0 }, /prefillChunkLength .* not 0/],
    [{ prefillChunkLength: 5000 }, /prefillChunkLength .* 4096, not 5000/],
    [{ dense: 'int4' }, /dense must be int8 or bf16, not "int4"/],
    [{ kvCache: 'f8' }, /kvCache must be int8 or f16 or f32, not "f8"/],
    [{ prefill: 'f16' }, /prefill must be float or int8, not "f16"/],
  ])('are rejected: %j', async (options, message) => {
    const loading = load(createCheckpoint(SMALL).files, options as Partial<EngineOptions>);
    await expect(loading).rejects.toThrow(message);
    await expect(loading).rejects.toBeInstanceOf(RangeError);
  });

  test('are rejected: a source that is neither a repo, a URL nor files', async () => {
    const loading = createEngine({ device: gpu.device, source: 'nothing' });
    await expect(loading).rejects.toThrow(TypeError);
    await expect(loading).rejects.toThrow(/"nothing"/);
  });
});

describe('a device that is too small', () => {
  const { files } = createCheckpoint(SMALL);

  test.each([
    ['maxComputeInvocationsPerWorkgroup', 128],
    ['maxComputeWorkgroupStorageSize', 8192],
    ['maxStorageBuffersPerShaderStage', 4],
  ])('is rejected for its %s of %i', async (limit, value) => {
    const loading = load(files, {}, { limits: { [limit]: value } });
    await expectFailure(loading, 'device-unsuitable', new RegExp(`${limit} ${value}`));
  });

  test('is rejected for a context that it cannot bind, and the error names one that it can', async () => {
    const limits = { maxStorageBufferBindingSize: 2 ** 20 };
    const loading = load(files, { contextLength: 4096, kvCache: 'f32' }, { limits });
    await expectFailure(loading, 'device-unsuitable', /4096 tokens.*2 MiB.*1 MiB.*2048/);
    const engine = await load(files, { contextLength: 2048, kvCache: 'f32' }, { limits });
    expect(await engine.createSession().evaluate([1])).toHaveLength(160);
    engine.dispose();
  });

  test('is rejected for activations that it cannot bind', async () => {
    const loading = load(files, { prefillChunkLength: 64 }, { limits: { maxBufferSize: 32768 } });
    await expectFailure(loading, 'device-unsuitable', /at most/);
  });
});

describe('a GPU out of memory', () => {
  const { files } = createCheckpoint(SMALL);

  /** A device that reports an allocation as failed if `isFailing` returns true. */
  function failingDevice(isFailing: () => boolean): CountedDeviceOptions {
    const scopes: GPUErrorFilter[] = [];
    const pushErrorScope = (filter: GPUErrorFilter): void => {
      scopes.push(filter);
      gpu.device.pushErrorScope(filter);
    };
    const popErrorScope = async (): Promise<GPUError | null> => {
      const isFull = scopes.pop() === 'out-of-memory' && isFailing();
      const error = await gpu.device.popErrorScope();
      return isFull ? new GPUOutOfMemoryError('no memory') : error;
    };
    return { methods: { pushErrorScope, popErrorScope } };
  }

  test.each([1, 12, 40])('fails a load at allocation %i', async (count) => {
    let left = count;
    const loading = load(
      files,
      {},
      failingDevice(() => --left === 0),
    );
    await expectFailure(loading, 'out-of-memory', /The GPU has no room for \w+\/\S+ \(.* MiB/);
  });

  test('fails the calls of the session that did not fit, and no others', async () => {
    let isFull = false;
    const engine = await load(
      files,
      {},
      failingDevice(() => isFull),
    );
    const first = engine.createSession();
    isFull = true;
    const second = engine.createSession();
    isFull = false;
    await expectFailure(second.evaluate([1]), 'out-of-memory', /session\/keys/);
    await expectFailure(second.generate(Uint32Array.of(1)).result, 'out-of-memory');
    expect(await first.evaluate([1])).toHaveLength(160);
    second.dispose();
    expect(await engine.createSession().evaluate([1])).toHaveLength(160);
    engine.dispose();
  });
});

describe('an aborted load', () => {
  const { files } = createCheckpoint(SMALL);

  test('allocates nothing if it was aborted before it began', async () => {
    const reason = new Error('changed my mind');
    const loading = load(files, { signal: AbortSignal.abort(reason) });
    await expect(loading).rejects.toBe(reason);
  });

  test('rejects with the signal’s reason at any moment, and the next load succeeds', async () => {
    let calls = 0;
    const count = { onCall: () => calls++ };
    const whole = await load(files, {}, count);
    const expected = await whole.createSession().evaluate([1, 2, 3, 4, 5, 6]);
    whole.dispose();
    const callsOfLoad = calls;
    const random = createRandom(3);
    for (let round = 0; round < 8; round++) {
      const stop = new AbortController();
      const reason = new Error(`round ${round}`);
      let left = 1 + random.integer(callsOfLoad * 0.8);
      const onCall = () => {
        left--;
        if (left === 0) stop.abort(reason);
      };
      await expect(load(files, { signal: stop.signal }, { onCall })).rejects.toBe(reason);
    }
    const engine = await load(files);
    expect(await engine.createSession().evaluate([1, 2, 3, 4, 5, 6])).toEqual(expected);
    engine.dispose();
  });
});

test('a load reports the start of compilation, the bytes uploaded, the rest of compilation, and when it is ready', async () => {
  const { files } = createCheckpoint(SMALL);
  const progress: LoadProgress[] = [];
  const engine = await load(files, { onProgress: (update) => progress.push(update) });
  const phases = progress.map(({ phase }) => phase).filter((phase, i, all) => phase !== all[i - 1]);
  expect(phases).toEqual(['compile', 'upload', 'compile', 'ready']);
  const uploads = progress.filter(({ phase }) => phase === 'upload');
  const { totalBytes } = uploads[0]!;
  const weights = files.filter(({ name }) => name.endsWith('.safetensors'));
  expect(totalBytes).toBeLessThan(weights.reduce((sum, { size }) => sum + size, 0));
  expect(totalBytes).toBeGreaterThan(engine.info.parameterCount / 2);
  expect(uploads.at(-1)).toMatchObject({ loadedBytes: totalBytes, totalBytes });
  const loaded = uploads.map(({ loadedBytes }) => loadedBytes);
  expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
  engine.dispose();
});

test('a load compiles the kernels that re-lay weights first: the upload waits for no others', async () => {
  const compile = vi.spyOn(gpu.device, 'createComputePipelineAsync');
  const { files } = createCheckpoint(SMALL);
  const engine = await createEngine({ device: gpu.device, source: files, contextLength: 64 });
  const labels = compile.mock.calls.map(([{ label }]) => String(label));
  const isRepack = (label: string): boolean => label.startsWith('repack_');
  const first = labels.slice(labels.findIndex(isRepack)); // a probe goes before
  const beforeOthers = first.slice(
    0,
    first.findIndex((label) => !isRepack(label)),
  );
  expect(beforeOthers.length).toBeGreaterThan(1);
  // The self-test compiles some of them again.
  expect(new Set(beforeOthers)).toEqual(new Set(labels.filter(isRepack)));
  compile.mockRestore();
  engine.dispose();
});

test('an engine describes its model, its adapter and its memory', async () => {
  const { device, counts } = countedDevice(gpu.device);
  const { files } = createCheckpoint(SMALL);
  const engine = await createEngine({ device, source: files, contextLength: 64 });
  const { info } = engine;
  expect(info.id).toMatch(/^files:/);
  expect(info).toMatchObject({ contextLength: 64, dense: 'int8', kvCache: 'f16' });
  expect(info.config).toMatchObject({ layers: 2, hiddenSize: 64, vocabularySize: 160 });
  expect(info.adapter.maxBufferBytes).toBe(gpu.device.limits.maxBufferSize);
  engine.createSession();
  const held = [...counts.liveBuffers.keys()].reduce((sum, { size }) => sum + size, 0);
  expect(info.gpuBytes).toBeLessThanOrEqual(held);
  expect(info.gpuBytes).toBeGreaterThan(held - 65536); // small buffers are not counted
  engine.dispose();
});
