import { expect, type TestContext, test } from 'vitest';
import { Buffers, readBuffer } from '../src/gpu/buffers.ts';
import { Gpu } from '../src/gpu/device.ts';
import type { Dispatch } from '../src/gpu/kernel.ts';
import { submit } from '../src/gpu/recorder.ts';
import { sharedDevice } from './shared-device.ts';
import { runsSlowTests } from './slow.ts';

/** What one test allocates and watches on the device of all tests. */
export class TestGpu {
  readonly gpu: Gpu;
  readonly buffers: Buffers;

  constructor(gpu: Gpu) {
    this.gpu = gpu;
    this.buffers = new Buffers(gpu, 'test');
  }

  upload(data: Float32Array | Uint32Array): GPUBuffer {
    return this.buffers.storageOf('input', data);
  }

  /** A storage buffer of `length` 4-byte elements, filled with NaN bits so that unwritten elements show. */
  empty(length: number): GPUBuffer {
    return this.buffers.storageOf('output', new Uint32Array(length).fill(0x7fc00000));
  }

  run(...dispatches: Dispatch[]): void {
    submit(this.gpu, dispatches);
  }

  async floats(buffer: GPUBuffer, length?: number): Promise<Float32Array> {
    return new Float32Array(await readBuffer(this.gpu, buffer)).subarray(0, length);
  }

  async words(buffer: GPUBuffer, length?: number): Promise<Uint32Array> {
    return new Uint32Array(await readBuffer(this.gpu, buffer)).subarray(0, length);
  }
}

type Body = (gpu: TestGpu) => Promise<void>;

interface Needs {
  readonly features?: readonly GPUFeatureName[];
  /** Whether the test takes too long for SwiftShader: see `slowTest`. */
  readonly isSlow?: boolean;
}

/** Runs a test's body, or skips the test if the device lacks a feature that it needs, or the run has no time for it. */
async function withGpu(
  { skip }: TestContext,
  { features = [], isSlow = false }: Needs,
  body: Body,
): Promise<void> {
  if (isSlow && !runsSlowTests) skip('OSSICLE_SLOW_TESTS=1 runs it.');
  const device = await sharedDevice();
  const missing = features.filter((feature) => !device.features.has(feature));
  if (missing.length > 0) skip(`This adapter has no ${missing.join(', ')}.`);
  const gpu = new TestGpu(new Gpu(device));
  device.pushErrorScope('validation');
  let failure: { error: unknown } | undefined;
  try {
    await body(gpu);
  } catch (error) {
    failure = { error }; // says more than the error scope
  }
  const scope = await device.popErrorScope();
  gpu.buffers.dispose();
  gpu.gpu.dispose();
  if (failure) throw failure.error;
  expect(scope?.message).toBeUndefined();
}

interface GpuTest {
  (name: string, body: Body): void;
  /** Like Vitest's `test.for`. */
  each<Case>(
    cases: readonly Case[],
  ): (name: string, body: (item: Case, gpu: TestGpu) => Promise<void>) => void;
}

function testsWith(needs: Needs): GpuTest {
  return Object.assign(
    (name: string, body: Body): void => {
      test(name, (context) => withGpu(context, needs, body));
    },
    {
      each:
        <Case>(cases: readonly Case[]) =>
        (name: string, body: (item: Case, gpu: TestGpu) => Promise<void>): void => {
          test.for(cases)(name, (item, context) =>
            withGpu(context, needs, (gpu) => body(item, gpu)),
          );
        },
    },
  );
}

/**
 * A test on the device of all tests, which also fails on a validation error. Those of `gpuTest.requiring('subgroups')` are
 * skipped on adapters without that feature, those of `gpuTest.slow` like those of `slowTest`.
 */
export const gpuTest: GpuTest & {
  readonly requiring: (...features: readonly GPUFeatureName[]) => GpuTest;
  readonly slow: GpuTest;
} = Object.assign(testsWith({}), {
  requiring: (...features: readonly GPUFeatureName[]) => testsWith({ features }),
  slow: testsWith({ isSlow: true }),
});

/** Seeded numbers in [-1, 1), with a few outliers up to 20 times as large. */
export function random(length: number, seed = 1): Float32Array<ArrayBuffer> {
  const next = randomGenerator(seed);
  const values = Float32Array.from(
    { length },
    (_, i) => (next() * 2 - 1) * (i % 97 === 13 ? 20 : 1),
  );
  if (length > 8 && new Set(values).size < length / 2) throw new Error('degenerate random input');
  return values;
}

/** Uniform in [0, 1): mulberry32. */
export function randomGenerator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

declare module 'vitest' {
  interface Assertion<T> {
    /** Expects every element to be within `tolerance` times max(1, largest expected magnitude). */
    toBeCloseToArray(expected: ArrayLike<number>, tolerance: number): T;
  }
}

expect.extend({
  toBeCloseToArray(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) {
    let largest = 1;
    for (let i = 0; i < expected.length; i++) {
      largest = Math.max(largest, Math.abs(expected[i] as number));
    }
    let worst = 0;
    let at = -1;
    for (let i = 0; i < expected.length; i++) {
      const error = Math.abs((actual[i] as number) - (expected[i] as number));
      if (!(error <= worst)) {
        worst = error; // NaN, too, which then stays
        at = i;
        if (Number.isNaN(error)) break;
      }
    }
    return {
      pass: actual.length === expected.length && worst <= tolerance * largest,
      message: () =>
        `${actual.length} elements, ${expected.length} expected; worst at [${at}]: got ${actual[at]}, ` +
        `expected ${expected[at]} (error ${worst}, allowed ${tolerance * largest})`,
    };
  },
});
