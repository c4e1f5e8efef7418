import type { KernelSource, ShaderFile } from '../gpu/kernel.ts';

/** Every WGSL file, by its path below `shaders/`, without extension: `linear`, `lib/tile`. */
const FILES: ReadonlyMap<string, string> = new Map(
  Object.entries(
    import.meta.glob<string>('../../../../shaders/**/*.wgsl', {
      query: '?raw',
      import: 'default',
      eager: true,
    }),
  ).map(([path, wgsl]) => [path.replace(/^.*\/shaders\/|\.wgsl$/g, ''), wgsl]),
);

/** What a kernel's files leave open. */
export interface KernelOptions {
  /** Values for `override` declarations. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Which library stands for an interface: `{ kv: 'f16' }` makes `lib/kv_f16` of an imported `kv`. */
  readonly libraries?: Readonly<Record<string, string>>;
}

/**
 * Puts a kernel together from its file and the libraries that it and they import: `// import: tile, dense`.
 *
 * @param name - The kernel's file, for example `linear`.
 */
export function kernelSource(
  name: string,
  { constants = {}, libraries = {} }: KernelOptions = {},
): KernelSource {
  const files = new Map<string, ShaderFile>();
  const add = (path: string): void => {
    if (files.has(path)) return;
    const wgsl = readShader(path);
    files.set(path, { path: `${path}.wgsl`, wgsl });
    for (const library of importsOf(wgsl)) {
      const choice = libraries[library];
      add(`lib/${choice === undefined ? library : `${library}_${choice}`}`);
    }
  };
  add(name);
  return { entryPoint: name, files: [...files.values()], constants };
}

/**
 * The value of a `const` that a WGSL file declares as a literal, as in `const TILE_ROWS = 32u;`.
 *
 * @param path - The file, for example `lib/tile`.
 */
export function shaderConstant(path: string, name: string): number {
  const [, value] = new RegExp(`^const ${name} = (\\d+)u;`, 'm').exec(readShader(path)) ?? [];
  if (value === undefined) throw new Error(`shaders/${path}.wgsl declares no literal ${name}`);
  return Number(value);
}

function readShader(path: string): string {
  const wgsl = FILES.get(path);
  if (wgsl === undefined) throw new Error(`There is no shaders/${path}.wgsl`);
  return wgsl;
}

function importsOf(wgsl: string): string[] {
  return /^\/\/ import: (.+)$/m.exec(wgsl)?.[1]?.split(', ') ?? [];
}
