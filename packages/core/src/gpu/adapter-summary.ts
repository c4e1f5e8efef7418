import type { AdapterSummary } from '../types/load.ts';

/** Describes the adapter of a device, or an adapter. */
export function summarizeAdapter(from: GPUDevice | GPUAdapter): AdapterSummary {
  const info = 'adapterInfo' in from ? from.adapterInfo : from.info;
  return {
    vendor: info.vendor,
    architecture: info.architecture,
    description: info.description || info.device,
    maxBufferBytes: from.limits.maxBufferSize,
    maxBindingBytes: from.limits.maxStorageBufferBindingSize,
  };
}
