// Both packages as published: packed, and used in projects outside this repository.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import puppeteer, { type Browser } from 'puppeteer-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chromeOptions } from '../../../scripts/browser.ts';
import { buildLibraries } from '../../../scripts/build.ts';
import {
  answerOf,
  createProject,
  MAIN,
  ownVersion,
  PACKAGES,
  PAGE,
  packPackages,
  run,
} from '../../../scripts/consumer.ts';

let folder: string;
let browser: Browser;

beforeAll(async () => {
  await buildLibraries();
  const packed = await packPackages();
  folder = packed.folder;
  const dependencies = {
    ...packed.tarballs,
    vite: await ownVersion('vite'),
    typescript: await ownVersion('typescript'),
  };
  await createProject(folder, {}, dependencies);
  browser = await puppeteer.launch(await chromeOptions());
});
afterAll(async () => {
  await browser.close();
  await rm(folder, { recursive: true, force: true });
});

const write = async (path: string, text: string): Promise<void> => {
  await mkdir(join(folder, path, '..'), { recursive: true });
  await writeFile(join(folder, path), text);
};

const viteBuild = (...args: readonly string[]): Promise<string> =>
  run('npx', ['vite', 'build', '--logLevel=warn', ...args], folder);

test.each(PACKAGES)('publint finds no fault with %s', async (pkgDir) => {
  const { messages } = await publint({ pkgDir, strict: true, pack: 'npm' });
  const manifest = JSON.parse(await readFile(join(pkgDir, 'package.json'), 'utf8'));
  expect(messages.map((message) => formatMessage(message, manifest, { color: false }))).toEqual([]);
});

test('ten lines in a plain Vite project answer a question with the packed packages', async () => {
  await write('index.html', PAGE.replace('main.js', 'main.ts'));
  await write('main.ts', MAIN.replace('./model/', '../model/'));
  await write(
    'tsconfig.json',
    JSON.stringify({
      compilerOptions: {
        target: 'ES2022',
        lib: ['ES2022', 'DOM', 'DOM.Iterable'],
        module: 'ESNext',
        moduleResolution: 'bundler',
        types: [],
        strict: true,
        noEmit: true,
      },
      files: ['main.ts'],
    }),
  );
  await run('npx', ['tsc'], folder);
  await viteBuild('--base=./', '--outDir=built');
  expect(await answerOf(browser, folder, 'built/')).toContain('42');
});

test('an import map of the published files answers too', async () => {
  const modules = '../node_modules';
  const imports = {
    ossicle: `${modules}/ossicle/dist/index.js`,
    '@ossicle/harmony': `${modules}/@ossicle/harmony/dist/index.js`,
    comlink: `${modules}/comlink/dist/esm/comlink.mjs`,
    'idb-keyval': `${modules}/idb-keyval/dist/index.js`,
  };
  const map = `<script type="importmap">${JSON.stringify({ imports })}</script>`;
  await write('map/index.html', map + PAGE);
  await write('map/main.js', plain(MAIN).replace('./model/', '../model/'));
  expect(await answerOf(browser, folder, 'map/')).toContain('42');
});

test('a page that allows workers of its own only, and requires Trusted Types, answers', async () => {
  const policy =
    "default-src 'none'; script-src 'self'; connect-src 'self'; worker-src 'self'; require-trusted-types-for 'script'";
  const meta = `<meta http-equiv="Content-Security-Policy" content="${policy}">`;
  await write('strict/index.html', meta + PAGE);
  await write(
    'strict/app.js',
    `const urls = trustedTypes.createPolicy('app', { createScriptURL: (url) => url });
const worker = () => new Worker(urls.createScriptURL('./worker.js'), { type: 'module' });
${plain(MAIN).replace("load('./model/')", "load('../model/', { worker })")}`,
  );
  await write(
    'strict/worker.js',
    await readFile(join(folder, 'node_modules/ossicle/dist/worker.js'), 'utf8'),
  );
  await write(
    'strict/vite.config.js',
    `export default { build: { lib: { entry: 'strict/app.js', formats: ['es'], fileName: 'main' }, outDir: 'strict', emptyOutDir: false } }`,
  );
  await viteBuild('--config', 'strict/vite.config.js');
  expect(await answerOf(browser, folder, 'strict/')).toContain('42');
});

test('isOssicleError alone takes at most 2 kB: no worker, no store', async () => {
  await write('small/app.js', "export { isOssicleError } from 'ossicle';");
  await write(
    'small/vite.config.js',
    `export default { build: { minify: true, lib: { entry: 'small/app.js', formats: ['es'], fileName: 'main' }, outDir: 'small', emptyOutDir: false } }`,
  );
  await viteBuild('--config', 'small/vite.config.js');
  expect(gzipSync(await readFile(join(folder, 'small/main.js'))).length).toBeLessThan(2000);
});

test('the worker is a file without imports', async () => {
  const text = await readFile(join(folder, 'node_modules/ossicle/dist/worker.js'), 'utf8');
  expect(text).not.toMatch(/\bimport\s*(\(|\{|\*|["'])|\bfrom\s*["']/);
});

/** TypeScript without types. */
function plain(text: string): string {
  return text.replaceAll(')!', ')');
}
