import { describe, expect } from 'vitest';
import { countedDevice } from '../../test/engine.ts';
import { gpuTest } from '../../test/gpu.ts';
import { Buffers, readBuffer } from './buffers.ts';
import { Gpu } from './device.ts';

describe('buffers', () => {
  gpuTest('are labelled with their owner, counted, and released together', async ({ gpu }) => {
    const { device, counts } = countedDevice(gpu.device);
    const buffers = new Buffers(new Gpu(device), 'weights');
    const first = buffers.storage('embedding', 100);
    buffers.storageOf('norm', Float32Array.of(1, 2, 3));
    buffers.storage('nothing', 0);
    await buffers.allocated();
    expect(first.label).toBe('weights/embedding');
    expect(buffers.sizeBytes).toBe(100 + 12 + 4);
    buffers.release(first);
    buffers.release(first);
    expect(buffers.sizeBytes).toBe(16);
    expect([...counts.liveBuffers.values()]).toEqual(['weights/norm', 'weights/nothing']);
    buffers.dispose();
    expect(buffers.sizeBytes).toBe(0);
    expect(counts.liveBuffers.size).toBe(0);
  });

  gpuTest(
    'round sizes up to whole words, and are read back whole or in part',
    async ({ gpu, buffers }) => {
      expect(buffers.storage('odd', 5).size).toBe(8);
      const words = buffers.storageOf('words', Uint32Array.of(1, 2, 3, 4));
      expect([...new Uint32Array(await readBuffer(gpu, words))]).toEqual([1, 2, 3, 4]);
      expect([...new Uint32Array(await readBuffer(gpu, words, 8))]).toEqual([3, 4]);
      expect([...new Uint32Array(await readBuffer(gpu, words, 4, 8))]).toEqual([2, 3]);
    },
  );

  gpuTest('of equal parameters are shared', async ({ buffers }) => {
    const params = buffers.params(1, 2);
    expect(buffers.params(1, 2)).toBe(params);
    expect(buffers.params(1, 2, 0)).not.toBe(params);
    expect(params.size).toBe(16);
    expect(buffers.params(1, 2, 3, 4, 5).size).toBe(32);
  });

  gpuTest(
    'larger than the device allows throw an error with the sizes',
    async ({ gpu, buffers }) => {
      const { maxBufferSize } = gpu.device.limits;
      const create = () => buffers.storage('keys.0', maxBufferSize + 4);
      expect(create).toThrow(expect.objectContaining({ code: 'device-unsuitable' }));
      expect(create).toThrow(/test\/keys\.0 needs a buffer of \d+ MiB.*allows \d+ MiB/);
      await buffers.allocated();
    },
  );

  gpuTest('that do not fit into GPU memory reject every allocated()', async ({ gpu }) => {
    let isFull = true;
    const popErrorScope = async () => {
      await gpu.device.popErrorScope();
      return isFull ? new GPUOutOfMemoryError('no memory') : null;
    };
    const { device } = countedDevice(gpu.device, { methods: { popErrorScope } });
    const buffers = new Buffers(new Gpu(device), 'session');
    buffers.storage('keys.0', 2 ** 20);
    await gpu.device.queue.onSubmittedWorkDone();
    isFull = false;
    buffers.storage('keys.1', 2 ** 20);
    for (let i = 0; i < 2; i++) {
      await expect(buffers.allocated()).rejects.toMatchObject({ code: 'out-of-memory' });
      await expect(buffers.allocated()).rejects.toThrow(/no room for session\/keys\.0 \(1 MiB/);
    }
    buffers.dispose();
  });
});
