import { expect, test } from 'vitest';
import { Queue } from './queue.ts';

test('tasks run one at a time, in the order in which they were added, even if earlier ones fail', async () => {
  const queue = new Queue();
  const log: string[] = [];
  const task = (name: string, fails = false) =>
    queue.run(async () => {
      log.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, 1));
      log.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    });
  const results = await Promise.allSettled([task('a'), task('b', true), task('c')]);
  expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  expect(results).toMatchObject([{ value: 'a' }, { reason: { message: 'b' } }, { value: 'c' }]);
});

test('a task that is added while another runs waits for it', async () => {
  const queue = new Queue();
  const log: string[] = [];
  let inner: Promise<unknown> = Promise.resolve();
  await queue.run(async () => {
    inner = queue.run(async () => log.push('inner'));
    await Promise.resolve();
    log.push('outer');
  });
  await inner;
  expect(log).toEqual(['outer', 'inner']);
});

test('a task that is aborted before its turn rejects at once and never runs', async () => {
  const queue = new Queue();
  let end: () => void = () => undefined;
  const first = queue.run(
    () =>
      new Promise<void>((resolve) => {
        end = resolve;
      }),
  );
  let hasRun = false;
  const task = async (): Promise<void> => {
    hasRun = true;
  };
  const later = new AbortController();
  const waiting = queue.run(task, later.signal);
  await expect(queue.run(task, AbortSignal.abort('before'))).rejects.toBe('before');
  later.abort('later');
  await expect(waiting).rejects.toBe('later');
  end();
  await first;
  await queue.run(async () => undefined);
  expect(hasRun).toBe(false);
});
