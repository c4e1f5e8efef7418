import { runnerImport } from 'vite';
import { create, globals } from 'webgpu';
import { fileSource } from '../packages/core/src/node/file-source.ts';
import type { Side, SideRuntime } from './side.ts';
import type { StageHost } from './stages/stage-host.ts';

/** Files without which the engine takes and returns token ids only. */
const TOKENIZER_FILE = /^tokenizer.*\.json$/;

/**
 * Starts Dawn in Node, on this machine's GPU or on the driver that OSSICLE_VK_ICD names.
 *
 * @param features - Dawn toggles to turn on.
 * @param flags - Other flags of the `webgpu` package, as in `backend=vulkan`.
 * @throws Error if Dawn finds no adapter.
 */
export async function startNode(
  features: readonly string[],
  flags: readonly string[],
): Promise<SideRuntime> {
  const driver = process.env.OSSICLE_VK_ICD;
  if (driver !== undefined && driver !== '') process.env.VK_DRIVER_FILES = driver;
  const gpu = create([
    `enable-dawn-features=${['allow_unsafe_apis', ...features].join(',')}`,
    'disable-dawn-features=timestamp_quantization',
    ...flags,
  ]);
  if (!(await gpu.requestAdapter())) {
    throw new Error(
      'Dawn found no adapter in Node. Install a Vulkan driver, or name one with OSSICLE_VK_ICD=/path/to/icd.json.',
    );
  }
  Object.assign(globalThis, globals);
  const host = globalThis.navigator ?? {}; // Node 20 has none
  Object.defineProperty(host, 'gpu', { value: gpu, configurable: true });
  Object.defineProperty(globalThis, 'navigator', { value: host, configurable: true });
  const sides: StageHost[] = [];
  return {
    name: 'node',
    version: process.version,
    hasStore: false,
    start: async (checkout) => {
      const host = await startHost(checkout);
      sides.push(host);
      return nodeSide(host);
    },
    dispose: async () => {
      for (const side of sides) await side.close();
    },
  };
}

/** Imports the entry of a checkout, WGSL included. */
async function startHost(checkout: string): Promise<StageHost> {
  await runnerImport(`${checkout}/bench/main.ts`, {
    root: checkout,
    configFile: false,
    logLevel: 'error',
    resolve: { alias: { '@ossicle/harmony': `${checkout}/packages/harmony/src/index.ts` } },
  });
  return globalThis.stageHost;
}

function nodeSide(host: StageHost): Side {
  return {
    adapter: host.adapter,
    open: async (name, checkpoint, options) => {
      const files = checkpoint === undefined ? [] : await fileSource(checkpoint);
      const source = files.filter((file) => !TOKENIZER_FILE.test(file.name));
      return host.open(name, source, options);
    },
    measure: (measurement) => host.measure(measurement),
    close: () => host.close(),
    heapBytes: async () => {
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    },
    cpuSeconds: async () => {
      const { user, system } = process.cpuUsage();
      return { process: (user + system) / 1e6 };
    },
  };
}
