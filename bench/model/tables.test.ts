import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { planModel } from './dispatches.ts';
import { GPUS, predict } from './predict.ts';
import { performanceTables } from './tables.ts';

test("docs/performance.md has the code's tables; npm run predict writes them", async () => {
  const document = await readFile('docs/performance.md', 'utf8');
  expect(document).toContain(`\n${await performanceTables()}\n`);
});

test('a token of gpt-oss-20b reads 2.6 GB, and 0.4 GB of keys and values at a depth of 16,384', async () => {
  const plan = await planModel();
  const bytes = (depth: number): number =>
    plan.decode(depth).reduce((sum, group) => sum + group.count * group.bytes, 0);
  expect(bytes(1) / 1e9).toBeCloseTo(2.58, 1);
  expect((bytes(16_384) - bytes(1)) / 1e9).toBeCloseTo(0.41, 1);
});

test('a prediction is the gap and the longest of memory, latency and instructions', () => {
  const [gpu] = GPUS;
  if (!gpu) throw new Error('no GPU');
  const group = { kernel: 'linear', part: '', count: 1, flops: 0, reads: 1 };
  const large = { ...group, bytes: 4.3e9, workgroups: 1e6, threads: 256 };
  expect(predict(large, gpu)).toEqual({ microseconds: gpu.gap + 1000, bound: 'memory' });
  const single = predict({ ...large, workgroups: 1 }, gpu);
  expect(single.bound).toBe('latency');
  expect(single.microseconds).toBeGreaterThan(100_000);
  expect(predict({ ...large, bytes: 0 }, gpu)).toEqual({ microseconds: gpu.gap, bound: 'launch' });
});

test('a prompt of 1,024 tokens multiplies twice as much as one of 512, attention aside, and reads the weights twice', async () => {
  const plan = await planModel();
  const [half, whole] = [512, 1024].map((tokens) => {
    const groups = plan.prefill(tokens).filter(({ kernel }) => kernel.startsWith('expert'));
    const sum = (of: 'flops' | 'bytes'): number =>
      groups.reduce((total, group) => total + group.count * group[of], 0);
    return { flops: sum('flops'), bytes: sum('bytes') };
  });
  // 4 experts of each of 24 layers: three matrices of 2880 x 2880.
  expect(half?.flops).toBe(512 * 24 * 4 * 3 * 2 * 2880 ** 2);
  expect(whole?.flops).toBe(2 * (half?.flops ?? 0));
  expect(whole?.bytes).toBe(2 * (half?.bytes ?? 0));
});

test('a prediction counts the instructions of every tile of tokens that decodes the weights, and those that multiply', () => {
  const [gpu] = GPUS;
  if (!gpu) throw new Error('no GPU');
  const group = { kernel: 'linear_tiled', part: '', count: 1, workgroups: 1e6, threads: 256 };
  const microseconds = (bytes: number, flops: number, reads: number): number =>
    predict({ ...group, bytes, flops, reads }, gpu).microseconds - gpu.gap;
  expect(microseconds(0, 2e12, 1)).toBeCloseTo(1.6e9 / gpu.instructions, 3);
  expect(microseconds(1e6, 0, 40)).toBeCloseTo(2 * microseconds(1e6, 0, 20), 9);
});
