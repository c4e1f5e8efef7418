import { expect, test, vi } from 'vitest';
import {
  formatAgo,
  formatBytes,
  formatBytesOf,
  formatParameters,
  formatSeconds,
  formatTokensPerSecond,
  isoDate,
} from './format.ts';

test.each([
  [0, '0\u00a0B'],
  [999, '999\u00a0B'],
  [3_105_120, '3.11\u00a0MB'],
  [13_761_264_768, '13.8\u00a0GB'],
  [999_600, '1.00\u00a0MB'],
  [128_000_000, '128\u00a0MB'],
])('%d bytes are formatted', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [4_200_000_000, 13_761_264_768, '4.2 of 13.8\u00a0GB'],
  [0, 3_105_120, '0.00 of 3.11\u00a0MB'],
  [1_553_000, 3_105_120, '1.55 of 3.11\u00a0MB'],
  [0, 0, '0 of 0\u00a0B'],
])('%d of %d bytes are formatted in one unit', (part, whole, text) => {
  expect(formatBytesOf(part, whole)).toBe(text);
});

test.each([
  [59, 'just now'],
  [60, '1 minute ago'],
  [7200, '2 hours ago'],
  [86_400, 'yesterday'],
  [864_000, '10 days ago'],
  [-5, 'just now'],
])('a moment %d seconds ago is formatted', (seconds, text) => {
  expect(formatAgo(0, seconds * 1000)).toBe(text);
});

test.each([
  [0.21, '0.2\u00a0s'],
  [9.96, '10\u00a0s'],
  [59.7, '1\u00a0min 0\u00a0s'],
  [185, '3\u00a0min 5\u00a0s'],
  [4800, '1\u00a0h 20\u00a0min'],
])('%d seconds are formatted', (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});

test('rates and sizes of models are formatted', () => {
  expect(formatTokensPerSecond(3.42)).toBe('3.4\u00a0tokens/s');
  expect(formatTokensPerSecond(51.7)).toBe('52\u00a0tokens/s');
  expect(formatParameters(2_992_208)).toBe('3.0 million');
  expect(formatParameters(20_914_757_184)).toBe('20.9 billion');
});

test.each([
  ['de', ['3,0 Millionen', '20,9 Milliarden']],
  ['ja', ['299.2万', '209.1億']],
])('sizes of models are formatted in the words of %s', async (language, expected) => {
  vi.resetModules();
  vi.doMock('./language/texts.ts', () => ({ language, texts: {} }));
  const format = await import('./format.ts');
  expect([2_992_208, 20_914_757_184].map(format.formatParameters)).toEqual(expected);
});

test('dates are local', () => {
  expect(isoDate(new Date(2026, 0, 5, 23, 59))).toBe('2026-01-05');
});
