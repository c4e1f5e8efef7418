import { type BenchRecord, SampleLog, type SideName } from './records.ts';
import type { Side } from './side.ts';
import type { Sample, StageName, StageOptions } from './stages/stage.ts';

/** Time between two readings of the heap. */
const HEAP_POLL_MS = 20;

/** A side, and what it measures. */
export interface RoundSide {
  readonly side: Side;
  readonly options: StageOptions;
  /** Folder of the checkpoint; not needed for kernels. */
  readonly checkpoint?: string;
}

/**
 * Runs one stage: opens it on all sides, measures everything once without counting it, then takes `repeat` rounds. In a
 * round, the sides take turns at every measurement; the side that goes first alternates.
 *
 * @returns One record for each side and name.
 */
export async function runRounds(
  stage: StageName,
  sides: readonly RoundSide[],
  repeat: number,
  onProgress: (text: string) => void,
): Promise<BenchRecord[]> {
  const logs = sides.map(() => new SampleLog());
  const log = (i: number): SampleLog => logs[i] as SampleLog;
  const measurements: string[] = [];
  try {
    for (const [i, { side, checkpoint, options }] of sides.entries()) {
      onProgress(`${stage}: getting ready${sides.length > 1 ? ` ${sideName(i)}` : ''}`);
      const { result, peakBytes } = await watchHeap(side, () =>
        side.open(stage, checkpoint, options),
      );
      log(i).add(result.facts);
      if (stage === 'end-to-end') log(i).add([heapSample('load', peakBytes)]);
      if (i === 0) measurements.push(...result.measurements);
    }
    for (let round = 0; round <= repeat; round++) {
      for (const measurement of measurements) {
        onProgress(`${stage}: round ${round} of ${repeat}, ${measurement}`);
        const order = [...sides.entries()];
        if (round % 2 === 1) order.reverse();
        for (const [i, { side }] of order) {
          const samples = await measure(side, stage, measurement);
          if (round > 0) log(i).add(samples);
        }
      }
    }
  } finally {
    for (const { side } of sides) await side.close();
  }
  return logs.flatMap((each, i) => each.records(sides.length > 1 ? sideName(i) : undefined));
}

/** The name of a side, by its place. */
export function sideName(index: number): SideName {
  return index === 0 ? 'A' : 'B';
}

async function measure(side: Side, stage: StageName, measurement: string): Promise<Sample[]> {
  if (stage === 'kernels') return side.measure(measurement);
  if (stage === 'upload') return measureCpu(side, measurement);
  const { result, peakBytes } = await watchHeap(side, () => side.measure(measurement));
  return [...result, heapSample(measurement, peakBytes)];
}

/** Adds the CPU time that processes took: speeds depend more on which cores are free. */
async function measureCpu(side: Side, measurement: string): Promise<Sample[]> {
  const before = await side.cpuSeconds();
  const result = await side.measure(measurement);
  const after = await side.cpuSeconds();
  const cpu = Object.entries(after).map(([name, seconds]) => ({
    name: `${measurement}: CPU time, ${name}`,
    value: seconds - (before[name] ?? 0),
    unit: 's',
  }));
  return [...result, ...cpu];
}

function heapSample(what: string, bytes: number): Sample {
  return { name: `JS heap growth, ${what}`, value: bytes / 2 ** 20, unit: 'MiB' };
}

/** Runs `work`, and returns by how much the heap grew at most. */
async function watchHeap<T>(
  side: Side,
  work: () => Promise<T>,
): Promise<{ result: T; peakBytes: number }> {
  const idle = await side.heapBytes();
  let peak = idle;
  let isDone = false;
  const watch = (async () => {
    while (!isDone) {
      await new Promise((resolve) => setTimeout(resolve, HEAP_POLL_MS));
      peak = Math.max(peak, await side.heapBytes());
    }
  })();
  try {
    return { result: await work(), peakBytes: peak - idle };
  } finally {
    isDone = true;
    await watch;
  }
}
