import { OssicleError } from '../../errors.ts';
import type { Dispatch } from '../../gpu/kernel.ts';
import { submit } from '../../gpu/recorder.ts';
import type { LayerCache } from '../../kernels/operands.ts';
import {
  type Shaders,
  shadersChecksum,
  usableVariants,
  withoutFile,
  withoutVariants,
} from '../../kernels/shaders.ts';
import { KvCache } from '../../model/kv-cache.ts';
import { type Runtime, writeStep } from '../../model/runtime.ts';
import type { SelfTestResult, VariantChoice } from '../../types/diagnosis.ts';
import { runSelfTest } from './self-test.ts';

/** The most choices that are timed, and the most time for all of them: a later choice is not timed. */
const MOST_CHOICES = 6;
const MOST_MS = 2000;

/** Work that takes longer is not timed: eight measurements of it would take too long. */
const MOST_WORK_MS = 100;

/** Tokens of the pass that is timed besides a decode step. */
const MANY_TOKENS = 64;

/** Work is repeated until it takes this long, so that the way to the GPU and back does not matter. */
const LEAST_MS = 8;
const MOST_REPEATS = 256;

/** A runtime and how its variants were chosen. */
export interface ChosenVariants {
  readonly runtime: Runtime;
  readonly choices: readonly VariantChoice[];
}

/** The tiles of many tokens that a model can do without, in this order: with float, and with narrow ones. */
export const TILES: readonly string[] = ['lib/product_int8', 'lib/product_wide'];

/** What has passed the self-test on a device: kernels and shapes. */
const proven = new WeakMap<GPUDevice, Set<string>>();

/**
 * Proves a runtime's kernels by the self-test, unless the same have passed on this device. If it fails, goes without the
 * variants, and the tiles of many tokens, that it fails with.
 *
 * @throws {@link OssicleError} `device-unsuitable` if it fails without any of them.
 */
export async function proveVariants(runtime: Runtime): Promise<ChosenVariants> {
  const { gpu, shaders, shape } = runtime;
  const variants = usableVariants(shaders, gpu.device.features);
  const passed = proven.get(gpu.device) ?? new Set();
  const key = JSON.stringify([shadersChecksum(shaders), shaders.variants, shape]);
  if (passed.has(key) || (await runSelfTest(runtime)).passed) {
    proven.set(gpu.device, passed.add(key));
    return { runtime, choices: variants.map((variant) => ({ variant, choice: 'used' })) };
  }
  const wrong = new Set(variants);
  const wrongTiles: string[] = [];
  let all: Shaders = shaders;
  const without = (excluded: ReadonlySet<string>): Promise<Runtime> =>
    runtime.recompile(withoutVariants(all, excluded));
  let best = await without(wrong);
  let base = await runSelfTest(best);
  for (const tiles of TILES) {
    const isUsed =
      best.kernels.has('wide') && (shape.prefill === 'int8' || tiles !== 'lib/product_int8');
    if (base.passed || !isUsed) continue;
    all = withoutFile(all, tiles);
    best = await without(wrong);
    base = await runSelfTest(best);
    if (base.passed) wrongTiles.push(tiles);
  }
  if (!base.passed) throw wrongResults(base);
  for (const variant of variants) {
    const fewer = new Set([...wrong].filter((other) => other !== variant));
    const candidate = await without(fewer);
    if (!(await runSelfTest(candidate)).passed) continue;
    wrong.delete(variant);
    best = candidate;
  }
  const choices = [...variants, ...wrongTiles].map(
    (variant): VariantChoice => ({
      variant,
      choice: wrong.has(variant) || wrongTiles.includes(variant) ? 'wrong' : 'used',
    }),
  );
  return { runtime: best, choices };
}

function wrongResults({ error }: SelfTestResult): OssicleError {
  return new OssicleError(
    'device-unsuitable',
    `This GPU computes wrong results: in the self-test, they are off by ${error.toPrecision(2)} times the largest number. ` +
      'Update the browser and the graphics driver, or use another GPU.',
  );
}

/**
 * Times each variant in use against the kernels without it, and goes without those that are slower. The weights must be
 * on the GPU. Takes about two seconds at most, with compilation.
 *
 * @param now - A clock in milliseconds.
 */
export async function tuneVariants(
  { runtime, choices }: ChosenVariants,
  now: () => number = () => performance.now(),
): Promise<ChosenVariants> {
  const used = choices.filter(({ choice }) => choice === 'used').slice(0, MOST_CHOICES);
  if (used.length === 0) return { runtime, choices };
  const endMs = now() + MOST_MS;
  const timer = new WorkTimer(runtime, now);
  const timed = new Map<string, VariantChoice>();
  let chosen = runtime;
  try {
    for (const { variant } of used) {
      if (now() >= endMs) break;
      const other = await chosen.recompile(withoutVariants(chosen.shaders, [variant]));
      const milliseconds = await timer.compare(chosen, other);
      if (!milliseconds) continue;
      const isSlower = milliseconds.used > milliseconds.unused;
      timed.set(variant, { variant, choice: isSlower ? 'slower' : 'used', milliseconds });
      if (isSlower) chosen = other;
    }
  } finally {
    timer.dispose();
  }
  return {
    runtime: chosen,
    choices: choices.map((choice) => timed.get(choice.variant) ?? choice),
  };
}

