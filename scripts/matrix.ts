// npm run matrix asks nano in an application of each bundler and runtime, with the packages as published. It prints the
// table of docs/bundlers.md. Bundlers are installed in temporary folders.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import puppeteer, { type Browser } from 'puppeteer-core';
import { chromeOptions } from './browser.ts';
import { buildLibraries } from './build.ts';
import {
  answerAt,
  answerOf,
  createProject,
  MAIN,
  nodeExample,
  ownVersion,
  PAGE,
  packPackages,
  run,
  vulkanDriver,
} from './consumer.ts';

/** A way to use the packages. */
interface Target {
  readonly name: string;
  /** Name → version, as in package.json. The first one is the target's own. */
  readonly dependencies: Readonly<Record<string, string>>;
  /** Further files, by path; they replace main.js and index.html. */
  readonly files?: Readonly<Record<string, string>>;
  /** The arguments of npx that build the application; none without a build. */
  readonly build?: readonly string[];
  /** Where the model lies, if not beside the page. */
  readonly modelFolder?: string;
  /** The folder to serve. Default: the project's own. */
  readonly output?: string;
  /** Whether the folder is an extension of Chrome. */
  readonly isExtension?: boolean;
}

/** A runtime without pages. */
interface Runtime {
  readonly name: string;
  /** The npm package of the runtime, and its version. */
  readonly dependency: readonly [name: string, version: string];
  /** The arguments of npx that run main.js. */
  readonly command: readonly string[];
  /** What is known to happen instead of an answer. */
  readonly instead?: string;
}

const SCRIPT = MAIN.replaceAll(')!', ')');
const built = (html: string): string => html.replace('./main.js', './dist/main.js');

const TARGETS: readonly Target[] = [
  {
    name: 'Vite',
    dependencies: { vite: '8.3.8' },
    build: ['vite', 'build', '--base=./'],
    modelFolder: 'public/model',
    output: 'dist',
  },
  {
    name: 'webpack',
    dependencies: { webpack: '5.112.2', 'webpack-cli': '7.3.1' },
    files: { 'index.html': built(PAGE) },
    build: ['webpack', '--mode=production', '--entry=./main.js', '--output-path=dist'],
  },
  {
    name: 'Rspack',
    dependencies: { '@rspack/core': '2.3.2', '@rspack/cli': '2.2.8' },
    files: { 'index.html': built(PAGE) },
    build: ['rspack', 'build', '--mode=production', '--entry=./main.js', '--output-path=dist'],
  },
  {
    name: 'Rollup',
    dependencies: { rollup: '4.68.7', '@rollup/plugin-node-resolve': '16.0.3' },
    files: { 'index.html': built(PAGE) },
    build: ['rollup', 'main.js', '--plugin=node-resolve', '--format=es', '--file=dist/main.js'],
  },
  {
    name: 'esbuild',
    dependencies: { esbuild: '0.28.2' },
    files: { 'index.html': built(PAGE) },
    build: ['esbuild', 'main.js', '--bundle', '--minify', '--format=esm', '--outdir=dist'],
  },
  {
    name: 'Parcel',
    dependencies: { parcel: '2.16.4' },
    files: { 'src/index.html': PAGE.replace('./', '../') },
    build: ['parcel', 'build', 'src/index.html', '--public-url=./', '--dist-dir=.', '--no-cache'],
  },
  {
    name: 'Next.js',
    dependencies: { next: '16.4.6', react: '19.3.1', 'react-dom': '19.3.1' },
    files: {
      'next.config.js': "export default { output: 'export' };",
      'app/layout.js': 'export default ({ children }) => <html><body>{children}</body></html>;',
      'app/page.js': `'use client';
import { useEffect } from 'react';

export default function Page() {
  useEffect(() => void import('../main.js'), []);
  return <p />;
}
`,
    },
    build: ['next', 'build'],
    modelFolder: 'public/model',
    output: 'out',
  },
  {
    name: 'SvelteKit',
    dependencies: {
      '@sveltejs/kit': '3.2.0',
      '@sveltejs/adapter-static': '4.0.1',
      '@sveltejs/vite-plugin-svelte': '7.3.1',
      svelte: '5.57.3',
      vite: '8.3.8',
      node: '22.23.3', // it builds with Node 22.17 and newer
    },
    files: {
      'vite.config.js': `import adapter from '@sveltejs/adapter-static';
import { sveltekit } from '@sveltejs/kit/vite';

export default { plugins: [sveltekit({ adapter: adapter() })] };
`,
      'src/app.html': '<html><head>%sveltekit.head%</head><body>%sveltekit.body%</body></html>',
      'src/routes/+page.js': 'export const prerender = true;',
      'src/routes/+page.svelte': `<script>
  import { onMount } from 'svelte';

  onMount(() => void import('../../main.js'));
</script>

<p></p>
`,
    },
    build: ['vite', 'build'],
    modelFolder: 'static/model',
    output: 'build',
  },
  {
    name: 'Extension of Chrome',
    dependencies: { esbuild: '0.28.2' },
    files: {
      'app/manifest.json': JSON.stringify({
        manifest_version: 3,
        name: 'ossicle',
        version: '1.0',
        options_page: 'index.html',
      }),
      'app/index.html': PAGE,
    },
    build: ['esbuild', 'main.js', '--bundle', '--minify', '--format=esm', '--outdir=app'],
    modelFolder: 'app/model',
    output: 'app',
    isExtension: true,
  },
  {
    name: 'Import map',
    dependencies: {},
    files: {
      'index.html': `<script type="importmap">${JSON.stringify({
        imports: {
          ossicle: './node_modules/ossicle/dist/index.js',
          '@ossicle/harmony': './node_modules/@ossicle/harmony/dist/index.js',
          comlink: './node_modules/comlink/dist/esm/comlink.mjs',
          'idb-keyval': './node_modules/idb-keyval/dist/index.js',
        },
      })}</script>${PAGE}`,
    },
  },
];

