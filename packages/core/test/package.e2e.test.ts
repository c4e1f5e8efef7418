// The packages as published: packed, and used in projects outside this repository.
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import puppeteer, { type Browser } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { chromeOptions } from '../../../scripts/browser.ts';
import { buildLibraries } from '../../../scripts/build.ts';
import {
  answerOf,
  createProject,
  MAIN,
  nodeExample,
  ownVersion,
  PACKAGES,
  PAGE,
  packPackages,
  run,
  vulkanDriver,
} from '../../../scripts/consumer.ts';
import { readBlocks } from '../../../scripts/readme-blocks.ts';
import { type FolderServer, serveFolder } from '../../../scripts/static-server.ts';
import { ExamplePage } from './example-page.ts';
import { slowTest } from './slow.ts';

/** What only these tests need, at versions of their own. */
const TOOLS = {
  '@arethetypeswrong/cli': '0.18.5',
  '@webgpu/types': '0.1.74',
  esbuild: '0.28.2',
  'typescript-5.5': 'npm:typescript@5.5.4',
  'typescript-5.9': 'npm:typescript@5.9.3',
};

let folder: string;
let browser: Browser;

beforeAll(async () => {
  await buildLibraries();
  const packed = await packPackages();
  folder = packed.folder;
  const dependencies = {
    ...packed.tarballs,
    ...TOOLS,
    vite: await ownVersion('vite'),
    typescript: await ownVersion('typescript'),
    webgpu: await ownVersion('webgpu'),
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

/** Runs a program of the project's dependencies. */
const runTool = (name: string, ...args: readonly string[]): Promise<string> =>
  run(join('node_modules', '.bin', name), args, folder);

const viteBuild = (...args: readonly string[]): Promise<string> =>
  runTool('vite', 'build', '--logLevel=warn', ...args);

test.each(PACKAGES)('publint finds no fault with %s', async (pkgDir) => {
  const { messages } = await publint({ pkgDir, strict: true, pack: 'npm' });
  const manifest = JSON.parse(await readFile(join(pkgDir, 'package.json'), 'utf8'));
  expect(messages.map((message) => formatMessage(message, manifest, { color: false }))).toEqual([]);
});

test('ten lines in a plain Vite project answer a question with the packed packages', async () => {
  await write('index.html', PAGE.replace('main.js', 'main.ts'));
  await write('main.ts', MAIN.replace('./model/', '../model/'));
  await viteBuild('--base=./', '--outDir=built');
  expect(await answerOf(browser, folder, 'built/')).toContain('42');
});

slowTest('an import map of the published files answers too', async () => {
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

slowTest('Node answers with ossicle/node', async () => {
  await write('ask.js', nodeExample());
  expect(await run('node', ['ask.js'], folder, await vulkanDriver())).toContain('42');
});

/**
 * What stands in for `ossicle` in the examples: gpt-oss-nano takes the place of gpt-oss-20b, answers alike each time, and
 * says little. Examples that load alike share a model: a software adapter takes seconds to compile the kernels.
 */
const NANO_PACKAGE = `import * as ossicle from '../node_modules/ossicle/dist/index.js';
export * from '../node_modules/ossicle/dist/index.js';

const nano = new URL('/model/', location.href).href;
const models = new Map();
const brief = (one) => {
  const { generate, resume } = one;
  const options = (given) => ({ temperature: 0, maxTokens: 100, ...given });
  one.generate = (input, given) => generate.call(one, input, options(given));
  one.resume = (given) => resume?.call(one, options(given));
  return one;
};
export function load(_, options = {}) {
  const { onProgress: __, ...rest } = options;
  if (options.worker) return ossicle.load(nano, options);
  const key = JSON.stringify(rest);
  if (!models.has(key)) models.set(key, loadShared(options));
  return models.get(key);
}
async function loadShared(options) {
  const model = await ossicle.load(nano, options);
  const { createSession, sessions } = model;
  model.createSession = () => brief(createSession.call(model));
  const { open } = sessions;
  sessions.open = async (id) => brief(await open(id));
  model.dispose = async () => undefined;
  return brief(model);
}
export const store = {
  ...ossicle.store,
  verify: () => ossicle.store.verify(nano),
  remove: () => ossicle.store.remove(nano),
};
`;

/** What examples leave to the reader: some of the names that they declare. */
const DECLARED = `globalThis.tools = ['done', 'list_notes'].map((name) => ({ name, parameters: { type: 'object', properties: {} } }));
globalThis.city = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => (typeof value?.city === 'string' ? { value } : { issues: [{ message: 'no city' }] }),
    jsonSchema: { input: () => ({ type: 'object', properties: { city: { type: 'string' } } }) },
  },
};
`;

/** What the examples of pages in the documentation show, log and answer, in order. */
const SHOWN: Readonly<Record<string, readonly RegExp[]>> = {
  'README.md': [/^I do not know that.*download 3185020 3185020.*ready 0 0/],
  'packages/core/README.md': [
    /^I do not know that/,
    /17 \+ 25 = 42 \| You are welcome!$/,
    /^It is 24 degrees and clear in Rome\. \| get_weather/,
    /stop I do not know that/,
    /./,
    /http:\S+\/model\/ 3185020 \| 0$/,
    /^$/,
    /true ossicle, kernels .*self-test: passed/s,
    /^$/,
  ],
  'docs/tools.md': [
    /\/notes\?q=\w/,
    /^\d/,
    /^\[object Object\]$/,
    /^{"sky":"clear","celsius":24}$/,
  ],
  'docs/conversations.md': [
    /^\S.* true$/,
    /^What is 17 \+ 25\? true \| true 17 \+ 25 = 42$/,
    /^17 \+ 25 = 42$/,
    /^true$/,
    /^context-overflow \| 17 \+ 25 = 42 true$/,
    /^17 \+ 25 = 42 \S/,
  ],
  'docs/structured-output.md': [
    /^\[array Array\]$/,
    /^(happy|sad|ironic) ([01]\d|2[0-3]):[0-5]\d$/,
    /\w/,
  ],
  'docs/control.md': [/^I do not know that.* stop \d+$/, /^\d+ \| 1 \| 1$/],
  'docs/safeguard.md': [/^(true|false) (SP1|SP2|) \S.* \| \[array Array\]$/],
};

describe('the examples of the documentation', () => {
  const blocks = Object.keys(SHOWN).flatMap((file) =>
    readBlocks(file)
      .filter((text) => text.includes("from 'ossicle'") && !text.includes("'@ossicle/tools'"))
      .map((text, i) => ({ file, number: i + 1, text, shown: SHOWN[file]?.[i] as RegExp })),
  );
  let server: FolderServer;
  let page: ExamplePage;

  beforeAll(async () => {
    for (const [i, { text }] of blocks.entries()) await write(`readme/block-${i}.ts`, text);
    const imports = blocks.map((_, i) => `() => import('./block-${i}.ts')`);
    await write('readme/main.js', `${DECLARED}globalThis.blocks = [${imports}];`);
    await write('readme/index.html', PAGE);
    await write('readme/nano.js', NANO_PACKAGE);
    await write(
      'readme/vite.config.js',
      `import { fileURLToPath } from 'node:url';
const replacement = fileURLToPath(new URL('nano.js', import.meta.url));
export default { base: './', resolve: { alias: [{ find: /^ossicle$/, replacement }] }, worker: { format: 'es' } };`,
    );
    await write('weather', '{"sky":"clear","celsius":24}');
    await write('notes', '["Feed it daily."]');
    await viteBuild('readme', '--config=readme/vite.config.js', '--target=es2023');
    server = await serveFolder(folder);
    page = await ExamplePage.open(browser, `${server.url}/readme/dist/`);
  });
  afterAll(() => server.close());

  test('are all here', () => {
    expect(blocks).toHaveLength(Object.values(SHOWN).flat().length);
  });

  const numbered = blocks.map((block, i) => ({ ...block, i }));
  const runsAsPrinted = async ({ i, text, shown }: (typeof numbered)[number]): Promise<void> => {
    expect(await page.run(i), text).toMatch(shown);
  };
  const isReadme = ({ file }: { readonly file: string }): boolean => file === 'README.md';
  const title = 'run as they are printed: $file, $number';
  test.each(numbered.filter(isReadme))(title, runsAsPrinted);
  slowTest.each(numbered.filter((block) => !isReadme(block)))(title, runsAsPrinted);
});

slowTest(
  'a page that allows workers of its own only, and requires Trusted Types, answers',
  async () => {
    const policy =
      "default-src 'none'; script-src 'self'; connect-src 'self'; worker-src 'self'; require-trusted-types-for 'script'";
    const meta = `<meta http-equiv="Content-Security-Policy" content="${policy}">`;
    await write('strict/index.html', meta + PAGE);
    await write(
      'strict/app.js',
      `const urls = trustedTypes.createPolicy('app', { createScriptURL: (url) => url });
const worker = () => new Worker(urls.createScriptURL('./worker.js'), { type: 'module' });
${plain(MAIN)
  .replace("{ load } from 'ossicle'", "{ load, store } from 'ossicle'")
  .replace("load('./model/')", "load('../model/', { worker })")
  .replace(
    'document.title',
    "const { isIntact } = await store.verify(model.info.id, { worker });\nif (!isIntact) throw new Error('damaged');\ndocument.title",
  )}`,
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
  },
);

slowTest('a page with a strict policy runs Python in the published sandbox', async () => {
  const policy =
    "default-src 'none'; script-src 'self'; connect-src 'self'; frame-src 'self'; require-trusted-types-for 'script'";
  const meta = `<meta http-equiv="Content-Security-Policy" content="${policy}">`;
  await write('python/index.html', meta + PAGE);
  await write(
    'python/app.js',
    `import { createPython } from '@ossicle/tools';

const python = createPython({ indexURL: '/pyodide/', sandboxURL: '/node_modules/@ossicle/tools/dist/sandbox.html' });
const { text } = await python.run('6 * 7');
document.querySelector('p').append(text);
document.title = 'done';
`,
  );
  await write(
    'python/vite.config.js',
    `export default { build: { lib: { entry: 'python/app.js', formats: ['es'], fileName: 'main' }, outDir: 'python', emptyOutDir: false } }`,
  );
  await viteBuild('--config', 'python/vite.config.js');
  await cp('node_modules/pyodide', join(folder, 'pyodide'), { recursive: true });
  expect(await answerOf(browser, folder, 'python/')).toBe('42\n');
});

test('isOssicleError alone takes at most 2 kB: no worker, no store', async () => {
  await write('small.js', "export { isOssicleError } from 'ossicle';");
  const bundle = await runTool('esbuild', 'small.js', '--bundle', '--minify');
  expect(gzipSync(bundle).length).toBeLessThan(2000);
});

test('the worker is a file without imports', async () => {
  const text = await readFile(join(folder, 'node_modules/ossicle/dist/worker.js'), 'utf8');
  expect(text).not.toMatch(/\bimport\s*(\(|\{|\*|["'])|\bfrom\s*["']/);
});

slowTest.each(['ossicle', '@ossicle/harmony', '@ossicle/tools'])(
  'the types of %s resolve everywhere',
  async (name) => {
    const tarball = join(folder, `${name.replace('@', '').replace('/', '-')}-0.1.0.tgz`);
    const options = [
      '--ignore-rules',
      'cjs-resolves-to-esm',
      '--exclude-entrypoints',
      'sandbox.html',
    ];
    await runTool('attw', tarball, ...options); // ESM only
  },
);

// With skipLibCheck off: the declarations must be valid for every compiler, whatever libraries it has.
slowTest.each([
  ['typescript-5.5', ['page'], []],
  ['typescript-5.5', ['engine'], ['@webgpu/types']],
  ['typescript-5.9', ['page'], ['@webgpu/types']],
  ['typescript', ['page', 'engine'], []],
])('%s accepts the types: %j', async (compiler, entries, types) => {
  await write(
    'types/page.ts',
    `${MAIN}\nexport { createBrowser, createPython } from '@ossicle/tools';\n`,
  );
  await write(
    'types/engine.ts',
    `import { createEngine, requestDevice } from 'ossicle/engine';
import { fileSource } from 'ossicle/node';

export const engine = await createEngine({
  device: await requestDevice(),
  source: await fileSource('model'),
});
`,
  );
  const files = entries.map((entry) => `${entry}.ts`);
  await write('types/tsconfig.json', strictConfig(files, types));
  await run('node', [`node_modules/${compiler}/bin/tsc`, '-p', 'types'], folder);
});

test('source maps and the licenses of bundled packages are shipped', async () => {
  const dist = join(folder, 'node_modules/ossicle/dist');
  const map = JSON.parse(await readFile(join(dist, 'index.js.map'), 'utf8'));
  expect(map.sources).toContain('../src/page/load.ts');
  const licenses = await readFile(join(dist, 'licenses.md'), 'utf8');
  for (const name of ['comlink', 'idb-keyval']) expect(licenses).toContain(name);
  const demo = await (await fetch(`${inject('demoUrl')}/licenses.md`)).text();
  for (const name of ['marked', 'dompurify', 'comlink', 'idb-keyval']) expect(demo).toContain(name);
});

/** A tsconfig.json that checks files, and the declarations of all packages. */
function strictConfig(files: readonly string[], types: readonly string[]): string {
  return JSON.stringify({
    compilerOptions: {
      target: 'ES2022',
      lib: ['ES2022', 'DOM', 'DOM.Iterable'],
      module: 'ESNext',
      moduleResolution: 'bundler',
      types,
      strict: true,
      skipLibCheck: false,
      noEmit: true,
    },
    files,
  });
}

/** TypeScript without types. */
function plain(text: string): string {
  return text.replaceAll(')!', ')');
}
