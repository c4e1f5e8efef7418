// Both packages as published: packed, and used in a plain Vite project outside this repository.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import puppeteer from 'puppeteer-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chromeOptions } from '../../../scripts/browser.ts';
import { buildLibraries } from '../../../scripts/build.ts';
import { serveFolder } from '../../../scripts/static-server.ts';

const PACKAGES = ['packages/harmony', 'packages/core'];
const NANO = 'demo/public/models/gpt-oss-nano';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ossicle-consumer-'));
  await buildLibraries();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a program and returns its output; if it fails, throws an error with the output as its message. */
async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  const options = { cwd, shell: process.platform === 'win32', maxBuffer: 2 ** 24 };
  const { stdout } = await promisify(execFile)(program, [...args], options).catch((error) => {
    throw new Error(`${program} ${args.join(' ')}\n${error.stdout}${error.stderr}`);
  });
  return stdout;
}

test.each(PACKAGES)('publint finds no fault with %s', async (pkgDir) => {
  const { messages } = await publint({ pkgDir, strict: true, pack: 'npm' });
  const manifest = JSON.parse(await readFile(join(pkgDir, 'package.json'), 'utf8'));
  expect(messages.map((message) => formatMessage(message, manifest, { color: false }))).toEqual([]);
});

test('ten lines in a plain Vite project answer a question with the packed packages', async () => {
  const tarballs: Record<string, string> = {};
  for (const packageFolder of PACKAGES) {
    const [packed] = JSON.parse(
      await run('npm', ['pack', '--json', '--pack-destination', folder], resolve(packageFolder)),
    );
    tarballs[packed.name] = `file:./${packed.filename}`;
  }
  const { devDependencies } = JSON.parse(await readFile('package.json', 'utf8'));
  const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text);
  await write(
    'package.json',
    JSON.stringify({
      type: 'module',
      dependencies: tarballs,
      devDependencies: { vite: devDependencies.vite, typescript: devDependencies.typescript },
    }),
  );
  await write('index.html', '<body><p></p><script type="module" src="./main.ts"></script></body>');
  await write(
    'main.ts',
    `import { load } from 'ossicle';

const model = await load('./model/');
for await (const event of model.generate('What is 17 + 25?', { temperature: 0 })) {
  if (event.type === 'text-delta') document.querySelector('p')!.append(event.text);
}
await model.dispose();
document.title = 'done';
`,
  );
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
  await mkdir(join(folder, 'public'));
  await cp(NANO, join(folder, 'public/model'), { recursive: true });

  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], folder);
  await run('npx', ['tsc'], folder);
  await run('npx', ['vite', 'build', '--base=./', '--logLevel=warn'], folder);

  const server = await serveFolder(join(folder, 'dist'));
  const browser = await puppeteer.launch(await chromeOptions());
  try {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(server.url);
    await page.waitForFunction(() => document.title === 'done', { timeout: 240_000 });
    expect(await page.$eval('p', (element) => element.textContent)).toContain('42');
    expect(errors).toEqual([]);
  } finally {
    await browser.close();
    await server.close();
  }
});
