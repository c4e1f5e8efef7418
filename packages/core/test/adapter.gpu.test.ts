import { expect, test } from 'vitest';
import { readTestFile, testFileUrl } from './files.ts';

test('an adapter and a device are there', async () => {
  const adapter = await navigator.gpu.requestAdapter();
  expect(adapter).not.toBeNull();
  const device = await adapter!.requestDevice();
  expect(device.limits.maxStorageBufferBindingSize).toBeGreaterThanOrEqual(128 * 2 ** 20);
  expect(GPUBufferUsage.STORAGE).toBe(0x80);
  device.destroy();
});

test('the file server answers whole files, ranges and missing files as a static host does', async () => {
  const path = 'packages/core/test/golden/tiny/hf/model-00000-of-00002.safetensors';
  const whole = await readTestFile(path);
  expect(whole.length).toBe(771360);
  const part = await fetch(testFileUrl(path), { headers: { Range: 'bytes=8-15' } });
  expect(part.status).toBe(206);
  expect(part.headers.get('content-range')).toBe('bytes 8-15/771360');
  expect(new Uint8Array(await part.arrayBuffer())).toEqual(whole.slice(8, 16));
  expect((await fetch(testFileUrl('packages/core/test/golden/none.json'))).status).toBe(404);
});
