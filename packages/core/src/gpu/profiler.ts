import { OssicleError } from '../errors.ts';
import { readBuffer } from './buffers.ts';
import type { Gpu } from './device.ts';
import type { Dispatch } from './kernel.ts';
import { encode } from './recorder.ts';

/** The most timestamps that WebGPU allows in one query set; a pass takes two. */
const MAX_QUERIES = 4096;

const PASSES_PER_QUERY_SET = MAX_QUERIES / 2;

const TIMESTAMP_BYTES = 8;

/** The track of Chrome's Performance panel that {@link addToTimeline} writes to. */
export const TIMELINE_TRACK = 'ossicle GPU';

/** When a pass ran on the GPU. */
export interface PassTime {
  /** From the beginning of the first pass of the same call. */
  readonly startNanoseconds: number;
  /** From the pass's beginning to its end; 0 if the GPU's clock was set back meanwhile. */
  readonly nanoseconds: number;
}

/** When a dispatch ran on the GPU. */
export interface ProfileRow extends PassTime {
  /** {@link Dispatch.label}. */
  readonly label: string;
  /** The entry point's name. */
  readonly kernel: string;
  /** The grid, [x, y, z]. */
  readonly workgroups: readonly [x: number, y: number, z: number];
}

/** The time of all dispatches of one kernel. */
export interface KernelTotal {
  /** The entry point's name. */
  readonly kernel: string;
  /** GPU time of all of them. */
  readonly nanoseconds: number;
}

/**
 * Runs dispatches, each in a pass of its own, and times them on the GPU. Dispatches take longer than within one pass, since
 * each pass waits for the one before it. Browsers round timestamps unless developer features are on.
 *
 * @param dispatches - Any number, in order.
 * @throws {@link OssicleError} `device-unsuitable` without the feature `timestamp-query`; `device-lost`, `gpu-error`.
 */
export async function profile(gpu: Gpu, dispatches: readonly Dispatch[]): Promise<ProfileRow[]> {
  const times = await timePasses(
    gpu,
    dispatches.map((dispatch) => [dispatch]),
  );
  return dispatches.map(({ label, pipeline, workgroups }, i) => ({
    label,
    kernel: pipeline.label,
    workgroups,
    ...(times[i] as PassTime),
  }));
}

/**
 * Runs lists of dispatches, each list in a pass of its own, and times the passes on the GPU.
 *
 * @throws {@link OssicleError} as {@link profile} does.
 */
export async function timePasses(
  gpu: Gpu,
  passes: readonly (readonly Dispatch[])[],
): Promise<PassTime[]> {
  if (!gpu.device.features.has('timestamp-query')) {
    throw new OssicleError(
      'device-unsuitable',
      "This GPU device has no feature 'timestamp-query', so kernels cannot be timed. Request the device with it, " +
        'or use an adapter that has it.',
    );
  }
  const stamps: bigint[] = [];
  for (let first = 0; first < passes.length; first += PASSES_PER_QUERY_SET) {
    stamps.push(...(await stampPasses(gpu, passes.slice(first, first + PASSES_PER_QUERY_SET))));
  }
  const origin = stamps[0] ?? 0n;
  return passes.map((_, i) => {
    const begin = stamps[2 * i] as bigint;
    const end = stamps[2 * i + 1] as bigint;
    return {
      startNanoseconds: Number(begin - origin),
      nanoseconds: Math.max(0, Number(end - begin)),
    };
  });
}

/** Two timestamps per pass, in nanoseconds: its beginning and its end. */
async function stampPasses(
  gpu: Gpu,
  passes: readonly (readonly Dispatch[])[],
): Promise<BigUint64Array> {
  gpu.check();
  const { device } = gpu;
  const count = 2 * passes.length;
  const querySet = device.createQuerySet({ label: 'profiler', type: 'timestamp', count });
  const resolved = device.createBuffer({
    label: 'profiler/timestamps',
    size: count * TIMESTAMP_BYTES,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  try {
    const encoder = device.createCommandEncoder({ label: 'profiler' });
    passes.forEach((dispatches, i) => {
      encode(encoder, dispatches, {
        querySet,
        beginningOfPassWriteIndex: 2 * i,
        endOfPassWriteIndex: 2 * i + 1,
      });
    });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    device.queue.submit([encoder.finish()]);
    return new BigUint64Array(await readBuffer(gpu, resolved));
  } finally {
    querySet.destroy();
    resolved.destroy();
  }
}

/** Adds up rows by kernel, the slowest first. */
export function totalsByKernel(rows: readonly ProfileRow[]): KernelTotal[] {
  const totals = new Map<string, number>();
  for (const { kernel, nanoseconds } of rows) {
    totals.set(kernel, (totals.get(kernel) ?? 0) + nanoseconds);
  }
  return [...totals]
    .map(([kernel, nanoseconds]) => ({ kernel, nanoseconds }))
    .sort((a, b) => b.nanoseconds - a.nanoseconds);
}

/**
 * Adds rows to the performance timeline; Chrome's Performance panel shows them in the track `ossicle GPU`.
 * The GPU's clock is not the page's: only distances between rows are meaningful.
 *
 * @param startMs - Where the first row begins on the page's timeline, on the clock of `performance.now()`.
 */
export function addToTimeline(rows: readonly ProfileRow[], startMs: number): void {
  for (const { label, kernel, startNanoseconds, nanoseconds, workgroups } of rows) {
    const start = startMs + startNanoseconds / 1e6;
    performance.measure(label, {
      start,
      end: start + nanoseconds / 1e6,
      // https://developer.chrome.com/docs/devtools/performance/extension
      detail: {
        devtools: {
          dataType: 'track-entry',
          track: TIMELINE_TRACK,
          tooltipText: `${kernel}: ${label}`,
          properties: [
            ['kernel', kernel],
            ['workgroups', workgroups.join(' x ')],
            ['nanoseconds', String(nanoseconds)],
          ],
        },
      },
    });
  }
}
