// npm run build: the published packages (packages/*/dist) and the demo (demo/dist).
import { execFileSync } from 'node:child_process';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { build, type InlineConfig, type Plugin } from 'vite';
import { rollTypes } from './roll-types.ts';
import { workerText } from './worker-text.ts';

/** A published package: its folder, and its entries by their file names in dist. */
interface Library {
  readonly folder: string;
  readonly entries: Readonly<Record<string, string>>;
  /** Further entries, each built into one file without imports, which a page can serve as it is. */
  readonly wholeFiles?: Readonly<Record<string, string>>;
  /** Files that are published as they are, by their names in dist. */
  readonly copies?: Readonly<Record<string, string>>;
}

/** Packages after those they depend on. */
const LIBRARIES: readonly Library[] = [
  { folder: 'packages/harmony', entries: { index: 'src/index.ts' } },
  {
    folder: 'packages/core',
    entries: { index: 'src/index.ts', engine: 'src/engine/index.ts', node: 'src/node/index.ts' },
    wholeFiles: { worker: 'src/worker/worker.ts' },
  },
  {
    folder: 'packages/tools',
    entries: { index: 'src/index.ts' },
    copies: { 'sandbox.html': 'src/python/sandbox.html' },
  },
];

/** Inlines WGSL without indentation and comments, except for imports. Lines keep their numbers, for compile errors. */
const shaders: Plugin = {
  name: 'shaders',
  enforce: 'pre',
  async load(id) {
    if (!id.endsWith('.wgsl?raw')) return undefined;
    const wgsl = await readFile(id.slice(0, -'?raw'.length), 'utf8');
    const stripped = wgsl.replace(/^ +| *\/\/(?! import: ).*$/gm, '');
    return `export default ${JSON.stringify(stripped)}`;
  },
};

/** Makes the blob of an inlined worker when the worker starts: at module level, no bundler could leave it out. */
const lazyWorkers: Plugin = {
  name: 'lazy-workers',
  enforce: 'post',
  transform(code, id) {
    if (!id.endsWith('?worker&inline')) return undefined;
    const lazy = code
      .replace(/const blob = (.*);$/m, 'const createBlob = () => $1;')
      .replace('objURL = blob &&', 'const blob = createBlob();\nobjURL = blob &&');
    if (!/createBlob = [\s\S]*= createBlob\(\)/.test(lazy)) {
      throw new Error('Vite inlines workers in another way now; see lazyWorkers.');
    }
    return { code: lazy, map: null };
  },
};

export async function main(): Promise<void> {
  await buildLibraries();
  await buildDemo();
}

/** Builds the packages: ES modules with the worker and the shaders inlined, and their types. */
export async function buildLibraries(): Promise<void> {
  for (const library of LIBRARIES) {
    await buildForProduction(await libraryConfig(library));
    for (const [name, file] of Object.entries(library.wholeFiles ?? {})) {
      await buildForProduction(await wholeFileConfig(library, name, file));
    }
    for (const [name, file] of Object.entries(library.copies ?? {})) {
      await copyFile(`${library.folder}/${file}`, `${library.folder}/dist/${name}`);
    }
    await emitTypes(library);
  }
}

/** Builds the demo from the packages' sources. */
export async function buildDemo(): Promise<void> {
  await buildForProduction({ configFile: 'vite.config.ts', logLevel: 'warn' });
}

/** Builds for production, even within Vitest, which sets NODE_ENV to `test`. */
async function buildForProduction(config: InlineConfig): Promise<void> {
  const environment = process.env.NODE_ENV;
  process.env.NODE_ENV = 'production';
  try {
    await build(config);
  } finally {
    if (environment === undefined) delete process.env.NODE_ENV;
    else process.env.NODE_ENV = environment;
  }
}

async function libraryConfig({ folder, entries }: Library): Promise<InlineConfig> {
  const manifest = JSON.parse(await readFile(`${folder}/package.json`, 'utf8'));
  return {
    configFile: false,
    logLevel: 'warn',
    root: folder,
    publicDir: false,
    plugins: [shaders, lazyWorkers, workerText()],
    worker: {
      format: 'es',
      plugins: () => [shaders, lazyWorkers],
      rolldownOptions: { output: { minify: true } },
    },
    build: {
      target: 'es2023',
      sourcemap: true,
      minify: false, // applications minify their imports, but not the text of the inlined worker
      lib: { entry: { ...entries }, formats: ['es'] },
      rolldownOptions: {
        checks: { pluginTimings: false },
        external: [...Object.keys(manifest.dependencies ?? {}), /^node:/],
        output: { chunkFileNames: 'shared.js' }, // else named after its first module
        experimental: { attachDebugInfo: 'none' },
      },
    },
  };
}

async function wholeFileConfig(
  library: Library,
  name: string,
  file: string,
): Promise<InlineConfig> {
  const config = await libraryConfig(library);
  const { external, ...options } = config.build?.rolldownOptions ?? {};
  return {
    ...config,
    build: {
      ...config.build,
      emptyOutDir: false,
      license: { fileName: 'licenses.md' }, // of the packages in it
      lib: { entry: { [name]: file }, formats: ['es'] },
      rolldownOptions: { ...options, output: { minify: true } },
    },
  };
}

/** Writes one .d.ts per entry beside it, in which package names mean the packages and not their sources. */
async function emitTypes({ folder, entries, wholeFiles }: Library): Promise<void> {
  const all = { ...entries, ...wholeFiles };
  const types = resolve(folder, 'dist/types');
  const config = `${folder}/dist/tsconfig.json`;
  await writeFile(
    config,
    JSON.stringify({
      extends: '../../../tsconfig.json',
      compilerOptions: {
        paths: {},
        noEmit: false,
        emitDeclarationOnly: true,
        stripInternal: true,
        rootDir: '../src',
        outDir: 'types',
      },
      include: [],
      files: Object.values(all).map((entry) => `../${entry}`),
    }),
  );
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', config], {
    stdio: 'inherit',
  });
  await rm(config);
  for (const [name, entry] of Object.entries(all)) {
    const emitted = entry.replace(/^src\/(.*)\.ts$/, '$1.d.ts');
    await writeFile(`${folder}/dist/${name}.d.ts`, rollTypes(`${types}/${emitted}`, types));
  }
  await rm(types, { recursive: true });
}
