import { describe, expect, test } from 'vitest';
import { readBuffer } from './buffers.ts';
import { Gpu, requestAdapter, requestDevice } from './device.ts';

const never = new Promise<never>(() => undefined);

describe('requestDevice', () => {
  test('gives a device with the limits of its adapter', async () => {
    const adapter = await requestAdapter();
    const device = await requestDevice(adapter);
    expect(device.limits.maxBufferSize).toBe(adapter.limits.maxBufferSize);
    expect(device.limits.maxStorageBufferBindingSize).toBe(
      adapter.limits.maxStorageBufferBindingSize,
    );
    device.destroy();
  });

  test('gives a device with the features of its adapter that kernels and the profiler use', async () => {
    const adapter = await requestAdapter();
    const useful = ['timestamp-query', 'shader-f16', 'subgroups'];
    const device = await requestDevice(adapter);
    const had = useful.filter((feature) => adapter.features.has(feature));
    expect(useful.filter((feature) => device.features.has(feature))).toEqual(had);
    expect(had).not.toEqual([]);
    device.destroy();
  });

  test('says what to do if an adapter gives no device', async () => {
    const adapter = {
      features: new Set(),
      limits: {},
      requestDevice: () => Promise.reject(new Error('adapter is consumed')),
    } as unknown as GPUAdapter;
    const request = requestDevice(adapter);
    await expect(request).rejects.toMatchObject({ code: 'webgpu-unavailable' });
    await expect(request).rejects.toThrow(/adapter is consumed.*[Rr]eload/s);
  });
});

describe('a lost device', () => {
  test('fails what waits for it, and whatever comes later', async () => {
    const device = await requestDevice();
    const gpu = new Gpu(device);
    const waiting = gpu.settle(never);
    device.destroy();
    await expect(waiting).rejects.toMatchObject({ code: 'device-lost' });
    await expect(waiting).rejects.toThrow(/destroyed.*Load the model again/s);
    await expect(gpu.settle(never)).rejects.toMatchObject({ code: 'device-lost' });
    await expect(gpu.settle(Promise.resolve(1))).rejects.toMatchObject({ code: 'device-lost' });
    expect(() => gpu.check()).toThrow(/lost/);
  });

  test('fails a read-back that is under way as lost, not as a mapping that was aborted', async () => {
    const device = await requestDevice();
    const gpu = new Gpu(device);
    const buffer = device.createBuffer({ size: 1024, usage: GPUBufferUsage.COPY_SRC });
    const reading = readBuffer(gpu, buffer);
    device.destroy();
    await expect(reading).rejects.toMatchObject({ code: 'device-lost' });
  });

  test('is noticed if it was lost before', async () => {
    const device = await requestDevice();
    device.destroy();
    await device.lost;
    const gpu = new Gpu(device);
    await expect(gpu.settle(never)).rejects.toMatchObject({ code: 'device-lost' });
  });

  test('is no failure of what was disposed of before', async () => {
    const device = await requestDevice();
    const gpu = new Gpu(device);
    gpu.dispose();
    device.destroy();
    await device.lost;
    expect(() => gpu.check()).not.toThrow();
  });
});

describe('an error that nobody caught', () => {
  test('fails what waits, whatever that waits for, with the GPU’s words', async () => {
    const device = await requestDevice();
    const gpu = new Gpu(device);
    const waiting = gpu.settle(never);
    device.createBuffer({ label: 'wrong', size: 16, usage: GPUBufferUsage.MAP_READ | (1 << 30) });
    device.queue.submit([]); // Chrome sends nothing to the GPU before there is something to submit
    await expect(waiting).rejects.toMatchObject({ code: 'gpu-error' });
    await expect(waiting).rejects.toThrow(/The GPU reported an error: .+/s);
    expect(() => gpu.check()).toThrow(/reported an error/);
    gpu.dispose();
    device.destroy();
  });

  test('is not one that a scope has caught', async () => {
    const device = await requestDevice();
    const gpu = new Gpu(device);
    device.pushErrorScope('validation');
    device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | (1 << 30) });
    expect(await device.popErrorScope()).not.toBeNull();
    await gpu.settle(device.queue.onSubmittedWorkDone());
    expect(() => gpu.check()).not.toThrow();
    gpu.dispose();
    device.destroy();
  });
});

test('work that fails by itself fails as it is', async () => {
  const device = await requestDevice();
  const gpu = new Gpu(device);
  const failure = new Error('not the GPU');
  await expect(gpu.settle(Promise.reject(failure))).rejects.toBe(failure);
  expect(await gpu.settle(Promise.resolve(7))).toBe(7);
  gpu.dispose();
  device.destroy();
});
