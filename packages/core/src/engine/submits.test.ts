import { afterEach, describe, expect, test, vi } from 'vitest';
import { PRESETS } from '../../test/config.ts';
import { ModelledGpu, type ModelledSubmit } from '../../test/modelled-gpu.ts';
import type { Runtime } from '../model/runtime.ts';
import { samplingOptions } from './control/sampling-options.ts';
import { Context } from './conversation/context.ts';
import { Decoder } from './decoder.ts';

const CONTEXT_LENGTH = 131_072;

/** A GPU of 1 TFLOP and 50 GB/s whose kernels reach so much of it. */
const slowGpu = (reached: number) => ({ flopsPerSecond: 1e12 * reached, bytesPerSecond: 50e9 });

/** An H200 of whose arithmetic a third is reached. */
const FAST_GPU = { flopsPerSecond: 2e13, bytesPerSecond: 4e12 };

afterEach(() => {
  vi.unstubAllGlobals();
});

/** Prefills tokens after `evaluated` others, and decodes some. */
async function answer(
  runtime: Runtime,
  { evaluated = 0, prompt = 1000, tokens = 6 },
): Promise<void> {
  const context = new Context(runtime);
  context.recordDecode(new Array(evaluated).fill(1), evaluated);
  context.append(new Array(prompt).fill(1));
  await context.prefill();
  const decoder = new Decoder(runtime, context);
  decoder.start(samplingOptions({}), { prompt: [] });
  for await (const _ of decoder.pipelined(tokens));
}

function longest(submits: readonly ModelledSubmit[]): number {
  return Math.max(...submits.map(({ milliseconds }) => milliseconds));
}

function average(submits: readonly ModelledSubmit[]): number {
  return submits.reduce((sum, { milliseconds }) => sum + milliseconds, 0) / submits.length;
}

describe.each([1, 0.3, 0.1])(
  'on a GPU of 1 TFLOP and 50 GB/s, of whose arithmetic %d is reached',
  (reached) => {
    test('no submit of 20b takes more than 100 ms, at any context', async () => {
      const gpu = new ModelledGpu(PRESETS['20b'], slowGpu(reached));
      const runtime = await gpu.runtime(CONTEXT_LENGTH);
      for (const evaluated of [0, 1000, 8000, 32_000, CONTEXT_LENGTH - 1006, 0]) {
        gpu.submits.length = 0;
        await answer(runtime, { evaluated });
        expect(longest(gpu.submits), `after ${evaluated} tokens`).toBeLessThan(100);
      }
    });

    test('submits are not much shorter than they may be', async () => {
      const gpu = new ModelledGpu(PRESETS['20b'], slowGpu(reached));
      const runtime = await gpu.runtime(CONTEXT_LENGTH);
      await answer(runtime, {});
      gpu.submits.length = 0;
      await answer(runtime, { tokens: 0 });
      expect(average(gpu.submits)).toBeGreaterThan(30);
    });
  },
);

describe('on an H200', () => {
  test('a prompt of 1000 tokens is enough to know how fast it is', async () => {
    const gpu = new ModelledGpu(PRESETS['20b'], FAST_GPU);
    const runtime = await gpu.runtime(8192);
    await answer(runtime, { prompt: 1000, tokens: 0 });
    expect(gpu.submits.length).toBeLessThan(25);
    gpu.submits.length = 0;
    await answer(runtime, { prompt: 4096, tokens: 0 });
    expect(longest(gpu.submits)).toBeLessThan(100);
    expect(average(gpu.submits)).toBeGreaterThan(40);
  });

  test('a decoded token takes one submit, at any context', async () => {
    const gpu = new ModelledGpu(PRESETS['20b'], FAST_GPU);
    const runtime = await gpu.runtime(CONTEXT_LENGTH);
    for (const evaluated of [0, CONTEXT_LENGTH - 70]) {
      await answer(runtime, { evaluated, prompt: 60, tokens: 0 });
      gpu.submits.length = 0;
      await answer(runtime, { evaluated, prompt: 1, tokens: 9 });
      expect(gpu.submits.slice(-8).map(({ dispatches }) => dispatches)).toEqual(
        new Array(8).fill(gpu.submits.at(-1)?.dispatches),
      );
    }
  });
});

test('a software adapter, which has no watchdog, gets passes of whole chunks', async () => {
  const passes = async (isSoftware: boolean): Promise<number[]> => {
    const gpu = new ModelledGpu(PRESETS['20b'], { ...slowGpu(0.1), isSoftware });
    const context = new Context(await gpu.runtime(8192));
    context.append(new Array(1024).fill(1));
    const evaluated: number[] = [];
    await context.prefill((count) => evaluated.push(count));
    return evaluated;
  };
  expect(await passes(true)).toEqual([512, 1024]);
  expect((await passes(false)).length).toBeGreaterThan(8);
});

test('one answer after another takes the same submits of the same length', async () => {
  const gpu = new ModelledGpu(PRESETS['20b'], slowGpu(0.3));
  const runtime = await gpu.runtime(8192);
  const lengths: number[] = [];
  for (let i = 0; i < 20; i++) {
    gpu.submits.length = 0;
    await answer(runtime, { prompt: 300 });
    lengths.push(gpu.submits.length);
  }
  expect(new Set(lengths.slice(2)).size).toBeLessThanOrEqual(2);
});

describe('an abort', () => {
  test('takes effect after the submit, and the prefill can be repeated', async () => {
    const gpu = new ModelledGpu(PRESETS['20b'], slowGpu(0.3));
    const runtime = await gpu.runtime(8192);
    const context = new Context(runtime);
    context.append(new Array(1000).fill(1));
    const controller = new AbortController();
    const reason = new Error('enough');
    gpu.onSubmit = () => {
      if (gpu.submits.length === 4) controller.abort(reason);
    };
    await expect(context.prefill(undefined, controller.signal)).rejects.toBe(reason);
    expect(gpu.submits).toHaveLength(4);
    expect(context.evaluated).toBe(0);
    await context.prefill();
    expect(context.evaluated).toBe(1000);
  });
});
