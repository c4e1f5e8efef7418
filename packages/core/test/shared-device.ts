import { requestDevice } from '../src/gpu/device.ts';

/** Where the device is kept, whether or not the files of a run share their modules. */
const KEY = Symbol.for('ossicle.testDevice');

const host = globalThis as { [KEY]?: GPUDevice };

/**
 * The device of all tests of a run that do not lose theirs: what several of them compile, a device compiles once. Never
 * destroy it.
 */
export async function sharedDevice(): Promise<GPUDevice> {
  const device = host[KEY] ?? (await requestDevice());
  host[KEY] = device;
  return device;
}
