import { expect } from 'vitest';
import { countedDevice } from '../../test/engine.ts';
import { gpuTest } from '../../test/gpu.ts';
import { measureBandwidth } from './bandwidth.ts';
import { Gpu } from './device.ts';

gpuTest('measureBandwidth copies buffers of any size, and releases them', async ({ gpu }) => {
  for (const sizeBytes of [1, 1_000_001]) {
    const { device, counts } = countedDevice(gpu.device);
    const bytesPerSecond = await measureBandwidth(new Gpu(device), sizeBytes);
    expect(bytesPerSecond).toBeGreaterThan(0);
    expect(bytesPerSecond).toBeLessThan(1e15);
    expect(counts.calls.get('copyBufferToBuffer')).toBeGreaterThanOrEqual(2);
    expect(counts.liveBuffers.size).toBe(0);
  }
});
