import {
  encodeSamplingOptions,
  type SamplingOptions,
  samplingOptions,
} from '../../packages/core/src/engine/control/sampling-options.ts';
import { type Buffers, readBuffer } from '../../packages/core/src/gpu/buffers.ts';
import type { Gpu } from '../../packages/core/src/gpu/device.ts';
import type { Cost, Dispatch } from '../../packages/core/src/gpu/kernel.ts';
import {
  addToTimeline,
  profile,
  timePasses,
  totalsByKernel,
} from '../../packages/core/src/gpu/profiler.ts';
import { limitGrids, submit } from '../../packages/core/src/gpu/recorder.ts';
import { Operations } from '../../packages/core/src/kernels/operations.ts';
import type { KernelShape } from '../../packages/core/src/kernels/shape.ts';
import { KvCache } from '../../packages/core/src/model/kv-cache.ts';
import type { Runtime } from '../../packages/core/src/model/runtime.ts';
import type { Activations } from '../../packages/core/src/model/state.ts';
import { RATE_SUFFIXES } from '../records.ts';
import { type Ceiling, mathCeiling, readCeiling } from './ceilings.ts';
import { type DispatchContext, dispatchCost } from './kernel-cost.ts';
import { type Place, placesOf } from './places.ts';
import type { Sample, Stage, StageOptions } from './stage.ts';
import { createSyntheticModel } from './synthetic-model.ts';

/** Length of a timed pass: long against the clock's resolution and a pass's own cost, short against a GPU's watchdog. */
const PASS_NANOSECONDS = 20e6;

const MAX_DISPATCHES_PER_PASS = 2000;

/** Settings of sampling to time, by name. */
const SAMPLING_SETTINGS: Readonly<Record<string, Partial<SamplingOptions>>> = {
  greedy: { temperature: 0 },
  'temperature 1': {},
  'top-k 50, top-p 0.95': { topK: 50, topP: 0.95 },
  'top-p 0.95': { topP: 0.95 },
  'min-p 0.05': { minP: 0.05 },
};

/** The dispatches of one operation in all layers, so that each dispatch reads other weights. */
interface Group {
  readonly name: string;
  readonly dispatches: readonly Dispatch[];
  /** Operations in `dispatches`: one on a large matrix takes several dispatches. */
  readonly operations: number;
  readonly cost: Cost;
  /** How often a timed pass repeats the dispatches; 0 until the first pass is timed. */
  repeats: number;
}

/** A forward pass. */
interface Pass {
  readonly tokens: number;
  readonly depth: number;
  readonly dispatches: readonly Dispatch[];
  readonly groups: readonly Group[];
}

/** Times the kernels of the forward pass at a model's shapes, on synthetic weights. */
export class KernelStage implements Stage {
  readonly facts: readonly Sample[] = [];
  readonly measurements: readonly string[];
  readonly #gpu: Gpu;
  readonly #buffers: Buffers;
  readonly #kv: KvCache;
  readonly #passes: ReadonlyMap<string, Pass>;
  readonly #step: GPUBuffer;
  readonly #ceilings: ReadonlyMap<string, Group>;
  readonly #sampling: ReadonlyMap<string, Group>;
  readonly #samplingOptions: GPUBuffer;
  readonly #temperature: number;

