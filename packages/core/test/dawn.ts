// Setup of the `dawn` project: WebGPU in Node, on whatever Vulkan (or Metal, or D3D) adapter is there.

const { create, globals } = await import('webgpu');
Object.assign(globalThis, globals);
const gpu = create(['enable-dawn-features=allow_unsafe_apis']);
const navigator = globalThis.navigator ?? {}; // Node 20 has none
Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true });
Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });

if (!(await gpu.requestAdapter()))
  throw new Error(
    'Dawn found no adapter in Node. Install a Vulkan driver, or name one with OSSICLE_VK_ICD=/path/to/icd.json; `npm run test:lavapipe` brings its own.',
  );
