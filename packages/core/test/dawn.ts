// Setup of the `dawn` project: WebGPU in Node, on any Vulkan, Metal or D3D adapter.

import { create, globals } from 'webgpu';

const host = globalThis.navigator ?? {}; // Node 20 has none
if (!('gpu' in host)) {
  Object.assign(globalThis, globals);
  const gpu = create(['enable-dawn-features=allow_unsafe_apis']);
  if (!(await gpu.requestAdapter()))
    throw new Error(
      'Dawn found no adapter in Node. Install a Vulkan driver, or set OSSICLE_VK_ICD=/path/to/icd.json; `npm run test:lavapipe` brings its own.',
    );
  Object.defineProperty(host, 'gpu', { value: gpu, configurable: true });
  Object.defineProperty(globalThis, 'navigator', { value: host, configurable: true });
}
