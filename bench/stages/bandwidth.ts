import type { Buffers } from '../../packages/core/src/gpu/buffers.ts';
import type { Gpu } from '../../packages/core/src/gpu/device.ts';
import { type Dispatch, Kernel } from '../../packages/core/src/gpu/kernel.ts';

const INVOCATIONS = 256;
const LOADS = 16;
const BYTES_PER_WORKGROUP = INVOCATIONS * LOADS * 16;

/** Sums a buffer in coalesced 16-byte loads: about as fast as memory can be read. */
const READ_BUFFER = /* wgsl */ `
@group(0) @binding(0) var<storage, read> source: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4u>;
@compute @workgroup_size(${INVOCATIONS})
fn read_buffer(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * ${INVOCATIONS * LOADS} + lane;
  var sum = vec4u(0);
  for (var i = 0u; i < ${LOADS}; i++) { sum += source[first + i * ${INVOCATIONS}]; }
  sums[group.x * ${INVOCATIONS} + lane] = sum; // writes 1/${LOADS} of what it reads
}`;

/** Dispatches that read as much memory as one binding allows: the speed to compare kernels with. */
export async function readDispatches(
  gpu: Gpu,
  buffers: Buffers,
  maxBytes: number,
): Promise<{ dispatches: readonly Dispatch[]; bytes: number }> {
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.device.limits;
  const most = Math.min(maxBytes, maxStorageBufferBindingSize, maxBufferSize);
  const workgroups = Math.min(65_535, Math.max(1, Math.floor(most / BYTES_PER_WORKGROUP)));
  const bytes = workgroups * BYTES_PER_WORKGROUP;
  const kernel = await Kernel.compile(gpu, {
    entryPoint: 'read_buffer',
    files: [{ path: 'read_buffer.wgsl', wgsl: READ_BUFFER }],
  });
  const resources = {
    source: buffers.storage('read/source', bytes),
    sums: buffers.storage('read/sums', bytes / LOADS),
  };
  return { dispatches: [kernel.dispatch('read', resources, [workgroups])], bytes };
}
