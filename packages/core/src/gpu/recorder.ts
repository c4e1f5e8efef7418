import type { Gpu } from './device.ts';
import type { Dispatch } from './kernel.ts';

/**
 * Encodes dispatches, in order, into one compute pass.
 *
 * @param timestampWrites - Where to write the timestamps of the pass's beginning and end, if anywhere.
 */
export function encode(
  encoder: GPUCommandEncoder,
  dispatches: readonly Dispatch[],
  timestampWrites?: GPUComputePassTimestampWrites,
): void {
  const pass = encoder.beginComputePass(timestampWrites && { timestampWrites });
  let pipeline: GPUComputePipeline | undefined;
  for (const dispatch of dispatches) {
    if (dispatch.pipeline !== pipeline) pass.setPipeline(dispatch.pipeline);
    pipeline = dispatch.pipeline;
    pass.setBindGroup(0, dispatch.bindGroup);
    pass.dispatchWorkgroups(...dispatch.workgroups);
  }
  pass.end();
}

/** Submits dispatches as one pass. */
export function submit(gpu: Gpu, dispatches: readonly Dispatch[]): void {
  gpu.check();
  const encoder = gpu.device.createCommandEncoder();
  encode(encoder, dispatches);
  gpu.device.queue.submit([encoder.finish()]);
}

/**
 * Leaves out the workgroups that lie beyond the end of a sequence that grows. Pipelines and bind groups stay the same.
 *
 * @param length - At least the length of the sequence.
 */
export function limitGrids(dispatches: readonly Dispatch[], length: number): Dispatch[] {
  return dispatches.map((dispatch) => {
    if (dispatch.elementsPerWorkgroup === undefined) return dispatch;
    const [x, y, z] = dispatch.workgroups;
    const needed = Math.ceil(length / dispatch.elementsPerWorkgroup);
    return { ...dispatch, workgroups: [x, Math.min(y, needed), z] };
  });
}
