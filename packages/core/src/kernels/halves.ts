import { Buffers, readBuffer } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { Kernel, type KernelSource } from '../gpu/kernel.ts';
import { submit } from '../gpu/recorder.ts';
import { kernelSource } from './shaders.ts';

/** How kernels convert f16 and int8 to f32: `native`, by the GPU's conversions, or `exact`, by integers: `lib/halves_*`. */
export type Halves = 'native' | 'exact';

/** Subnormal f16 magnitudes, 0 included. */
const SUBNORMALS = 0x400;

const choices = new WeakMap<Gpu, Promise<Halves>>();

/**
 * {@link chooseHalves}, once for each GPU. A software adapter without f16 emulates the conversions, and the shifts of vectors
 * that weights need before them: `exact` is faster there.
 */
export function halvesOf(gpu: Gpu): Promise<Halves> {
  const { adapterInfo, features } = gpu.device;
  if (adapterInfo.isFallbackAdapter && !features.has('shader-f16')) return Promise.resolve('exact');
  const known = choices.get(gpu) ?? chooseHalves(gpu);
  choices.set(gpu, known);
  return known;
}

/**
 * Tries the GPU's conversion on every subnormal f16, which WGSL lets it flush to zero.
 *
 * @param source - Converts `bits` to `floats`.
 * @throws {@link OssicleError} `out-of-memory`, `device-lost`.
 */
export async function chooseHalves(
  gpu: Gpu,
  source: KernelSource = kernelSource('probe_halves', { libraries: { halves: 'native' } }),
): Promise<Halves> {
  const buffers = new Buffers(gpu, 'probe');
  try {
    // Each magnitude in the low half, and its negative in the high half.
    const pairs = Uint32Array.from({ length: SUBNORMALS }, (_, i) => i | ((i | 0x8000) << 16));
    const bits = buffers.storageOf('bits', pairs);
    const floats = buffers.storage('floats', 8 * SUBNORMALS);
    await buffers.allocated();
    const probe = await Kernel.compile(gpu, source);
    submit(gpu, [probe.dispatch('probe', { bits, floats }, [SUBNORMALS / 64])]);
    const converted = new Float32Array(await readBuffer(gpu, floats));
    const isExact = converted.every((value, i) => {
      const magnitude = (i >> 1) * 2 ** -24;
      return value === (i % 2 === 0 ? magnitude : -magnitude);
    });
    return isExact ? 'native' : 'exact';
  } finally {
    buffers.dispose();
  }
}
