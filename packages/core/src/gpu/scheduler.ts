import type { Gpu } from './device.ts';
import type { Dispatch } from './kernel.ts';
import { encode } from './recorder.ts';

/**
 * The most modelled milliseconds of a submit. They should never become 100, even if the model is off by half: Windows
 * resets a GPU that is busy with one submit for 2 s, the page is drawn by the same GPU between submits, and an abort takes
 * effect there.
 */
const SUBMIT_MS = 60;

/** How fast a device runs the model's kernels. */
export interface Speed {
  readonly flopsPerSecond: number;
  /** Of weights, keys and values read. */
  readonly bytesPerSecond: number;
}

/** What is assumed before the first measurement: a GPU of 1 TFLOP and 50 GB/s, whose kernels reach some of both. */
const FIRST_SPEED: Speed = { flopsPerSecond: 1e11, bytesPerSecond: 4e10 };

/** No GPU is slower than the first speed by more than this, so what was measured was something else. */
const MOST_SLOWNESS = 8;

/** Modelled and measured times count as different by this factor at most: completions may be reported late, then together. */
const MOST_CHANGE = 2;

/** Times below this are mostly the way to the GPU and back; they can show that a device is fast, not that it is slow. */
const LATENCY_MS = 5;

/** What a dispatch takes however little it computes. */
const DISPATCH_MS = 0.01;

/** Milliseconds of some dispatches, by what limits each of them. */
interface Load {
  /** At the first speed. */
  readonly compute: number;
  /** At the first speed. */
  readonly memory: number;
  readonly fixed: number;
}

const NOTHING: Load = { compute: 0, memory: 0, fixed: 0 };

/**
 * Cuts lists of dispatches into submits of at most {@link SUBMIT_MS}. A dispatch takes as long as its arithmetic or its
 * memory traffic, whichever is longer; the speeds of both are measured by the completion of earlier submits.
 */
export class Scheduler {
  readonly #gpu: Gpu;
  readonly #now: () => number;
  /** Software adapters take seconds for what takes a GPU milliseconds, and have no watchdog. */
  readonly #isSoftware: boolean;
  /** How many times slower than the first speed the device is. */
  #slowness = { compute: 1, memory: 1 };
  /** When the last measured submit was done. */
  #lastDoneMs = 0;
  /** The last submit of {@link Scheduler.run}. */
  #last: Promise<void> = Promise.resolve();

  /** @param now - A clock in milliseconds. */
  constructor(gpu: Gpu, now: () => number = () => performance.now()) {
    this.#gpu = gpu;
    this.#now = now;
    this.#isSoftware = gpu.device.adapterInfo.isFallbackAdapter;
  }

  /** The speed as measured so far. */
  get speed(): Speed {
    const { compute, memory } = this.#slowness;
    return {
      flopsPerSecond: FIRST_SPEED.flopsPerSecond / compute,
      bytesPerSecond: FIRST_SPEED.bytesPerSecond / memory,
    };
  }

  /**
   * Submits dispatches, in as many parts as their cost asks for. At most two parts are on their way at a time; those
   * before the last one are done when the call resolves.
   *
   * @param label - Of the encoders.
   * @param keys - How many keys attention sees.
   * @param signal - Stops between submits; its reason is thrown.
   */
  async run(
    label: string,
    dispatches: readonly Dispatch[],
    keys: number,
    signal?: AbortSignal,
  ): Promise<void> {
    for (let first = 0; first < dispatches.length; ) {
      signal?.throwIfAborted();
      const part = this.#nextSubmit(dispatches, first, keys); // by the speed as known by now
      const startMs = this.#now();
      this.#submit(label, dispatches.slice(first, part.end));
      const measure = this.#measure(part.load, startMs);
      first = part.end;
      const previous = this.#last;
      this.#last = measure(this.#gpu.device.queue.onSubmittedWorkDone());
      await this.#gpu.settle(previous);
    }
  }

  /**
   * Submits dispatches at once: in one submit, unless they cost more than {@link SUBMIT_MS}.
   *
   * @param label - Of the encoders.
   * @param keys - How many keys attention sees.
   * @param finish - Adds commands after the last dispatch.
   * @returns Measures the speed by what was submitted, given a promise that resolves once the GPU has done it. Resolves at
   * the same time, and never rejects.
   */
  submit(
    label: string,
    dispatches: readonly Dispatch[],
    keys: number,
    finish?: (encoder: GPUCommandEncoder) => void,
  ): (done: Promise<unknown>) => Promise<void> {
    const startMs = this.#now();
    let load = NOTHING;
    for (let first = 0; first < dispatches.length; ) {
      const part = this.#nextSubmit(dispatches, first, keys);
      const isLast = part.end === dispatches.length;
      this.#submit(label, dispatches.slice(first, part.end), isLast ? finish : undefined);
      load = add(load, part.load);
      first = part.end;
    }
    return this.#measure(load, startMs);
  }

