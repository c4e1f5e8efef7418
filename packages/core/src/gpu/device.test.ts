import { expect, test } from 'vitest';
import { Gpu } from './device.ts';

/** A fake device that is never lost. */
function createDevice(): GPUDevice {
  const lost = new Promise<never>(() => undefined);
  return Object.assign(new EventTarget(), { lost }) as unknown as GPUDevice;
}

/** Dispatches an uncaptured error; returns whether a listener prevented its default. */
function report(device: GPUDevice, message: string): boolean {
  const event = new Event('uncapturederror', { cancelable: true });
  return !device.dispatchEvent(Object.assign(event, { error: { message } }));
}

test('an uncaptured error fails every Gpu of the device that is not disposed of', () => {
  const device = createDevice();
  const [first, second] = [new Gpu(device), new Gpu(device)];
  first.dispose();
  expect(report(device, 'a wrong binding')).toBe(true);
  expect(() => first.check()).not.toThrow();
  expect(() => second.check()).toThrow(/a wrong binding/);
  second.dispose();
  expect(report(device, 'the owner’s own')).toBe(false);
});

test('work started on a failed device rejects with its failure, without an unhandled rejection', async () => {
  const device = createDevice();
  const gpu = new Gpu(device);
  report(device, 'a wrong binding');
  // Like a map aborted when its buffer is destroyed. Unhandled, it would fail the test run.
  const work = new Promise((_, reject) => setTimeout(() => reject(new Error('aborted'))));
  await expect(gpu.settle(work)).rejects.toThrow(/a wrong binding/);
  await new Promise((resolve) => setTimeout(resolve, 5));
});
