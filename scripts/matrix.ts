// npm run matrix asks nano in an application of each bundler and runtime, with the packages as published. It prints the
// table of docs/bundlers.md. Bundlers are installed in temporary folders.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import puppeteer, { type Browser } from 'puppeteer-core';
import { chromeOptions } from './browser.ts';
import { buildLibraries } from './build.ts';
import {
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

/**
 * @param args - Names of targets; default: all.
 * @throws Error if one of them does not answer.
 */
export async function main(args: readonly string[]): Promise<void> {
  const chosen = (name: string): boolean =>
    args.length === 0 || args.some((arg) => arg.toLowerCase() === name.toLowerCase());
  await buildLibraries();
  const { folder, tarballs } = await packPackages();
  const browser = await puppeteer.launch(await chromeOptions());
  const rows: (readonly [name: string, version: string, outcome: string])[] = [];
  const attempt = async (name: string, version: string, ask: () => Promise<string>) => {
    if (!chosen(name)) return;
    const outcome = await ask().catch(String);
    console.log(`${name}: ${outcome}`);
    rows.push([name, version, outcome.includes('42') ? 'answers' : 'fails']);
  };
  try {
    for (const target of TARGETS) {
      const version = Object.values(target.dependencies)[0] ?? '';
      const project = join(folder, target.name.replaceAll(' ', '-'));
      await attempt(target.name, version, () => askTarget(target, project, tarballs, browser));
    }
    await attempt('Node', process.versions.node, () => askNode(join(folder, 'node'), tarballs));
  } finally {
    await browser.close();
    await rm(folder, { recursive: true, force: true });
  }
  console.log(`\n| | version | |\n|---|---|---|`);
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
  if (rows.some(([, , outcome]) => outcome === 'fails')) throw new Error('Not all have answered.');
}

async function askTarget(
  { files, dependencies, build, modelFolder, output = '.' }: Target,
  folder: string,
  tarballs: Readonly<Record<string, string>>,
  browser: Browser,
): Promise<string> {
  const all = { 'main.js': SCRIPT, 'index.html': PAGE, ...files };
  await createProject(folder, all, { ...tarballs, ...dependencies }, modelFolder);
  if (build) await run('npx', build, folder);
  return answerOf(browser, join(folder, output));
}

async function askNode(
  folder: string,
  tarballs: Readonly<Record<string, string>>,
): Promise<string> {
  const dependencies = { ...tarballs, webgpu: await ownVersion('webgpu') };
  await createProject(folder, { 'main.js': nodeExample() }, dependencies);
  return run('node', ['main.js'], folder, await vulkanDriver());
}
