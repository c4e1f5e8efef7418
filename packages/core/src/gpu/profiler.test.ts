import { afterEach, expect, test } from 'vitest';
import { addToTimeline, type ProfileRow, TIMELINE_TRACK, totalsByKernel } from './profiler.ts';

const ROWS: readonly ProfileRow[] = [
  row('block.0.attn.norm', 'rms_norm', 0, 500),
  row('block.0.attn.qkv', 'qkv', 900, 2_500),
  row('block.1.attn.norm', 'rms_norm', 4_000, 1_000),
];

afterEach(() => performance.clearMeasures());

test('times are summed by kernel, the longest first', () => {
  expect(totalsByKernel(ROWS)).toEqual([
    { kernel: 'qkv', nanoseconds: 2_500 },
    { kernel: 'rms_norm', nanoseconds: 1_500 },
  ]);
});

test('rows appear on a track of the Performance panel, spaced as on the GPU', () => {
  addToTimeline(ROWS, 20);
  const [norm, qkv] = performance.getEntriesByType('measure');
  expect(norm?.name).toBe('block.0.attn.norm');
  expect(norm?.startTime).toBe(20);
  expect(qkv?.startTime).toBeCloseTo(20.0009, 6);
  expect(qkv?.duration).toBeCloseTo(0.0025, 6);
  expect((qkv as PerformanceMeasure).detail).toEqual({
    devtools: {
      dataType: 'track-entry',
      track: TIMELINE_TRACK,
      tooltipText: 'qkv: block.0.attn.qkv',
      properties: [
        ['kernel', 'qkv'],
        ['workgroups', '3 x 2 x 1'],
        ['nanoseconds', '2500'],
      ],
    },
  });
});

function row(
  label: string,
  kernel: string,
  startNanoseconds: number,
  nanoseconds: number,
): ProfileRow {
  return { label, kernel, startNanoseconds, nanoseconds, workgroups: [3, 2, 1] };
}