  /** Cuts the dispatches that would take longer than a submit, where their kernels can do a part of their grid. */
  cut(dispatches: readonly Dispatch[], keys: number): Dispatch[] {
    return dispatches.flatMap((dispatch) => {
      const { cut, cost, workgroups } = dispatch;
      const [, rows] = workgroups;
      const most = Math.max(1, Math.floor((rows * SUBMIT_MS) / this.#ms(dispatch, keys)));
      if (!cut || !cost || most >= rows || this.#isSoftware) return [dispatch];
      return Array.from({ length: Math.ceil(rows / most) }, (_, i) => {
        const count = Math.min(most, rows - i * most);
        // Each part reads the bytes again.
        return { ...cut(i * most, count), cost: { ...cost, flops: (cost.flops * count) / rows } };
      });
    });
  }

  /**
   * The time of the longest dispatch in units of what a submit may take: above 1, it needs to be made shorter. 0 on
   * software adapters.
   */
  excess(dispatches: readonly Dispatch[], keys: number): number {
    if (this.#isSoftware) return 0;
    const longest = dispatches.reduce((ms, dispatch) => Math.max(ms, this.#ms(dispatch, keys)), 0);
    return longest / SUBMIT_MS;
  }

  /** The submit that begins with the dispatch `first`: one past its last dispatch, and its load. */
  #nextSubmit(
    dispatches: readonly Dispatch[],
    first: number,
    keys: number,
  ): { readonly end: number; readonly load: Load } {
    let load = NOTHING;
    let left = SUBMIT_MS;
    let end = first;
    for (; end < dispatches.length; end++) {
      const next = this.#load(dispatches[end] as Dispatch, keys);
      left -= this.#total(next);
      if (left < 0 && end > first) break;
      load = add(load, next);
    }
    return { end, load };
  }

  /** Learns from a load that was submitted at `startMs`, once the GPU has done it. */
  #measure(load: Load, startMs: number): (done: Promise<unknown>) => Promise<void> {
    return (done) =>
      done.then(
        () => {
          const now = this.#now();
          this.#learn(load, now - Math.max(startMs, this.#lastDoneMs));
          this.#lastDoneMs = now;
        },
        () => undefined, // a lost device fails everything anyway
      );
  }

  #submit(
    label: string,
    dispatches: readonly Dispatch[],
    finish?: (encoder: GPUCommandEncoder) => void,
  ): void {
    const { device } = this.#gpu;
    this.#gpu.check();
    const encoder = device.createCommandEncoder({ label });
    encode(encoder, dispatches);
    finish?.(encoder);
    device.queue.submit([encoder.finish()]);
  }

  #ms(dispatch: Dispatch, keys: number): number {
    return this.#total(this.#load(dispatch, keys));
  }

  #load({ cost }: Dispatch, keys: number): Load {
    if (!cost) return { ...NOTHING, fixed: DISPATCH_MS };
    const share = cost.keys === undefined ? 1 : Math.min(1, keys / cost.keys);
    const compute = (1000 * share * cost.flops) / FIRST_SPEED.flopsPerSecond;
    const memory = (1000 * share * cost.bytes) / FIRST_SPEED.bytesPerSecond;
    return compute * this.#slowness.compute > memory * this.#slowness.memory
      ? { compute, memory: 0, fixed: DISPATCH_MS }
      : { compute: 0, memory, fixed: DISPATCH_MS };
  }

  #total({ compute, memory, fixed }: Load): number {
    return compute * this.#slowness.compute + memory * this.#slowness.memory + fixed;
  }

  /**
   * Changes the two numbers, in proportion to themselves, as little as explains a measurement: the projection onto the line
   * of those that do (Kaczmarz's method). What takes more of the load is corrected more.
   */
  #learn(load: Load, measuredMs: number): void {
    const modelledMs = this.#total(load);
    const compute = load.compute * this.#slowness.compute;
    const memory = load.memory * this.#slowness.memory;
    const square = compute ** 2 + memory ** 2;
    if (square === 0 || (measuredMs > modelledMs && measuredMs < LATENCY_MS)) return;
    const error = clamp(measuredMs / modelledMs) * modelledMs - modelledMs;
    const corrected = (slowness: number, ms: number): number =>
      Math.min(MOST_SLOWNESS, slowness * clamp(1 + (error * ms) / square));
    this.#slowness = {
      compute: corrected(this.#slowness.compute, compute),
      memory: corrected(this.#slowness.memory, memory),
    };
  }
}

function clamp(change: number): number {
  return Math.min(MOST_CHANGE, Math.max(1 / MOST_CHANGE, change));
}

function add(a: Load, b: Load): Load {
  return {
    compute: a.compute + b.compute,
    memory: a.memory + b.memory,
    fixed: a.fixed + b.fixed,
  };
}
