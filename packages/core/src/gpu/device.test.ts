import { expect, test } from 'vitest';
import { Gpu } from './device.ts';

/** A device that is never lost, as far as its state of health goes. */
function createDevice(): GPUDevice {
  const lost = new Promise<never>(() => undefined);
  return Object.assign(new EventTarget(), { lost }) as unknown as GPUDevice;
}

/** Reports an error that no scope caught; says whether anybody has taken it. */
function report(device: GPUDevice, message: string): boolean {
  const event = new Event('uncapturederror', { cancelable: true });
  return !device.dispatchEvent(Object.assign(event, { error: { message } }));
}

test('errors of a device are the failure of all that work on it, until they are disposed of', () => {
  const device = createDevice();
  const [first, second] = [new Gpu(device), new Gpu(device)];
  first.dispose();
  expect(report(device, 'a wrong binding')).toBe(true);
  expect(() => first.check()).not.toThrow();
  expect(() => second.check()).toThrow(/a wrong binding/);
  second.dispose();
  expect(report(device, 'the owner’s own')).toBe(false);
});

test('work that is begun on a device that has failed ends with its failure, and is heard of nowhere else', async () => {
  const device = createDevice();
  const gpu = new Gpu(device);
  report(device, 'a wrong binding');
  // As a map is aborted when its buffer is destroyed. Unhandled, it would end the run of the tests.
  const work = new Promise((_, reject) => setTimeout(() => reject(new Error('aborted'))));
  await expect(gpu.settle(work)).rejects.toThrow(/a wrong binding/);
  await new Promise((resolve) => setTimeout(resolve, 5));
});
