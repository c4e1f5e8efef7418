import { expect, test } from 'vitest';
import { gpuTest } from '../../test/gpu.ts';
import { isOssicleError } from '../errors.ts';
import { Gpu, requestAdapter } from './device.ts';
import { type Dispatch, Kernel } from './kernel.ts';
import { profile, timePasses } from './profiler.ts';

/** y[i] = 3 y[i] + 1, `ROUNDS` times in u32 arithmetic. */
const AFFINE = /* wgsl */ `
override ROUNDS = 1;
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64)
fn affine(@builtin(global_invocation_id) id: vec3u) {
  var value = y[id.x];
  for (var i = 0; i < ROUNDS; i++) { value = 3 * value + 1; }
  y[id.x] = value;
}`;

/** A test that needs timestamps. */
const timedTest = gpuTest.requiring('timestamp-query');

function compile(gpu: Gpu, rounds = 1): Promise<Kernel> {
  return Kernel.compile(gpu, {
    entryPoint: 'affine',
    files: [{ path: 'affine.wgsl', wgsl: AFFINE }],
    constants: { ROUNDS: rounds },
  });
}

timedTest('dispatches run in order, and each has a row with its time', async (gpu) => {
  const kernel = await compile(gpu.gpu, 500);
  const y = gpu.upload(Uint32Array.from({ length: 4096 }, (_, i) => i));
  const dispatches = ['first', 'second'].map((label) => kernel.dispatch(label, { y }, [64]));
  const rows = await profile(gpu.gpu, dispatches);
  expect(rows.map(({ label, kernel: name, workgroups }) => [label, name, workgroups])).toEqual([
    ['first', 'affine', [64, 1, 1]],
    ['second', 'affine', [64, 1, 1]],
  ]);
  for (const { nanoseconds } of rows) expect(Number.isSafeInteger(nanoseconds)).toBe(true);
  expect(rows[0]!.startNanoseconds).toBe(0);
  expect(rows[1]!.startNanoseconds).toBeGreaterThanOrEqual(rows[0]!.nanoseconds);
  const expected = Uint32Array.from({ length: 4096 }, (_, i) => affine(i, 1000));
  expect(await gpu.words(y)).toEqual(expected);
});

timedTest('more dispatches than fit in a query set are all run and timed', async (gpu) => {
  const kernel = await compile(gpu.gpu);
  const y = gpu.upload(Uint32Array.from({ length: 64 }, (_, i) => i));
  const dispatches: Dispatch[] = new Array(2050).fill(kernel.dispatch('step', { y }, [1]));
  const rows = await profile(gpu.gpu, dispatches);
  expect(rows).toHaveLength(2050);
  const starts = rows.map(({ startNanoseconds }) => startNanoseconds);
  expect(starts).toEqual([...starts].sort((a, b) => a - b));
  expect(await gpu.words(y)).toEqual(Uint32Array.from({ length: 64 }, (_, i) => affine(i, 2050)));
});

timedTest('a pass of several dispatches has one time, and no passes have none', async (gpu) => {
  const kernel = await compile(gpu.gpu);
  const y = gpu.upload(Uint32Array.of(5, ...new Array(63).fill(0)));
  const dispatch = kernel.dispatch('step', { y }, [1]);
  expect(await timePasses(gpu.gpu, [[dispatch, dispatch, dispatch], []])).toHaveLength(2);
  expect((await gpu.words(y))[0]).toBe(affine(5, 3));
  expect(await timePasses(gpu.gpu, [])).toEqual([]);
});

test('a device without timestamps is rejected with the reason', async () => {
  const device = await (await requestAdapter()).requestDevice();
  const gpu = new Gpu(device);
  const error = await profile(gpu, []).catch((reason: unknown) => reason);
  gpu.dispose();
  device.destroy();
  expect(isOssicleError(error) && error.code).toBe('device-unsuitable');
  expect(String(error)).toContain('timestamp-query');
});

function affine(value: number, rounds: number): number {
  for (let i = 0; i < rounds; i++) value = (Math.imul(3, value) + 1) >>> 0;
  return value;
}
