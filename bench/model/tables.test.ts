import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { planDecode } from './dispatches.ts';
import { GPUS, predict } from './predict.ts';
import { performanceTables } from './tables.ts';

test("docs/performance.md has the code's tables; npm run predict writes them", async () => {
  const document = await readFile('docs/performance.md', 'utf8');
  expect(document).toContain(`\n${await performanceTables()}\n`);
});

test('a token of gpt-oss-20b reads 2.6 GB, and 0.4 GB of keys and values at a depth of 16,384', async () => {
  const bytes = async (depth: number): Promise<number> =>
    (await planDecode(depth)).reduce((sum, group) => sum + group.count * group.bytes, 0);
  const short = await bytes(1);
  expect(short / 1e9).toBeCloseTo(2.58, 1);
  expect(((await bytes(16_384)) - short) / 1e9).toBeCloseTo(0.41, 1);
});

test('a prediction is the gap and the longest of memory, latency and instructions', () => {
  const [gpu] = GPUS;
  if (!gpu) throw new Error('no GPU');
  const group = { kernel: 'linear', part: '', count: 1, flops: 0 };
  const large = { ...group, bytes: 4.3e9, workgroups: 1e6, threads: 256 };
  expect(predict(large, gpu)).toEqual({ microseconds: gpu.gap + 1000, bound: 'memory' });
  const single = predict({ ...large, workgroups: 1 }, gpu);
  expect(single.bound).toBe('latency');
  expect(single.microseconds).toBeGreaterThan(100_000);
  expect(predict({ ...large, bytes: 0 }, gpu)).toEqual({ microseconds: gpu.gap, bound: 'launch' });
});
