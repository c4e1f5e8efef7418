import type { Buffers } from '../../packages/core/src/gpu/buffers.ts';
import type { Gpu } from '../../packages/core/src/gpu/device.ts';
import { type Cost, type Dispatch, Kernel } from '../../packages/core/src/gpu/kernel.ts';

const INVOCATIONS = 256;
const LOADS = 16;
const BYTES_PER_WORKGROUP = INVOCATIONS * LOADS * 16;

/** Most bytes of a buffer that is read: several make up the memory that is read. */
const BUFFER_BYTES = 256 * 2 ** 20;

/** Reads a buffer in coalesced loads of 16 bytes, and writes nothing: the sum of zeros is never the one that it asks for. */
const READ_BUFFER = /* wgsl */ `
@group(0) @binding(0) var<storage, read> source: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> found: array<u32>;
@compute @workgroup_size(${INVOCATIONS})
fn read_buffer(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * ${INVOCATIONS * LOADS} + lane;
  var sum = vec4u(0);
  for (var i = 0u; i < ${LOADS}; i++) { sum += source[first + i * ${INVOCATIONS}]; }
  if (all(sum == vec4u(1, 2, 3, 4))) { found[0] = group.x; }
}`;

const CHAINS = 8;
const STEPS = 256;
const MATH_WORKGROUPS = 2048;

/** Multiplies and adds in ${CHAINS} independent chains of vectors of an invocation. */
const MULTIPLY_ADD = /* wgsl */ `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> found: array<u32>;
@compute @workgroup_size(${INVOCATIONS})
fn multiply_add(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let a = source[lane];
  ${chains((i) => `var x${i} = a + ${i}.0;`)}
  for (var i = 0u; i < ${STEPS}; i++) {
    ${chains((i) => `x${i} = fma(x${i}, a, a);`)}
  }
  if (all(${chains((i) => `x${i}`, ' + ')} == vec4f(1, 2, 3, 4))) { found[0] = group.x; }
}`;

function chains(text: (chain: number) => string, separator = '\n  '): string {
  return Array.from({ length: CHAINS }, (_, i) => text(i)).join(separator);
}

/** Dispatches, and what they do. */
export interface Ceiling {
  readonly dispatches: readonly Dispatch[];
  readonly cost: Cost;
}

/** Reads memory as fast as it can be read: what the bytes of kernels are compared with. */
export async function readCeiling(gpu: Gpu, buffers: Buffers, maxBytes: number): Promise<Ceiling> {
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.device.limits;
  const most = Math.min(maxBytes, BUFFER_BYTES, maxStorageBufferBindingSize, maxBufferSize);
  const workgroups = Math.min(65_535, Math.max(1, Math.floor(most / BYTES_PER_WORKGROUP)));
  const bytes = workgroups * BYTES_PER_WORKGROUP;
  const count = Math.max(1, Math.floor(maxBytes / bytes));
  const kernel = await Kernel.compile(gpu, {
    entryPoint: 'read_buffer',
    files: [{ path: 'read_buffer.wgsl', wgsl: READ_BUFFER }],
  });
  const found = buffers.storage('read/found', 4);
  const dispatches = Array.from({ length: count }, (_, i) => {
    const source = buffers.storage(`read/source.${i}`, bytes);
    return kernel.dispatch('read', { source, found }, [workgroups]);
  });
  return { dispatches, cost: { bytes: count * bytes, flops: 0 } };
}

/** Multiplies and adds f32 as fast as it can be done: what the arithmetic of kernels is compared with. */
export async function mathCeiling(gpu: Gpu, buffers: Buffers): Promise<Ceiling> {
  const kernel = await Kernel.compile(gpu, {
    entryPoint: 'multiply_add',
    files: [{ path: 'multiply_add.wgsl', wgsl: MULTIPLY_ADD }],
  });
  const resources = {
    source: buffers.storage('math/source', 16 * INVOCATIONS),
    found: buffers.storage('math/found', 4),
  };
  return {
    dispatches: [kernel.dispatch('math', resources, [MATH_WORKGROUPS])],
    cost: { bytes: 0, flops: 2 * 4 * CHAINS * STEPS * INVOCATIONS * MATH_WORKGROUPS },
  };
}
