import { expect, test } from 'vitest';
import type { LoadProgress } from '../../types/load.ts';
import { ProgressMeter } from './progress.ts';

function setUp(): { meter: ProgressMeter; events: LoadProgress[]; wait: (ms: number) => void } {
  let now = 5000;
  const events: LoadProgress[] = [];
  const meter = new ProgressMeter(
    (event) => events.push(event),
    () => now,
  );
  return {
    meter,
    events,
    wait: (ms) => {
      now += ms;
    },
  };
}

test('every phase has an event at its start and at its end', () => {
  const { meter, events } = setUp();
  meter.start('compile', 100);
  meter.add(40);
  meter.end();
  expect(events.map(({ phase, loadedBytes }) => [phase, loadedBytes])).toEqual([
    ['compile', 0],
    ['compile', 100],
  ]);
});

test('events are sent at most ten times a second', () => {
  const { meter, events, wait } = setUp();
  meter.start('download', 1e6);
  for (let i = 0; i < 1000; i++) {
    wait(1);
    meter.add(10);
  }
  expect(events).toHaveLength(11);
});

test('speed and time left are measured over the last three seconds', () => {
  const { meter, events, wait } = setUp();
  meter.start('download', 1_000_000);
  const run = (seconds: number, perSecond: number): void => {
    for (let i = 0; i < seconds * 10; i++) {
      wait(100);
      meter.add(perSecond / 10);
    }
  };
  run(10, 10_000);
  expect(events.at(-1)).toMatchObject({ loadedBytes: 100_000, totalBytes: 1_000_000 });
  expect(events.at(-1)?.bytesPerSecond).toBeCloseTo(10_000);
  expect(events.at(-1)?.etaSeconds).toBeCloseTo(90);
  run(3, 50_000);
  expect(events.at(-1)?.bytesPerSecond).toBeCloseTo(50_000);
  expect(events.at(-1)?.etaSeconds).toBeCloseTo(15);
});

test('bytes loaded before the start count as loaded, not towards the speed', () => {
  const { meter, events, wait } = setUp();
  meter.start('download', 1000, 900);
  wait(1000);
  meter.set(910);
  expect(events.at(-1)).toMatchObject({ loadedBytes: 910, bytesPerSecond: 10, etaSeconds: 9 });
});

test('etaSeconds is missing while the speed is unknown or zero', () => {
  const { meter, events, wait } = setUp();
  meter.start('upload', 1000);
  expect(events.at(-1)).not.toHaveProperty('etaSeconds');
  wait(200);
  meter.add(100);
  expect(events.at(-1)).not.toHaveProperty('etaSeconds');
  wait(5000);
  meter.add(0);
  wait(5000);
  meter.add(0); // stalled: speed 0, no time left
  expect(events.at(-1)).not.toHaveProperty('etaSeconds');
});

test('loadedBytes never falls and never exceeds the total', () => {
  const { meter, events, wait } = setUp();
  meter.start('upload', 1000);
  for (const loaded of [500, 300, 5000]) {
    wait(150);
    meter.set(loaded);
  }
  meter.end();
  expect(events.map(({ loadedBytes }) => loadedBytes)).toEqual([0, 500, 500, 1000, 1000]);
  expect(events.at(-1)?.etaSeconds).toBe(0);
});

test('a new phase starts from zero', () => {
  const { meter, events, wait } = setUp();
  meter.start('download', 1000);
  wait(1000);
  meter.end();
  meter.start('upload', 2000);
  expect(events.at(-1)).toEqual({
    phase: 'upload',
    loadedBytes: 0,
    totalBytes: 2000,
    bytesPerSecond: 0,
  });
});
