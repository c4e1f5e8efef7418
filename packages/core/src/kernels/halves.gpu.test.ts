import { expect } from 'vitest';
import { gpuTest, type TestGpu } from '../../test/gpu.ts';
import { fromF16 } from '../../test/number-formats.ts';
import { Kernel } from '../gpu/kernel.ts';
import { chooseHalves, type Halves } from './halves.ts';
import { kernelSource } from './shaders.ts';

/** Magnitudes of f16 up to infinity, and some again, to fill workgroups of 64. */
const MAGNITUDES = Uint32Array.from({ length: 0x7c40 }, (_, i) => i % 0x7c01);

/** Each magnitude, and its negative. */
async function convert(gpu: TestGpu, halves: Halves): Promise<Float32Array> {
  const source = kernelSource('probe_halves', { libraries: { halves } });
  const kernel = await Kernel.compile(gpu.gpu, source);
  const bits = gpu.upload(MAGNITUDES.map((bits) => bits | ((bits | 0x8000) << 16)));
  const floats = gpu.empty(2 * MAGNITUDES.length);
  gpu.run(kernel.dispatch('probe', { bits, floats }, [MAGNITUDES.length / 64]));
  return new Float32Array((await gpu.words(floats)).slice().buffer);
}

/** The first f16, as bits, whose conversion differs, and what became of it. */
function firstDifference(floats: Float32Array): readonly [bits: number, value: number] | undefined {
  for (const [i, value] of floats.entries()) {
    const bits = MAGNITUDES[i >> 1]! | (i % 2 === 0 ? 0 : 0x8000);
    if (value !== fromF16(bits)) return [bits, value];
  }
  return undefined;
}

gpuTest('halves_exact converts every f16 exactly', async (gpu) => {
  expect(firstDifference(await convert(gpu, 'exact'))).toBeUndefined();
});

gpuTest('halves_native is chosen exactly where it converts every f16 exactly', async (gpu) => {
  const isExact = firstDifference(await convert(gpu, 'native')) === undefined;
  expect(await chooseHalves(gpu.gpu)).toBe(isExact ? 'native' : 'exact');
});

gpuTest('halves_exact is chosen if the conversion flushes subnormals', async ({ gpu }) => {
  const { files, ...source } = kernelSource('probe_halves', { libraries: { halves: 'exact' } });
  const flushing = files.map(({ path, wgsl }) => ({
    path,
    wgsl: wgsl.replace('= halves(', '= flushed('),
  }));
  const wgsl =
    'fn flushed(bits: u32) -> vec2f { let f = halves(bits); return select(f, vec2f(), abs(f) < vec2f(0x1p-14)); }';
  expect(await chooseHalves(gpu, { ...source, files })).toBe('native');
  expect(await chooseHalves(gpu, { ...source, files: [...flushing, { path: 'test', wgsl }] })).toBe(
    'exact',
  );
});
