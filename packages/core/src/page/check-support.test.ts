import { expect, test } from 'vitest';
import { checkSupport } from './check-support.ts';
import { load } from './load.ts';

test('a report gives the reason if no worker can be started, as load() does', async () => {
  const { isSupported, reasons } = await checkSupport('openai/gpt-oss-20b');
  expect(isSupported).toBe(false);
  expect(reasons).toEqual([expect.stringMatching(/ossicle needs a page.*createEngine/)]);
  await expect(load()).rejects.toMatchObject({ code: 'worker-failed', message: reasons[0] });
});

test('wrong arguments and aborts reject instead of being reported', async () => {
  await expect(checkSupport('nonsense')).rejects.toThrow(TypeError);
  const reason = new Error('enough');
  const signal = AbortSignal.abort(reason);
  await expect(checkSupport(undefined, { signal })).rejects.toBe(reason);
});
