import { expect, test } from 'vitest';
import {
  type BenchRecord,
  compare,
  formatNumber,
  formatTable,
  kernelRows,
  median,
  quantile,
  ratioRows,
  recordRows,
  SampleLog,
} from './records.ts';

test('the median is the middle value, or the mean of the middle two', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([10, 1, 2, 9])).toBe(5.5);
  expect(median([-3])).toBe(-3);
  expect(() => median([])).toThrow(RangeError);
});

test('samples of a name become one record, in the order taken', () => {
  const log = new SampleLog();
  log.add([sample('decode @128', 30, 'tokens/s'), sample('prefill 512', 700, 'tokens/s')]);
  log.add([sample('decode @128', 20, 'tokens/s')]);
  log.add([sample('decode @128', 22, 'tokens/s')]);
  expect(log.records()).toEqual([
    { name: 'decode @128', value: 22, unit: 'tokens/s', min: 20, max: 30, samples: [30, 20, 22] },
    { name: 'prefill 512', value: 700, unit: 'tokens/s', min: 700, max: 700, samples: [700] },
  ]);
  expect(log.records('B')[0]?.side).toBe('B');
});

test('a value that is not finite or has a new unit is an error, and not recorded', () => {
  const log = new SampleLog();
  log.add([sample('embed', 5, 'us')]);
  expect(() => log.add([sample('embed', Number.NaN, 'us')])).toThrow('embed came out as NaN us');
  expect(() => log.add([sample('embed', Infinity, 'us')])).toThrow('Infinity');
  expect(() => log.add([sample('embed', 5, 'ms')])).toThrow('embed is in ms after us');
});

test('sides are compared pair by pair, so that a slowdown of both does not count', () => {
  const a = [
    record('decode', [10, 20, 40]),
    record('zero', [0, 0, 0]),
    record('only A', [1, 1, 1]),
  ];
  const b = [record('decode', [11, 24, 44]), record('zero', [0, 0, 0]), record('other', [1])];
  const ratios = compare(a, b);
  expect(ratios).toHaveLength(1);
  expect(ratios[0]?.ratio).toBeCloseTo(1.1, 12);
  expect(ratios[0]).toMatchObject({ name: 'decode', pairs: 3 });
  expect(ratios[0]?.lowerQuartile).toBeCloseTo(1.1, 12);
  expect(ratios[0]?.upperQuartile).toBeCloseTo(1.15, 12);
  expect(ratioRows(ratios)).toEqual([['decode', '1.100', '1.100 .. 1.150', '3']]);
});

test('a quantile lies between its neighbours', () => {
  expect(quantile([40, 10, 30, 20], 0.25)).toBe(17.5);
  expect(quantile([40, 10, 30, 20], 1)).toBe(40);
});

test('sides with unequal numbers of samples, or with one each, are not compared', () => {
  expect(compare([record('load', [1])], [record('load', [2])])).toEqual([]);
  expect(compare([record('decode', [1, 2])], [record('decode', [1])])).toEqual([]);
});

test('records become rows, with a range if there is more than one sample', () => {
  const rows = recordRows([record('many', [1, 3, 2]), record('one', [1234.5678])]);
  expect(rows).toEqual([
    ['many', '2', 'us', '1 .. 3'],
    ['one', '1235', 'us', ''],
  ]);
});

test('a kernel has its time and its rates in one row', () => {
  const records = [
    record('embed, 1 token', [4, 6, 5]),
    record('embed, 1 token: read', [1.25]),
    record('linear, 1 token', [40]),
    record('linear, 1 token: read', [80.126]),
    record('linear, 1 token: math', [160]),
  ];
  expect(kernelRows(records)).toEqual([
    ['embed, 1 token', '5', '4 .. 6', '1.250', ''],
    ['linear, 1 token', '40', '40 .. 40', '80.13', '160'],
  ]);
});

test('a table aligns numbers to the right and words to the left', () => {
  const rows = [
    ['prefill', '1200', 'tokens/s'],
    ['load', '3.5', 's'],
  ];
  expect(formatTable(['measurement', 'median', 'unit'], rows).split('\n')).toEqual([
    'measurement  median  unit',
    '-----------  ------  --------',
    'prefill        1200  tokens/s',
    'load            3.5  s',
  ]);
});

test('numbers have four significant digits', () => {
  expect([0, 12, 123456, 1234.56, 12.3456, 0.123456, 0.0123456].map(formatNumber)).toEqual([
    '0',
    '12',
    '123456',
    '1235',
    '12.35',
    '0.1235',
    '0.01235',
  ]);
  expect(formatNumber(0.000123456)).toBe('1.235e-4');
  expect(formatNumber(123456789.5)).toBe('1.235e+8');
});

function sample(name: string, value: number, unit: string) {
  return { name, value, unit };
}

function record(name: string, samples: readonly number[]): BenchRecord {
  const [min, max] = [Math.min(...samples), Math.max(...samples)];
  return { name, value: median(samples), unit: 'us', min, max, samples };
}
