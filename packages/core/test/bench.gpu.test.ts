import { expect, test } from 'vitest';
import type { Sample, StageOptions } from '../../../bench/stages/stage.ts';
import { StageHost } from '../../../bench/stages/stage-host.ts';
import { createCheckpoint } from './checkpoint.ts';
import { huggingFaceConfig, PRESETS } from './config.ts';

const OPTIONS: StageOptions = {
  config: JSON.parse(huggingFaceConfig(PRESETS.nano)),
  dense: 'int8',
  chunk: 16,
  context: 256,
  prompts: [20],
  depths: [3],
  decode: 4,
  store: false,
};

test('the benchmark measures a small checkpoint from load to decode', async () => {
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

test('the benchmark times every kernel of a decode step and of a prefill chunk', async () => {
  const host = await StageHost.start();
  const { measurements } = await host.open('kernels', undefined, OPTIONS);
  expect(measurements).toEqual(['memory', '1 token', '16 tokens', 'sampling', 'step']);
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

test('the benchmark uploads stored bytes without kernels', async () => {
  const host = await StageHost.start();
  const { measurements } = await host.open('upload', undefined, OPTIONS);
  expect(measurements).toEqual(['upload']);
  const samples = await host.measure('upload');
  expect(samples.map(({ name }) => name)).toEqual(['upload', 'upload: reads']);
  for (const { name, value } of samples) expect(value, name).toBeGreaterThan(0);
  await host.close();
});

function valueNamed(samples: readonly Sample[], name: string): number | undefined {
  return samples.find((sample) => sample.name === name)?.value;
}
