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

test('the speed of a memory is that of the last check of its GPU that measured it', () => {
  expect(readMemorySpeed(adapter)).toBeUndefined();
  keepMemorySpeed(report);
  keepMemorySpeed({ isSupported: false, reasons: ['No.'], adapter });
  expect(readMemorySpeed(adapter)).toBe(1e11);
  expect(readMemorySpeed(other)).toBeUndefined();
});

test.each(['', 'fast', '-1', 'Infinity'])('a speed that reads %o is none', (text) => {
  keepMemorySpeed(report);
  vi.spyOn(localStorage, 'getItem').mockReturnValue(text);
  expect(readMemorySpeed(adapter)).toBeUndefined();
});
