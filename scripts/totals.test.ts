import { expect, test } from 'vitest';
import { totalsLine } from './totals.ts';

const totals = { passed: 1508, failed: 2, skipped: 0, failures: [] };

test('the last line of a run has skipped tests if there are any', () => {
  expect(totalsLine(totals)).toBe('1508 passed, 2 failed');
  expect(totalsLine({ ...totals, skipped: 9 })).toBe('1508 passed, 2 failed, 9 skipped');
});
