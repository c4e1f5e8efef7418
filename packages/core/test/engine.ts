/** Engines for tests: on devices whose errors fail the test, and on devices that count calls or claim other limits. */

import { expect } from 'vitest';
import type { Engine } from '../src/engine/engine.ts';
import { createEngine, type EngineOptions } from '../src/engine/load/create-engine.ts';
import { placeWeights, WeightUpload } from '../src/engine/load/load-weights.ts';
import { planLoad } from '../src/engine/load/plan.ts';
import { ProgressMeter } from '../src/engine/load/progress.ts';
import { openCheckpoint } from '../src/formats/open-checkpoint.ts';
import type { Buffers } from '../src/gpu/buffers.ts';
import { type Gpu, requestDevice } from '../src/gpu/device.ts';
import { createRuntime, type Runtime } from '../src/model/runtime.ts';
import { openSource } from '../src/sources/open-source.ts';
import { type Config, PRESETS } from './config.ts';
import { createRandom } from './random.ts';
import { sharedDevice } from './shared-device.ts';

/**
 * The smallest model with every part: a sliding layer and a full one. Its passes have few dispatches, which matters as
 * each dispatch takes milliseconds on a software adapter.
 */
export const SMALL: Config = {
  ...PRESETS.tiny,
  layers: 2,
  hidden: 64,
  intermediate: 32,
  heads: 4,
  experts: 6,
  vocabulary: 160,
  specialIds: { bos: 157, pad: 158, eos: 159 },
};

/** Seeded token ids of {@link SMALL}. */
export function smallIds(count: number, seed: number): number[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => random.integer(SMALL.vocabulary));
}

/** Options of {@link TestDevice.engine}. */
export type TestEngineOptions = Partial<Omit<EngineOptions, 'device' | 'source'>>;

/** A device in a test file, with the engines that the file loads on it. */
export class TestDevice {
  readonly device: GPUDevice;
  readonly #isOwn: boolean;
  readonly #errors: string[] = [];
  readonly #engines: Engine[] = [];