/** Times what two runtimes do differently. */
class WorkTimer {
  readonly #runtime: Runtime;
  readonly #now: () => number;
  readonly #kv: SharedCache;

  constructor(runtime: Runtime, now: () => number) {
    this.#runtime = runtime;
    this.#now = now;
    this.#kv = new SharedCache(runtime);
  }

  /**
   * Milliseconds of the work of a decode step and of a pass of many tokens, with one dispatch for each kernel; `undefined`
   * if that takes too long.
   */
  async compare(
    used: Runtime,
    unused: Runtime,
  ): Promise<{ readonly used: number; readonly unused: number } | undefined> {
    const { shape } = this.#runtime;
    await this.#kv.allocated();
    const times = { used: 0, unused: 0 };
    for (const count of new Set([1, Math.min(MANY_TOKENS, shape.chunkLength)])) {
      const [a, b] = [used, unused].map(({ model }) => [
        ...model.forward(this.#kv, count),
        ...model.unembed(1),
      ]) as [Dispatch[], Dispatch[]];
      const other = new Set(b.map(({ pipeline }) => pipeline));
      const own = new Set(a.map(({ pipeline }) => pipeline));
      const [usedOnly, unusedOnly] = [oncePerKernel(a, other), oncePerKernel(b, own)];
      if (usedOnly.length + unusedOnly.length === 0) continue;
      writeStep(this.#runtime, 0, count, count - 1);
      const repeats = await this.#repeats(usedOnly);
      if (repeats === 0) return undefined;
      // In turns, so that a change of the clock affects both.
      const rounds = { used: Infinity, unused: Infinity };
      for (let round = 0; round < 3; round++) {
        rounds.used = Math.min(rounds.used, await this.#time(usedOnly, repeats));
        rounds.unused = Math.min(rounds.unused, await this.#time(unusedOnly, repeats));
      }
      times.used += rounds.used / repeats;
      times.unused += rounds.unused / repeats;
    }
    return times;
  }

  dispose(): void {
    this.#kv.dispose();
  }

  /** How often to repeat some work: 0 if it takes too long. */
  async #repeats(dispatches: readonly Dispatch[]): Promise<number> {
    await this.#time(dispatches, 1); // compiles what the driver has put off
    for (let repeats = 1; ; repeats *= 2) {
      const ms = await this.#time(dispatches, repeats);
      if (ms > MOST_WORK_MS * repeats) return 0;
      if (ms >= LEAST_MS || repeats >= MOST_REPEATS) return repeats;
    }
  }

  async #time(dispatches: readonly Dispatch[], repeats: number): Promise<number> {
    const { gpu } = this.#runtime;
    const startMs = this.#now();
    submit(gpu, new Array<readonly Dispatch[]>(repeats).fill(dispatches).flat());
    await gpu.settle(gpu.device.queue.onSubmittedWorkDone());
    return this.#now() - startMs;
  }
}

/** A cache whose sliding layers share one, and its full layers another: for work whose results do not matter. */
export class SharedCache {
  readonly layers: readonly LayerCache[];
  readonly #kv: KvCache;

  /** Await {@link SharedCache.allocated} before use. */
  constructor({ gpu, config, shape }: Runtime) {
    this.#kv = new KvCache(gpu, { ...config, slidingLayers: [true, false] }, shape);
    const [sliding, full] = this.#kv.layers as [LayerCache, LayerCache];
    this.layers = config.slidingLayers.map((isSliding) => (isSliding ? sliding : full));
  }

  /** Resolves when the GPU has allocated the buffers. @throws {@link OssicleError} `out-of-memory`. */
  allocated(): Promise<void> {
    return this.#kv.allocated();
  }

  dispose(): void {
    this.#kv.dispose();
  }
}

/** The first dispatch of each pipeline that is not among those of the other runtime. */
function oncePerKernel(
  dispatches: readonly Dispatch[],
  others: ReadonlySet<GPUComputePipeline>,
): Dispatch[] {
  const first = new Map<GPUComputePipeline, Dispatch>();
  for (const dispatch of dispatches) {
    const { pipeline } = dispatch;
    if (!others.has(pipeline) && !first.has(pipeline)) first.set(pipeline, dispatch);
  }
  return [...first.values()];
}
