import { expect, test } from 'vitest';
import { type GpuSide, measureGpu } from '../../../bench/gpu/measure.ts';
import { kernelTable, rooflineSvg } from '../../../bench/gpu/roofline.ts';
import type { Sample, StageOptions } from '../../../bench/stages/stage.ts';
import { StageHost } from '../../../bench/stages/stage-host.ts';
import { createCheckpoint } from './checkpoint.ts';
import { huggingFaceConfig, PRESETS } from './config.ts';
import { slowTest } from './slow.ts';

const OPTIONS: StageOptions = {
  config: JSON.parse(huggingFaceConfig(PRESETS.nano)),
  dense: 'int8',
  chunk: 16,
  context: 256,
  prompts: [20],
  depths: [3],
  decode: 4,
  temperature: 1,
  store: false,
};

slowTest('the benchmark measures a small checkpoint from load to decode', async () => {
  const host = await StageHost.start();
  const { files } = createCheckpoint(PRESETS.nano);
  const { facts, measurements } = await host.open('end-to-end', files, OPTIONS);
  expect(valueNamed(facts, 'load: all')).toBeGreaterThan(0);
  expect(valueNamed(facts, 'load: upload speed')).toBeGreaterThan(0);
  expect(valueNamed(facts, 'GPU memory')).toBeGreaterThan(1);
  expect(valueNamed(facts, 'dispatches per token')).toBeGreaterThan(4 * PRESETS.nano.layers);
  expect(valueNamed(facts, 'submits per token')).toBe(1);
  expect(valueNamed(facts, 'buffers made per token')).toBe(0);
  expect(valueNamed(facts, 'bind groups made per token')).toBe(0);
  expect(measurements).toEqual(['prefill 20', 'decode @3', 'sampled decode @3']);
  expect((await host.measure('prefill 20')).map(({ name }) => name)).toEqual([
    'prefill 20',
    'time to first token 20',
  ]);
  for (const name of ['decode @3', 'sampled decode @3']) {
    expect(valueNamed(await host.measure(name), name)).toBeGreaterThan(0);
  }
  await host.close();
  await expect(host.measure('decode @3')).rejects.toThrow('No stage is open');
});

slowTest('the benchmark times every kernel of a decode step and of a prefill chunk', async () => {
  const host = await StageHost.start();
  const { measurements } = await host.open('kernels', undefined, OPTIONS);
  expect(measurements).toEqual(['memory', 'math', '1 token', '16 tokens', 'sampling', 'step']);
  const kernels = new Set<string>();
  for (const measurement of measurements) {
    const samples = await host.measure(measurement);
    for (const { name, value } of samples) expect(value, name).toBeGreaterThanOrEqual(0);
    expect(samples.some(({ value }) => value > 0)).toBe(true);
    for (const { name } of samples) {
      if (name.endsWith(', 16 tokens')) kernels.add(name.replace(/ .*/, ''));
    }
  }
  expect(kernels).toEqual(
    new Set([
      ...['embed', 'rms_norm', 'linear_tiled', 'rope', 'attend_tiled', 'route', 'group_by_expert'],
      ...['expert_swiglu_tiled', 'expert_out_tiled', 'expert_sum'],
    ]),
  );
  await host.close();
});

slowTest(
  'npm run bench:gpu measures kernels, prefill and decode without a checkpoint, and plots them',
  async () => {
    const { records, layers, skipped } = await measureGpu(
      await StageHost.start(),
      {
        config: OPTIONS.config,
        layers: 3,
        minutes: 10,
        repeat: 1,
        prompts: [8, 40],
        depths: [1, 30],
        decode: 4,
      },
      () => undefined,
    );
    expect(layers).toBe(3);
    expect(skipped).toEqual([]);
    const names = records.map(({ name }) => name);
    for (const name of ['memory read: read', 'math f32: math', 'prefill 40', 'decode @30']) {
      expect(names).toContain(name);
    }
    expect(kernelTable(records)).toContain('expert_swiglu mlp.mlp1, 1 token');
    const svg = rooflineSvg('nano <3>', records);
    expect(svg).toContain('nano &#60;3&#62;');
    expect(svg).not.toContain('NaN');
  },
);

test('layers that do not fit are halved, and what does not fit in the time is skipped', async () => {
  const opened: unknown[] = [];
  const side: GpuSide = {
    adapter: (await StageHost.start()).adapter,
    open: async (_, __, { config }) => {
      opened.push(config.num_hidden_layers);
      if (Number(config.num_hidden_layers) > 1) throw new Error('The GPU has no room for weights');
      return { facts: [], measurements: ['prefill 8', 'prefill 40', 'decode @30'] };
    },
    measure: async (name) => [{ name, value: name === 'prefill 8' ? 1e-3 : 1, unit: 'tokens/s' }],
    close: async () => undefined,
  };
  const options = { config: OPTIONS.config, minutes: 1, repeat: 2, decode: 1 };
  const { records, layers, skipped } = await measureGpu(
    side,
    { ...options, prompts: [8, 40], depths: [30] },
    () => undefined,
  );
  expect(opened).toEqual([4, 2, 1, 1]);
  expect(layers).toBe(1);
  expect(new Set(records.map(({ name }) => name))).toEqual(new Set(['prefill 8']));
  expect(skipped).toContain('4 layers: the GPU has no room for them');
  expect(skipped).toContain('decode @30: would take 500.0 minutes');
});

function valueNamed(samples: readonly Sample[], name: string): number | undefined {
  return samples.find((sample) => sample.name === name)?.value;
}