const RUNTIMES: readonly Runtime[] = [
  { name: 'Node 20', dependency: ['node', '20.20.2'], command: ['node', 'main.js'] },
  { name: 'Node 22', dependency: ['node', '22.23.3'], command: ['node', 'main.js'] },
  { name: 'Node 24', dependency: ['node', '24.21.0'], command: ['node', 'main.js'] },
  { name: 'Deno', dependency: ['deno', '2.9.6'], command: ['deno', 'run', '-A', 'main.js'] },
  {
    name: 'Bun',
    dependency: ['bun', '1.4.5'],
    command: ['bun', 'main.js'],
    instead: 'crashes in the package `webgpu`',
  },
];

/**
 * @param args - Names of targets and runtimes; default: all.
 * @throws Error if one of them does not answer.
 */
export async function main(args: readonly string[]): Promise<void> {
  const chosen = (name: string): boolean =>
    args.length === 0 || args.some((arg) => arg.toLowerCase() === name.toLowerCase());
  await buildLibraries();
  const { folder, tarballs } = await packPackages();
  const browser = await puppeteer.launch({ ...(await chromeOptions()), enableExtensions: true });
  const rows: (readonly [name: string, version: string, outcome: string])[] = [];
  const attempt = async (
    name: string,
    version: string,
    ask: () => Promise<string>,
    instead = 'fails',
  ): Promise<void> => {
    if (!chosen(name)) return;
    const outcome = await ask().catch(String);
    console.log(`${name}: ${outcome}`);
    rows.push([name, version, outcome.includes('17 + 25 = 42') ? 'answers' : instead]);
  };
  try {
    for (const target of TARGETS) {
      const own = Object.values(target.dependencies)[0] ?? '';
      const version = target.isExtension ? await browser.version() : own;
      const project = join(folder, target.name.replaceAll(' ', '-'));
      await attempt(target.name, version, () => askTarget(target, project, tarballs, browser));
    }
    for (const runtime of RUNTIMES) {
      const project = join(folder, runtime.name.replaceAll(' ', '-'));
      const ask = (): Promise<string> => askRuntime(runtime, project, tarballs);
      await attempt(runtime.name, runtime.dependency[1], ask, runtime.instead);
    }
  } finally {
    await browser.close();
    await rm(folder, { recursive: true, force: true });
  }
  console.log(`\n| | version | |\n|---|---|---|`);
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
  if (rows.some(([, , outcome]) => outcome === 'fails')) throw new Error('Not all have answered.');
}

async function askTarget(
  { files, dependencies, build, modelFolder, output = '.', isExtension }: Target,
  folder: string,
  tarballs: Readonly<Record<string, string>>,
  browser: Browser,
): Promise<string> {
  const all = { 'main.js': SCRIPT, 'index.html': PAGE, ...files };
  await createProject(folder, all, { ...tarballs, ...dependencies }, modelFolder);
  if (build) await run('npx', build, folder);
  if (!isExtension) return answerOf(browser, join(folder, output));
  const id = await browser.installExtension(join(folder, output));
  return answerAt(browser, `chrome-extension://${id}/index.html`);
}

async function askRuntime(
  { dependency: [name, version], command }: Runtime,
  folder: string,
  tarballs: Readonly<Record<string, string>>,
): Promise<string> {
  const dependencies = { ...tarballs, [name]: version, webgpu: await ownVersion('webgpu') };
  await createProject(folder, { 'main.js': nodeExample() }, dependencies);
  return run('npx', command, folder, await vulkanDriver());
}
