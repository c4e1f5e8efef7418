import { expect, inject, test } from 'vitest';
import { FaultSession } from '../../test/fault-session.ts';
import { StoreWorker } from '../../test/store-client.ts';
import { checkSupport } from './check-support.ts';
import { store } from './model-store.ts';

test('a report counts the bytes that a stopped download has not fetched', async () => {
  const session = await FaultSession.start(inject('faultServer'), {
    folder: 'packages/core/test/golden/tiny/hf',
  });
  const worker = new StoreWorker();
  const stopped = worker.call('download', session.url, { abortAtBytes: 1_500_000, slowMs: 5 });
  await expect(stopped).rejects.toThrow('enough');
  worker.end();
  const stored = (await store.list()).find(({ id }) => id === session.url);
  expect(stored?.sizeBytes).toBeGreaterThan(0);
  const { model } = await checkSupport(session.url);
  expect(model).toMatchObject({ isStored: false, totalBytes: stored?.totalBytes });
  expect(model?.missingBytes).toBe((stored?.totalBytes ?? 0) - (stored?.sizeBytes ?? 0));
  await store.remove(session.url);
});
