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
