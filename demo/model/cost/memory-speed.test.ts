import type { AdapterSummary, SupportReport } from 'ossicle';
import { beforeEach, expect, test, vi } from 'vitest';
import { keepMemorySpeed, readMemorySpeed } from './memory-speed.ts';

const adapter: AdapterSummary = {
  ...{ vendor: 'acme', architecture: 'one', description: 'Toaster' },
  ...{ maxBufferBytes: 2 ** 28, maxBindingBytes: 2 ** 27 },
};
const other: AdapterSummary = { ...adapter, architecture: 'two' };
const speed = { maxTokensPerSecond: 50, bytesPerToken: 2e9, bytesPerSecond: 1e11 };
const report: SupportReport = { isSupported: true, reasons: [], adapter, speed };

beforeEach(() => {
  const stored = new Map<string, string>();
  vi.stubGlobal('location', { href: 'https://demo.example/' });
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, text: string) => stored.set(key, text),
  });
  return () => vi.unstubAllGlobals();
});

test('returns the speed that the last check of the GPU measured', () => {
  expect(readMemorySpeed(adapter, 2e9)).toBeUndefined();
  keepMemorySpeed(report);
  keepMemorySpeed({ isSupported: false, reasons: ['No.'], adapter });
  expect(readMemorySpeed(adapter, 2e9)).toBe(1e11);
  expect(readMemorySpeed(other, 2e9)).toBeUndefined();
});

test('leaves out models that a cache may hold', () => {
  keepMemorySpeed({ ...report, speed: { ...speed, bytesPerToken: 3e6, bytesPerSecond: 9e12 } });
  expect(readMemorySpeed(adapter, 2e9)).toBeUndefined();
  keepMemorySpeed(report);
  expect(readMemorySpeed(adapter, 3e6)).toBeUndefined();
});

test.each(['', 'fast', '-1', 'Infinity'])('ignores a stored speed of %o', (text) => {
  keepMemorySpeed(report);
  vi.spyOn(localStorage, 'getItem').mockReturnValue(text);
  expect(readMemorySpeed(adapter, 2e9)).toBeUndefined();
});
