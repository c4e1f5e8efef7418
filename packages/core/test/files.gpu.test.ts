import { expect, test } from 'vitest';
import { readTestFile, testFileUrl } from './files.ts';

test('test files are served whole and in ranges, and missing ones with 404', async () => {
  const path = 'packages/core/test/golden/tiny/hf/model-00000-of-00002.safetensors';
  const whole = await readTestFile(path);
  expect(whole.length).toBe(771360);
  const part = await fetch(testFileUrl(path), { headers: { Range: 'bytes=8-15' } });
  expect(part.status).toBe(206);
  expect(part.headers.get('content-range')).toBe('bytes 8-15/771360');
  expect(new Uint8Array(await part.arrayBuffer())).toEqual(whole.slice(8, 16));
  expect((await fetch(testFileUrl('packages/core/test/golden/none.json'))).status).toBe(404);
});
