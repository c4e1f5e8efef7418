import { describe, expect, test } from 'vitest';
import { readBuffer } from './buffers.ts';
import { Gpu, requestAdapter, requestDevice } from './device.ts';

const never = new Promise<never>(() => undefined);

describe('requestDevice', () => {
  test('returns a device with the limits of its adapter', async () => {
    const adapter = await requestAdapter();
    const device = await requestDevice(adapter);
    expect(device.limits.maxBufferSize).toBe(adapter.limits.maxBufferSize);
    expect(device.limits.maxStorageBufferBindingSize).toBe(
      adapter.limits.maxStorageBufferBindingSize,
    );
    device.destroy();
  });

  test('returns a device with the adapter features that kernels and the profiler use', async () => {
    const adapter = await requestAdapter();
    const useful = ['timestamp-query', 'shader-f16', 'subgroups'];
    const device = await requestDevice(adapter);
    const had = useful.filter((feature) => adapter.features.has(feature));
    expect(useful.filter((feature) => device.features.has(feature))).toEqual(had);
    expect(had).not.toEqual([]);
    device.destroy();
  });

  test('says what to do if the adapter fails to create a device', async () => {
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
  test('rejects pending and later work', async () => {
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

  test('rejects a pending read-back with device-lost, not with an aborted mapping', async () => {
    const device = await requestDevice();
    const gpu = new Gpu(device);
    const buffer = device.createBuffer({ size: 1024, usage: GPUBufferUsage.COPY_SRC });
    const reading = readBuffer(gpu, buffer);
    device.destroy();
    await expect(reading).rejects.toMatchObject({ code: 'device-lost' });
  });

  test('is detected if it was lost before the Gpu was created', async () => {
    const device = await requestDevice();
    device.destroy();
    await device.lost;
    const gpu = new Gpu(device);
    await expect(gpu.settle(never)).rejects.toMatchObject({ code: 'device-lost' });
  });

  test('does not fail a Gpu disposed of before the loss', async () => {
    const device = await requestDevice();
    const gpu = new Gpu(device);
    gpu.dispose();
    device.destroy();
    await device.lost;
    expect(() => gpu.check()).not.toThrow();
  });
});

describe('an uncaptured error', () => {
  test('rejects all pending work with the message of the GPU', async () => {
    const device = await requestDevice();
    const gpu = new Gpu(device);
    const waiting = gpu.settle(never);
    device.createBuffer({ label: 'wrong', size: 16, usage: GPUBufferUsage.MAP_READ | (1 << 30) });
    device.queue.submit([]); // Chrome sends nothing to the GPU before the first submit
    await expect(waiting).rejects.toMatchObject({ code: 'gpu-error' });
    await expect(waiting).rejects.toThrow(/The GPU reported an error: .+/s);
    expect(() => gpu.check()).toThrow(/reported an error/);
    gpu.dispose();
    device.destroy();
  });

  test('does not include an error caught by an error scope', async () => {
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

test('settle() passes on results and errors of work on a healthy device', async () => {
  const device = await requestDevice();
  const gpu = new Gpu(device);
  const failure = new Error('not the GPU');
  await expect(gpu.settle(Promise.reject(failure))).rejects.toBe(failure);
  expect(await gpu.settle(Promise.resolve(7))).toBe(7);
  gpu.dispose();
  device.destroy();
});
