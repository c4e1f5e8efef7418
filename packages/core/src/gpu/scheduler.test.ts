import { describe, expect, test } from 'vitest';
import type { Gpu } from './device.ts';
import type { Cost, Dispatch } from './kernel.ts';
import { Scheduler } from './scheduler.ts';

/** What one millisecond of arithmetic is before the first measurement. */
const MILLISECOND = 1e8;

/** A scheduler on a device that takes the given milliseconds for a submit, and the sizes of the submits. */
function createScheduler(milliseconds: (dispatches: number) => number, isSoftware = false) {
  const submits: number[] = [];
  let nowMs = 0;
  const encoder = (): object => {
    let dispatches = 0;
    return {
      beginComputePass: () => ({
        setPipeline: () => undefined,
        setBindGroup: () => undefined,
        dispatchWorkgroups: () => dispatches++,
        end: () => undefined,
      }),
      finish: () => dispatches,
    };
  };
  const device = {
    adapterInfo: { isFallbackAdapter: isSoftware },
    createCommandEncoder: encoder,
    queue: {
      submit: ([dispatches]: [number]) => submits.push(dispatches),
      onSubmittedWorkDone: async () => {
        nowMs += milliseconds(submits.at(-1) as number);
      },
    },
  };
  const gpu = { device, check: () => undefined, settle: (work: Promise<unknown>) => work };
  return { scheduler: new Scheduler(gpu as unknown as Gpu, () => nowMs), submits };
}

function dispatchOf(cost?: Cost, rows = 1): Dispatch {
  const dispatch = { label: '', pipeline: {}, bindGroup: {}, workgroups: [1, rows, 1] };
  return { ...(dispatch as unknown as Dispatch), ...(cost && { cost }) };
}

/** Dispatches that are expected to take some milliseconds each before the first measurement. */
const computing = (count: number, milliseconds: number): Dispatch[] =>
  new Array(count).fill(dispatchOf({ flops: milliseconds * MILLISECOND, bytes: 0 }));

describe('a submit', () => {
  test('has as many dispatches as take 60 ms', () => {
    const { scheduler, submits } = createScheduler(() => 0);
    scheduler.submit('test', computing(10, 15), 1);
    expect(submits).toEqual([3, 3, 3, 1]); // a dispatch takes some time on top
    scheduler.submit('test', new Array(300).fill(dispatchOf()), 1);
    expect(submits.slice(4)).toEqual([300]);
  });

  test('has one dispatch if that takes longer', () => {
    const { scheduler, submits } = createScheduler(() => 0);
    scheduler.submit('test', [...computing(1, 10), ...computing(2, 200)], 1);
    expect(submits).toEqual([1, 1, 1]);
  });

  test('counts attention by the keys that there are', () => {
    const { scheduler, submits } = createScheduler(() => 0);
    const attention = new Array<Dispatch>(6).fill(
      dispatchOf({ flops: 100 * MILLISECOND, bytes: 0, keys: 1000 }),
    );
    scheduler.submit('test', attention, 100);
    scheduler.submit('test', attention, 500);
    expect(submits).toEqual([5, 1, 1, 1, 1, 1, 1, 1]);
  });

  test('ends with the commands that finish it', () => {
    const { scheduler, submits } = createScheduler(() => 0);
    const finished: number[] = [];
    scheduler.submit('test', computing(10, 15), 1, () => finished.push(submits.length));
    expect(finished).toEqual([3]); // while the fourth is encoded
  });
});

describe('the speed', () => {
  test('is that of the submits before, whatever it was assumed to be', async () => {
    const { scheduler } = createScheduler((dispatches) => dispatches * 3);
    await scheduler.run('test', computing(40, 15), 1);
    await scheduler.run('test', computing(40, 15), 1);
    expect(scheduler.speed.flopsPerSecond / 1e11).toBeCloseTo(5, 1);
  });

  test('changes at most by half if a submit is reported late', async () => {
    let late = 0;
    const { scheduler } = createScheduler((dispatches) => dispatches * 15 + late);
    await scheduler.run('test', computing(12, 15), 1);
    const before = scheduler.speed.flopsPerSecond;
    late = 10_000;
    await scheduler.run('test', computing(1, 15), 1);
    late = 0;
    await scheduler.run('test', computing(1, 15), 1);
    expect(scheduler.speed.flopsPerSecond).toBeGreaterThanOrEqual(before / 2);
  });

  test('is never less than that of the slowest GPU', async () => {
    const { scheduler } = createScheduler(() => 60_000);
    await scheduler.run('test', computing(100, 30), 1);
    expect(scheduler.speed.flopsPerSecond).toBeGreaterThan(1e10);
  });
});

describe('a dispatch that takes too long', () => {
  const rows = 10;
  const long = {
    ...dispatchOf({ flops: 300 * MILLISECOND, bytes: 7 }, rows),
    cut: (first: number, count: number) => ({ ...dispatchOf(undefined, count), label: `${first}` }),
  };

  test('is cut into parts of its grid', () => {
    const { scheduler } = createScheduler(() => 0);
    const [before, after] = [dispatchOf(), dispatchOf()];
    const parts = scheduler.cut([before, long, after], 1);
    expect(parts.at(0)).toBe(before);
    expect(parts.at(-1)).toBe(after);
    const cut = parts.slice(1, -1);
    let next = 0;
    for (const { label, workgroups, cost } of cut) {
      expect(Number(label)).toBe(next);
      next += workgroups[1];
      expect(cost).toEqual({ flops: 30 * MILLISECOND * workgroups[1], bytes: 7 });
    }
    expect(next).toBe(rows);
    expect(scheduler.excess(cut, 1)).toBeLessThanOrEqual(1);
  });

  test('stays whole if its kernel cannot do a part, and on software adapters', () => {
    const { scheduler } = createScheduler(() => 0);
    const whole = dispatchOf(long.cost, rows);
    expect(scheduler.cut([whole], 1)).toEqual([whole]);
    expect(scheduler.excess([whole], 1)).toBeCloseTo(5, 1);
    const software = createScheduler(() => 0, true).scheduler;
    expect(software.cut([long], 1)).toEqual([long]);
    expect(software.excess([long], 1)).toBe(0);
  });
});

test('an abort takes effect before the next submit', async () => {
  const { scheduler, submits } = createScheduler((dispatches) => dispatches * 15);
  const controller = new AbortController();
  const run = scheduler.run('test', computing(20, 30), 1, controller.signal);
  controller.abort(new Error('enough'));
  await expect(run).rejects.toThrow('enough');
  expect(submits.length).toBe(1);
});
