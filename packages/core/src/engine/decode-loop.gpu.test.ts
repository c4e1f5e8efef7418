import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCheckpoint } from '../../test/checkpoint.ts';
import { type Config, PRESETS } from '../../test/config.ts';
import { countedDevice, openTestDevice, TestDevice } from '../../test/engine.ts';
import { slowTest } from '../../test/slow.ts';

let gpu: TestDevice;

beforeAll(async () => {
  gpu = await openTestDevice();
});

afterAll(() => gpu.close());

/** A configuration as deep as a published model, and as narrow as possible: its passes have the same dispatches. */
function narrow(config: Config): Config {
  return {
    ...config,
    hidden: 64,
    intermediate: 32,
    heads: 8,
    kvHeads: 1,
    experts: 4,
    vocabulary: 160,
    specialIds: { bos: 157, pad: 158, eos: 159 },
  };
}

/** How many more calls of each device method one more token in an answer takes. */
async function callsPerToken(config: Config): Promise<ReadonlyMap<string, number>> {
  const { device, counts } = countedDevice(gpu.device);
  const { files } = createCheckpoint(narrow(config));
  // With the default context length, full layers attend in more than one split.
  const engine = await new TestDevice(device).engine(files, { contextLength: 8192 });
  const session = engine.createSession();
  const generate = async (seed: number, maxTokens: number) => {
    const before = new Map(counts.calls);
    const prompt = Uint32Array.of(seed, 2, 3, 4, 5, 6);
    await session.generate(prompt, { maxTokens, seed }).result;
    return new Map(
      [...counts.calls].map(([name, count]) => [name, count - (before.get(name) ?? 0)]),
    );
  };
  await generate(1, 2);
  const short = await generate(2, 4);
  const long = await generate(3, 12);
  engine.dispose();
  const more = [...long].map(
    ([name, count]) => [name, (count - (short.get(name) ?? 0)) / 8] as const,
  );
  return new Map(more.filter(([, count]) => count !== 0));
}

describe('a decoded token', () => {
  test('takes one submit of one pass with at most 165 dispatches in 20b, and creates no resources', async () => {
    const calls = await callsPerToken(PRESETS['20b']);
    const { dispatchWorkgroups, setBindGroup, setPipeline, ...others } = Object.fromEntries(calls);
    expect(others).toEqual({
      createCommandEncoder: 1,
      beginComputePass: 1,
      end: 1,
      copyBufferToBuffer: 1,
      finish: 1,
      submit: 1,
    });
    expect(setBindGroup).toBe(dispatchWorkgroups);
    expect(setPipeline).toBeLessThanOrEqual(dispatchWorkgroups!);
    expect(dispatchWorkgroups).toBeGreaterThan(24 * 6);
    expect(dispatchWorkgroups).toBeLessThanOrEqual(165);
  });

  slowTest(
    'takes at most 1.5 times as many dispatches in 120b, which has 1.5 times as many layers',
    async () => {
      const calls = await callsPerToken(PRESETS['120b']);
      expect(calls.get('submit')).toBe(1);
      expect(calls.get('beginComputePass')).toBe(1);
      expect(calls.get('dispatchWorkgroups')).toBeGreaterThan(36 * 6);
      expect(calls.get('dispatchWorkgroups')).toBeLessThanOrEqual(165 * 1.5);
    },
  );
});
