// The process that `drivers.ts` starts on a Mesa driver without a GPU: it makes every pipeline of ossicle, one after
// another, so that the layer knows by the environment which one it has.
import { readFileSync } from 'node:fs';
import { create, globals } from 'webgpu';
import { planLoad } from '../../packages/core/src/engine/load/plan.ts';
import { Gpu, requestDevice } from '../../packages/core/src/gpu/device.ts';
import { Kernel, type KernelSource } from '../../packages/core/src/gpu/kernel.ts';
import { pipelineSources } from '../../packages/core/src/kernels/pipelines.ts';
import type { KvCacheFormat } from '../../packages/core/src/types/load.ts';
import { huggingFaceConfig, PRESETS, type PresetName } from '../../packages/core/test/config.ts';
import type { PipelineLabel } from './figures.ts';

/** What to compile. */
export interface CompileOptions {
  /** A preset of the model. */
  readonly config: PresetName;
  readonly dense: 'int8' | 'bf16';
  readonly kvCache: KvCacheFormat;
  readonly prefill: 'float' | 'int8';
  /** Features of the device that kernels are not to use. */
  readonly without: readonly string[];
  /** Compile the entry points of these files, joined, instead of ossicle's kernels. */
  readonly wgsl: readonly string[];
  /** Values of `override` declarations, for `wgsl`. */
  readonly constants: Readonly<Record<string, number>>;
  /** Dawn's toggles to turn on and off. */
  readonly toggles: { readonly enable: readonly string[]; readonly disable: readonly string[] };
}

/** Compiles; the layer writes. @throws Error if there is no adapter, or a kernel does not compile. */
export async function compile(options: CompileOptions): Promise<void> {
  const { enable, disable } = options.toggles;
  Object.assign(globalThis, globals);
  const gpu = create([
    `enable-dawn-features=${['allow_unsafe_apis', ...enable].join(',')}`,
    ...(disable.length > 0 ? [`disable-dawn-features=${disable.join(',')}`] : []),
    'backend=vulkan',
  ]);
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error('Dawn found no adapter: does the driver know this family?');
  const device = await requestDevice(adapter);
  const sources =
    options.wgsl.length > 0 ? ownSources(options) : modelSources(options, device.features);
  const compiled = new Gpu(device);
  for (const [pipeline, source] of sources) {
    process.env.OSSICLE_ISA_NAME = JSON.stringify({ pipeline, names: bindingNames(source) });
    await Kernel.compile(compiled, source);
  }
  process.exit(0); // Dawn would wait for the driver
}

function modelSources(
  { config, dense, kvCache, prefill, without }: CompileOptions,
  features: ReadonlySet<string>,
): ReadonlyMap<string, KernelSource> {
  const { shape } = planLoad(JSON.parse(huggingFaceConfig(PRESETS[config])), {
    dense,
    kvCache,
    prefill,
  });
  const libraries = { dense, kv: kvCache, halves: 'native' };
  const enabled = new Set([...features].filter((feature) => !without.includes(feature)));
  return pipelineSources(shape, { libraries, features: enabled });
}

function ownSources({ wgsl, constants }: CompileOptions): ReadonlyMap<string, KernelSource> {
  const files = wgsl.map((path) => ({ path, wgsl: readFileSync(path, 'utf8') }));
  const code = files.map((file) => file.wgsl).join('\n');
  const declared = [...code.matchAll(/\boverride\s+(\w+)/g)].map(([, name]) => name as string);
  const known = Object.entries(constants).filter(([name]) => declared.includes(name));
  const entryPoints = [...code.matchAll(/@compute[\s\S]*?\bfn\s+(\w+)/g)];
  return new Map(
    entryPoints.map(([, name]) => [
      name as string,
      { entryPoint: name as string, files, constants: Object.fromEntries(known) },
    ]),
  );
}

function bindingNames({ files }: KernelSource): PipelineLabel['names'] {
  const code = files.map(({ wgsl }) => wgsl.replace(/\/\/.*$/gm, '')).join('\n');
  const declarations = code.matchAll(/@group\(0\)\s*@binding\((\d+)\)\s*var<[^>]*>\s*(\w+)/g);
  return Object.fromEntries([...declarations].map(([, number, name]) => [number, name]));
}