  private constructor(
    gpu: Gpu,
    buffers: Buffers,
    kv: KvCache,
    passes: ReadonlyMap<string, Pass>,
    { step, activations }: Pick<Runtime, 'step' | 'activations'>,
    ceilings: ReadonlyMap<string, Group>,
    sample: readonly Dispatch[],
    temperature: number,
  ) {
    this.#gpu = gpu;
    this.#buffers = buffers;
    this.#kv = kv;
    this.#passes = passes;
    this.#step = step;
    this.#ceilings = ceilings;
    this.#temperature = temperature;
    this.#samplingOptions = activations.sampling.options;
    this.#sampling = new Map(
      Object.keys(SAMPLING_SETTINGS).map((name) => [
        name,
        { name: 'sampling', dispatches: sample, operations: 1, cost: NO_COST, repeats: 0 },
      ]),
    );
    this.measurements = [...ceilings.keys(), ...passes.keys(), 'sampling', 'step'];
  }

  /** Makes a model, and checks that a decode step and a chunk give finite numbers. */
  static async open(device: GPUDevice, options: StageOptions): Promise<KernelStage> {
    const { runtime, weights, filler, buffers } = await createSyntheticModel(device, options);
    const { gpu, config, shape, activations, kernels, model } = runtime;
    const kv = new KvCache(gpu, config, shape, shape.contextLength);
    try {
      filler.fillCache(kv, shape.kvCache);
      const { temperature } = options;
      writeSamplingOptions(gpu, activations.sampling.options, { temperature });
      const tokens = Uint32Array.from(
        { length: shape.chunkLength },
        (_, i) => (i * 7919) % shape.vocabularySize,
      );
      device.queue.writeBuffer(activations.tokens, 0, tokens);

      const { logits, sampling, tokens: next } = activations;
      const sample = new Operations(kernels, 1).sample(logits, sampling, next);
      const output = [...model.unembed(1), ...sample];
      const places = placesOf(weights, config.slidingLayers);
      const pass = (count: number, last: readonly Dispatch[]): Pass => {
        const depth = Math.min(Math.max(0, ...options.depths), shape.contextLength - count);
        const dispatches = limitGrids([...model.forward(kv, count), ...last], depth + count);
        const groups = groupDispatches(dispatches, places, shape, { tokens: count, depth });
        return { tokens: count, depth, dispatches, groups };
      };
      const passes = new Map<string, Pass>([['1 token', pass(1, output)]]);
      const chunk = Math.min(options.chunk, shape.chunkLength);
      if (chunk > 1) passes.set(`${chunk} tokens`, pass(chunk, []));
      const ceilings = new Map<string, Group>([
        ['memory', ceilingGroup('memory read', await readCeiling(gpu, buffers, readBytes(shape)))],
        ['math', ceilingGroup('math f32', await mathCeiling(gpu, buffers))],
      ]);
      await buffers.allocated();
      await kv.allocated();
      const stage = new KernelStage(
        gpu,
        buffers,
        kv,
        passes,
        runtime,
        ceilings,
        sample,
        temperature,
      );
      for (const each of passes.values()) await stage.#check(each, activations, shape);
      return stage;
    } catch (error) {
      buffers.dispose();
      kv.dispose();
      gpu.dispose();
      throw error;
    }
  }

  /**
   * Times what `memory` or `math` can do, every operation of the named pass, `sampling` at several settings, or the
   * dispatches of a decode `step` one by one.
   */
  async measure(measurement: string): Promise<Sample[]> {
    const ceiling = this.#ceilings.get(measurement);
    if (ceiling) return this.#timeGroup(ceiling, '');
    if (measurement === 'sampling') return this.#timeSampling();
    const pass = this.#passes.get(measurement);
    if (!pass) return this.#profileStep();
    const samples: Sample[] = [];
    for (const group of pass.groups) {
      this.#writeStep(pass);
      samples.push(...(await this.#timeGroup(group, `, ${measurement}`)));
    }
    return samples;
  }

  async dispose(): Promise<void> {
    this.#buffers.dispose();
    this.#kv.dispose();
    this.#gpu.dispose();
  }

  async #timeGroup(group: Group, suffix: string): Promise<Sample[]> {
    const { dispatches, operations, cost } = group;
    if (group.repeats === 0) {
      const first = await timePass(this.#gpu, dispatches);
      const limit = Math.max(1, Math.floor(MAX_DISPATCHES_PER_PASS / dispatches.length));
      const wanted = Math.ceil(PASS_NANOSECONDS / Math.max(1, first));
      group.repeats = Math.min(limit, wanted);
    }
    const repeated = Array.from({ length: group.repeats }, () => dispatches).flat();
    const nanoseconds = (await timePass(this.#gpu, repeated)) / (group.repeats * operations);
    const name = group.name + suffix;
    const samples: Sample[] = [{ name, value: nanoseconds / 1e3, unit: 'us' }];
    const addRate = (suffix: string, amount: number, unit: string): void => {
      if (amount === 0 || nanoseconds === 0) return;
      samples.push({ name: name + suffix, value: amount / nanoseconds, unit });
    };
    addRate(RATE_SUFFIXES.read, cost.bytes, 'GB/s');
    addRate(RATE_SUFFIXES.math, cost.flops, 'GFLOP/s');
    return samples;
  }

  /** Times the choice of a token, on the logits of the last decode step. */
  async #timeSampling(): Promise<Sample[]> {
    const samples: Sample[] = [];
    for (const [name, group] of this.#sampling) {
      this.#writeStep(this.#passes.get('1 token') as Pass);
      const setting = SAMPLING_SETTINGS[name] ?? {};
      writeSamplingOptions(this.#gpu, this.#samplingOptions, setting);
      samples.push(...(await this.#timeGroup(group, `, ${name}`)));
    }
    writeSamplingOptions(this.#gpu, this.#samplingOptions, { temperature: this.#temperature });
    return samples;
  }

  /** Times every dispatch of a decode step in a pass of its own, added up by kernel. */
  async #profileStep(): Promise<Sample[]> {
    const pass = this.#passes.get('1 token') as Pass;
    this.#writeStep(pass);
    const startMs = performance.now();
    const rows = await profile(this.#gpu, pass.dispatches);
    addToTimeline(rows, startMs);
    const total = rows.reduce((sum, { nanoseconds }) => sum + nanoseconds, 0);
    return [
      { name: 'step: all dispatches one by one', value: total / 1e3, unit: 'us' },
      ...totalsByKernel(rows).map(({ kernel, nanoseconds }) => ({
        name: `step: ${kernel}`,
        value: nanoseconds / 1e3,
        unit: 'us',
      })),
    ];
  }

  #writeStep({ depth, tokens }: Pass): void {
    const step = Uint32Array.of(depth, tokens, tokens - 1);
    this.#gpu.device.queue.writeBuffer(this.#step, 0, step);
  }

  /** Runs a pass, and checks that its results are finite and mostly not zero. */
  async #check(pass: Pass, { x, logits }: Activations, shape: KernelShape): Promise<void> {
    this.#writeStep(pass);
    submit(this.#gpu, pass.dispatches);
    const stream = await readBuffer(this.#gpu, x, 0, 4 * pass.tokens * shape.hiddenSize);
    checkNumbers(`The activations of ${pass.tokens} tokens`, new Float32Array(stream));
    if (pass.tokens > 1) return;
    const row = await readBuffer(this.#gpu, logits, 0, 4 * shape.vocabularySize);
    checkNumbers('The logits', new Float32Array(row));
  }
}

function writeSamplingOptions(
  { device }: Gpu,
  buffer: GPUBuffer,
  setting: Partial<SamplingOptions>,
): void {
  const options = encodeSamplingOptions(samplingOptions({ seed: 1, ...setting }));
  device.queue.writeBuffer(buffer, 0, options);
}

/** Bytes that `memory` reads: more than caches hold, but few for the models of tests. */
function readBytes({ hiddenSize }: KernelShape): number {
  return hiddenSize < 1024 ? 16 * 2 ** 20 : 2 ** 30;
}

function ceilingGroup(name: string, { dispatches, cost }: Ceiling): Group {
  return { name, dispatches, operations: 1, cost, repeats: 0 };
}

/** Nanoseconds of a pass on the GPU's clock; on the CPU's, with the submit, if the GPU shows none. */
async function timePass(gpu: Gpu, dispatches: readonly Dispatch[]): Promise<number> {
  if (gpu.device.features.has('timestamp-query')) {
    return (await timePasses(gpu, [dispatches]))[0]?.nanoseconds ?? 0;
  }
  const startMs = performance.now();
  submit(gpu, dispatches);
  await gpu.settle(gpu.device.queue.onSubmittedWorkDone());
  return (performance.now() - startMs) * 1e6;
}

function checkNumbers(what: string, values: Float32Array): void {
  let zeros = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) throw new Error(`${what} contain ${value}: nothing is timed`);
    if (value === 0) zeros++;
  }
  if (zeros > values.length / 2) {
    throw new Error(`${what} are zero in ${zeros} of ${values.length} places: nothing is timed`);
  }
}

/** For groups without a rate. */
const NO_COST: Cost = { bytes: 0, flops: 0 };

/** Groups dispatches by their kernel and the part of a layer that they work on. */
function groupDispatches(
  dispatches: readonly Dispatch[],
  places: ReadonlyMap<string, Place>,
  shape: KernelShape,
  pass: Pick<DispatchContext, 'tokens' | 'depth'>,
): Group[] {
  const byName = new Map<string, { dispatches: Dispatch[]; bytes: number; flops: number }>();
  for (const dispatch of dispatches) {
    const { part, isSliding } = places.get(dispatch.label) ?? {
      part: dispatch.label,
      isSliding: false,
    };
    const span = part === 'attn' ? (isSliding ? ' sliding' : ' full') : '';
    const name = `${dispatch.pipeline.label} ${part}${span}`;
    const group = byName.get(name) ?? { dispatches: [], bytes: 0, flops: 0 };
    const { bytes, flops } = dispatchCost(shape, dispatch, { isSliding, ...pass });
    group.dispatches.push(dispatch);
    group.bytes += bytes;
    group.flops += flops;
    byName.set(name, group);
  }
  return [...byName].map(([name, { dispatches: alike, bytes, flops }]) => {
    const operations = new Set(alike.map(({ label }) => label)).size;
    const cost = { bytes: bytes / operations, flops: flops / operations };
    return { name, dispatches: alike, operations, cost, repeats: 0 };
  });
}