  /** @param isOwn - Whether `close()` destroys the device. */
  constructor(device: GPUDevice, isOwn = false) {
    this.device = device;
    this.#isOwn = isOwn;
    device.addEventListener('uncapturederror', this.#onError);
  }

  /** Loads an engine. Default: the weights as published, 512 tokens of context. */
  async engine(source: EngineOptions['source'], options: TestEngineOptions = {}): Promise<Engine> {
    const defaults = { dense: 'bf16', contextLength: 512 } as const;
    const engine = await createEngine({ device: this.device, source, ...defaults, ...options });
    this.#engines.push(engine);
    return engine;
  }

  /** Disposes of the engines, and fails if the device reported an uncaptured error. */
  async close(): Promise<void> {
    for (const engine of this.#engines) engine.dispose();
    await this.device.queue.onSubmittedWorkDone();
    this.device.removeEventListener('uncapturederror', this.#onError);
    if (this.#isOwn) this.device.destroy();
    expect(this.#errors, 'errors of the device').toEqual([]);
  }

  readonly #onError = (event: GPUUncapturedErrorEvent): void => {
    event.preventDefault();
    this.#errors.push(event.error.message);
  };
}

/** Opens the device of all tests for a test file. Call it in `beforeAll`, and `close()` in `afterAll`. */
export async function openTestDevice(): Promise<TestDevice> {
  return new TestDevice(await sharedDevice());
}

/** Opens a device that does not say that it is a software adapter, and so gets the kernels of GPUs. */
export async function openGpuDevice(): Promise<TestDevice> {
  const device = await requestDevice();
  const { vendor, architecture, description } = device.adapterInfo;
  const adapterInfo = { vendor, architecture, description, isFallbackAdapter: false };
  Object.defineProperty(device, 'adapterInfo', { value: adapterInfo });
  return new TestDevice(device, true);
}

/** The calls and the buffers of a {@link countedDevice}. */
export interface DeviceCounts {
  /** Calls by method, of the device, its queue, its encoders and their passes together. */
  readonly calls: ReadonlyMap<string, number>;
  /** The buffers that have not been destroyed, with their labels. */
  readonly liveBuffers: ReadonlyMap<GPUBuffer, string>;
}

/** How a {@link countedDevice} differs from the real one. */
export interface CountedDeviceOptions {
  /** Limits that the device claims. */
  readonly limits?: Readonly<Record<string, number>>;
  /** Methods to replace. */
  readonly methods?: Readonly<Record<string, (...args: never[]) => unknown>>;
  /** Called before each call of a method. */
  readonly onCall?: (method: string, args: readonly unknown[]) => void;
}

/** Wraps a device to count its calls and its buffers. */
export function countedDevice(
  device: GPUDevice,
  { limits = {}, methods = {}, onCall }: CountedDeviceOptions = {},
): { readonly device: GPUDevice; readonly counts: DeviceCounts } {
  const calls = new Map<string, number>();
  const liveBuffers = new Map<GPUBuffer, string>();
  const wrap = <T extends object>(target: T, replace: Readonly<Record<string, unknown>>): T =>
    new Proxy(target, {
      get(_, name) {
        if (typeof name === 'string' && Object.hasOwn(replace, name)) return replace[name];
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          const method = String(name);
          calls.set(method, (calls.get(method) ?? 0) + 1);
          onCall?.(method, args);
          const result: unknown = value.apply(target, args);
          if (method === 'createBuffer') trackBuffer(result as GPUBuffer);
          const isEncoder = method === 'createCommandEncoder' || method === 'beginComputePass';
          return isEncoder ? wrap(result as object, {}) : result;
        };
      },
    });
  const trackBuffer = (buffer: GPUBuffer): void => {
    liveBuffers.set(buffer, buffer.label);
    const destroy = buffer.destroy.bind(buffer);
    Object.defineProperty(buffer, 'destroy', {
      value: () => {
        liveBuffers.delete(buffer);
        destroy();
      },
    });
  };
  const feigned = new Proxy(device.limits, {
    get: (target, name) => limits[String(name)] ?? Reflect.get(target, name, target),
  });
  const queue = wrap(device.queue, {});
  return {
    device: wrap(device, { ...methods, limits: feigned, queue }),
    counts: { calls, liveBuffers },
  };
}

/** Loads a model without an engine, for tests that run the forward pass themselves. */
export async function loadRuntime(
  gpu: Gpu,
  buffers: Buffers,
  files: readonly File[],
  options: Parameters<typeof planLoad>[1],
): Promise<Runtime> {
  const source = await openSource(files);
  const checkpoint = await openCheckpoint(source);
  const plan = planLoad(checkpoint.config, options);
  const placed = await placeWeights(gpu, buffers, plan, checkpoint);
  const upload = new WeightUpload(gpu, placed);
  await upload.run({ source, progress: new ProgressMeter(), signal: undefined });
  upload.dispose();
  return createRuntime(gpu, buffers, plan, placed.weights);
}

/** The id of the largest logit; the lowest id among equals. */
export function likeliest(logits: ArrayLike<number>): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) {
    if ((logits[id] as number) > (logits[best] as number)) best = id;
  }
  return best;
}

/** The distance between two arrays. */
export interface Difference {
  /** The largest absolute difference; NaN if any number is NaN. */
  readonly max: number;
  /** The root of the mean squared difference. */
  readonly rms: number;
}

/** Compares two arrays of the same length. */
export function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): Difference {
  expect(actual.length).toBe(expected.length);
  let max = 0;
  let sum = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs((actual[i] as number) - (expected[i] as number));
    if (!(error <= max)) max = error;
    sum += error * error;
  }
  return { max, rms: Math.sqrt(sum / expected.length) };
}

/** The Kullback-Leibler divergence, in nats, of the distribution of the logits `actual` from that of `expected`. */
export function divergence(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  const p = logSoftmax(expected);
  const q = logSoftmax(actual);
  return p.reduce((sum, logP, i) => sum + Math.exp(logP) * (logP - (q[i] as number)), 0);
}

/** ln softmax of logits. */
export function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(logits);
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = values.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  return values.map((logit) => logit - largest - Math.log(sum));
}
