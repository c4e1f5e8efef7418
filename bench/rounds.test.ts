import { expect, test } from 'vitest';
import { type RoundSide, runRounds } from './rounds.ts';
import type { Side } from './side.ts';
import type { StageOptions } from './stages/stage.ts';

test('sides take turns at every measurement, alternate in going first, and do not count the first round', async () => {
  const calls: string[] = [];
  const records = await runRounds(
    'kernels',
    [fakeSide('A', calls), fakeSide('B', calls)],
    2,
    () => undefined,
  );
  expect(calls).toEqual([
    ...['A opens', 'B opens'],
    ...['A x', 'B x', 'A y', 'B y'],
    ...['B x', 'A x', 'B y', 'A y'],
    ...['A x', 'B x', 'A y', 'B y'],
    ...['A closes', 'B closes'],
  ]);
  expect(records.map(({ name, side, samples }) => [name, side, samples.length])).toEqual([
    ['fact', 'A', 1],
    ['x', 'A', 2],
    ['y', 'A', 2],
    ['fact', 'B', 1],
    ['x', 'B', 2],
    ['y', 'B', 2],
  ]);
});

test('all sides are closed if one fails', async () => {
  const calls: string[] = [];
  const run = runRounds(
    'kernels',
    [fakeSide('A', calls), fakeSide('B', calls, 'x')],
    1,
    () => undefined,
  );
  await expect(run).rejects.toThrow('B cannot x');
  expect(calls.slice(-2)).toEqual(['A closes', 'B closes']);
});

test('end to end, the growth of the heap is measured as well', async () => {
  const calls: string[] = [];
  const heap = [10, 10, 14, 11].map((mebibytes) => mebibytes * 2 ** 20);
  const side = fakeSide('A', calls);
  const records = await runRounds(
    'end-to-end',
    [
      {
        ...side,
        side: {
          ...side.side,
          heapBytes: async () => heap.shift() ?? 10 * 2 ** 20,
          open: async () => {
            while (heap.length > 0) await new Promise((resolve) => setTimeout(resolve, 1));
            return { facts: [], measurements: [] };
          },
        },
      },
    ],
    1,
    () => undefined,
  );
  expect(records).toMatchObject([{ name: 'JS heap growth, load', value: 4, unit: 'MiB' }]);
});

test('an upload comes with the CPU time that each kind of process took', async () => {
  const records = await runRounds('upload', [fakeSide('A', [])], 2, () => undefined);
  const times = records.filter(({ name }) => name.endsWith(': CPU time, page'));
  expect(times.map(({ name, samples }) => [name, ...samples])).toEqual([
    ['x: CPU time, page', 1, 1],
    ['y: CPU time, page', 1, 1],
  ]);
});

function fakeSide(name: string, calls: string[], failing?: string): RoundSide {
  let seconds = 0;
  const side: Side = {
    adapter: {
      vendor: '',
      architecture: '',
      description: name,
      maxBufferBytes: 0,
      maxBindingBytes: 0,
      features: [],
      details: {},
    },
    open: async () => {
      calls.push(`${name} opens`);
      return { facts: [{ name: 'fact', value: 1, unit: 's' }], measurements: ['x', 'y'] };
    },
    measure: async (measurement) => {
      calls.push(`${name} ${measurement}`);
      if (measurement === failing) throw new Error(`${name} cannot ${measurement}`);
      return [{ name: measurement, value: 1, unit: 'us' }];
    },
    close: async () => {
      calls.push(`${name} closes`);
    },
    heapBytes: async () => 0,
    cpuSeconds: async () => ({ page: seconds++ }),
  };
  return { side, options: {} as StageOptions };
}
