import { expect, test, vi } from 'vitest';
import { OssicleError } from '../errors.ts';
import { parseRetryAfter, RETRY_POLICY, RequestFailure, Retries } from './retry.ts';

test('waits double, follow Retry-After, and end on an abort', async () => {
  vi.useFakeTimers();
  try {
    const error = new OssicleError('download-failed', 'no');
    const waited = async (retries: Retries, retryAfterMs?: number): Promise<number> => {
      const start = Date.now();
      const wait = retries.wait(new RequestFailure(error, Infinity, retryAfterMs), true);
      await vi.runAllTimersAsync();
      await wait;
      return Date.now() - start;
    };
    const retries = new Retries(RETRY_POLICY, undefined);
    for (const longest of [500, 1000, 2000, 4000]) {
      const ms = await waited(retries);
      expect(ms).toBeLessThanOrEqual(longest);
      expect(ms).toBeGreaterThanOrEqual(longest / 2);
    }
    expect(await waited(retries, 60_000)).toBe(60_000);
    retries.received(RETRY_POLICY.minBytesPerSecond);
    expect(await waited(retries)).toBeLessThanOrEqual(500);

    const controller = new AbortController();
    const aborted = new Retries(RETRY_POLICY, controller.signal).wait(
      new RequestFailure(error),
      true,
    );
    controller.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
  } finally {
    vi.useRealTimers();
  }
});

test('Retry-After is parsed as seconds or as a date', () => {
  const now = Date.parse('Fri, 01 Aug 2025 12:00:00 GMT');
  expect(parseRetryAfter('7', now)).toBe(7000);
  expect(parseRetryAfter('Fri, 01 Aug 2025 12:01:00 GMT', now)).toBe(60_000);
  expect(parseRetryAfter('Fri, 01 Aug 2025 11:00:00 GMT', now)).toBe(0);
  expect(parseRetryAfter('soon', now)).toBeUndefined();
  expect(parseRetryAfter(null, now)).toBeUndefined();
});

test('attempts that bring nothing are in a row, however slow a source may be', async () => {
  const policy = { ...RETRY_POLICY, minBytesPerSecond: 0, firstDelayMs: 0 };
  const retries = new Retries(policy, undefined);
  const error = new OssicleError('download-failed', 'no');
  const fail = (): Promise<void> => retries.wait(new RequestFailure(error), true);
  for (let i = 1; i < policy.attempts; i++) await fail();
  await expect(fail()).rejects.toBe(error);
});
