import type { KernelSource, ShaderFile } from '../gpu/kernel.ts';

/** WGSL files by their path below `shaders/`, without extension (`linear`, `lib/tile`), and what stands for them. */
export interface Shaders {
  readonly files: ReadonlyMap<string, string>;
  /** The variants of a file. The first whose `enable` directives the device can meet takes its place. */
  readonly variants: Readonly<Record<string, readonly string[]>>;
}

/** The library's kernels with all their variants. */
export const SHADERS: Shaders = {
  files: new Map(
    Object.entries(
      import.meta.glob<string>('../../../../shaders/**/*.wgsl', {
        query: '?raw',
        import: 'default',
        eager: true,
      }),
    ).map(([path, wgsl]) => [path.replace(/^.*\/shaders\/|\.wgsl$/g, ''), wgsl]),
  ),
  variants: {},
};

/** The variants that a device with some features can run. */
export function usableVariants(
  { files, variants }: Shaders,
  features: ReadonlySet<string>,
): string[] {
  return Object.values(variants)
    .flat()
    .filter((variant) => fits(files.get(variant) ?? '', features));
}

/** The same kernels without some of their variants. */
export function withoutVariants(shaders: Shaders, excluded: Iterable<string>): Shaders {
  const without = new Set(excluded);
  const variants = Object.entries(shaders.variants).map(
    ([path, all]) => [path, all.filter((variant) => !without.has(variant))] as const,
  );
  return { ...shaders, variants: Object.fromEntries(variants) };
}

/** The same kernels without a file that they can do without. */
export function withoutFile(shaders: Shaders, path: string): Shaders {
  const files = new Map(shaders.files);
  files.delete(path);
  return { ...shaders, files };
}

/** A checksum of all files (FNV-1a), in hexadecimal digits: other kernels have another one. */
export function shadersChecksum({ files }: Shaders = SHADERS): string {
  let hash = 0x811c9dc5;
  for (const [path, wgsl] of files) {
    for (const character of path + wgsl) {
      hash = Math.imul(hash ^ (character.codePointAt(0) as number), 0x01000193);
    }
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/** What a kernel's files leave open. */
export interface KernelOptions {
  /** Values for `override` declarations. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Which library stands for an interface: `{ kv: 'f16' }` makes `lib/kv_f16` of an imported `kv`. */
  readonly libraries?: Readonly<Record<string, string>>;
  /** Features of the device, for variants. Default: none. */
  readonly features?: ReadonlySet<string>;
}

/**
 * Puts a kernel together from its file and the libraries that it and they import: `// import: dense, tile`.
 *
 * @param name - The kernel's file, for example `linear`.
 */
export function kernelSource(
  name: string,
  { constants = {}, libraries = {}, features = new Set() }: KernelOptions = {},
  shaders: Shaders = SHADERS,
): KernelSource {
  const files = new Map<string, ShaderFile>();
  const add = (path: string): void => {
    const isUsable = (variant: string): boolean => fits(readShader(variant, shaders), features);
    const chosen = shaders.variants[path]?.find(isUsable) ?? path;
    if (files.has(chosen)) return;
    const wgsl = readShader(chosen, shaders);
    files.set(chosen, { path: `${chosen}.wgsl`, wgsl });
    for (const library of importsOf(wgsl)) {
      const choice = libraries[library];
      add(`lib/${choice === undefined ? library : `${library}_${choice}`}`);
    }
  };
  add(name);
  const [{ wgsl }] = [...files.values()] as [ShaderFile];
  const [, entryPoint = name] = /@compute.*\s+fn (\w+)/.exec(wgsl) ?? [];
  return { entryPoint, files: [...files.values()], constants };
}

/**
 * The value of a `const` that a WGSL file declares as a literal: `const TILE_ROWS = 32u;`.
 *
 * @param path - The file, for example `lib/tile`.
 */
export function shaderConstant(path: string, name: string): number {
  const declaration = new RegExp(`^const ${name} = (\\d+)u;`, 'm');
  const [, value] = declaration.exec(readShader(path, SHADERS)) ?? [];
  if (value === undefined) throw new Error(`shaders/${path}.wgsl declares no literal ${name}`);
  return Number(value);
}

function readShader(path: string, { files }: Shaders): string {
  const wgsl = files.get(path);
  if (wgsl === undefined) throw new Error(`There is no shaders/${path}.wgsl`);
  return wgsl;
}

function importsOf(wgsl: string): string[] {
  return /^\/\/ import: (.+)$/m.exec(wgsl)?.[1]?.split(', ') ?? [];
}

/** Whether a device with some features can run a file. */
function fits(wgsl: string, features: ReadonlySet<string>): boolean {
  return featuresOf(wgsl).every((feature) => features.has(feature));
}

/** The device features behind a file's `enable` directives. */
function featuresOf(wgsl: string): string[] {
  return [...wgsl.matchAll(/^enable (\w+);/gm)].map(([, name]) =>
    name === 'f16' ? 'shader-f16' : (name as string),
  );
}
