// Projects that use the packages as published: packed, and installed outside of this repository.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, realpath, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Browser } from 'puppeteer-core';
import { findBrowser, SWIFTSHADER_DAWN } from './browser.ts';
import { readBlocks } from './readme-blocks.ts';
import { serveFolder } from './static-server.ts';

/** The folders of the published packages. */
export const PACKAGES = ['packages/harmony', 'packages/core', 'packages/tools'] as const;

const NANO = 'demo/public/models/gpt-oss-nano';

/** How long a page may take to load nano and to answer, on a software adapter. */
const ANSWER_LIMIT_MS = 240_000;

/** The ten lines of an application that asks the model in `./model/`. */
export const MAIN = `import { load } from 'ossicle';

const model = await load('./model/');
for await (const event of model.generate('What is 17 + 25?', { temperature: 0 })) {
  if (event.type === 'text-delta') document.querySelector('p')!.append(event.text);
}
await model.dispose();
document.title = 'done';
`;

/** Its page. */
export const PAGE = '<body><p></p><script type="module" src="./main.js"></script></body>';

/** Runs a program and returns its output; if it fails, throws an error with the output as its message. */
export async function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { NODE_ENV: _, ...environment } = process.env; // Vitest's own would reach the bundlers
  const { stdout } = await promisify(execFile)(program, [...args], {
    cwd,
    shell: process.platform === 'win32',
    maxBuffer: 2 ** 24,
    env: { ...environment, ...env },
  }).catch((error) => {
    throw new Error(`${program} ${args.join(' ')}\n${error.stdout}${error.stderr}`);
  });
  return stdout;
}

/** Packs the built packages into a new folder below the system's temporary one. */
export async function packPackages(): Promise<{
  readonly folder: string;
  /** Package name → address of its tarball, as in package.json. */
  readonly tarballs: Readonly<Record<string, string>>;
}> {
  const folder = await mkdtemp(join(tmpdir(), 'ossicle-consumer-'));
  const tarballs: Record<string, string> = {};
  for (const packageFolder of PACKAGES) {
    const output = await run(
      'npm',
      ['pack', '--json', '--pack-destination', folder],
      resolve(packageFolder),
    );
    const [packed] = JSON.parse(output);
    tarballs[packed.name] = `file:${join(folder, packed.filename)}`;
  }
  return { folder, tarballs };
}

/**
 * Makes a project and installs its dependencies.
 *
 * @param files - By path.
 * @param dependencies - Name → version, as in package.json.
 * @param modelFolder - Where nano goes.
 */
export async function createProject(
  folder: string,
  files: Readonly<Record<string, string>>,
  dependencies: Readonly<Record<string, string>>,
  modelFolder = 'model',
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const manifest = JSON.stringify({
    name: 'consumer',
    private: true,
    type: 'module',
    dependencies,
  });
  for (const [path, text] of Object.entries({ ...files, 'package.json': manifest })) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  await cp(NANO, join(folder, modelFolder), { recursive: true });
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], folder);
}

/** The version of one of this repository's own development dependencies. */
export async function ownVersion(name: string): Promise<string> {
  const { devDependencies } = JSON.parse(await readFile('package.json', 'utf8'));
  return devDependencies[name];
}

/** Serves a folder, opens its page and returns the model's answer; see {@link answerAt}. */
export async function answerOf(browser: Browser, folder: string, path = ''): Promise<string> {
  const server = await serveFolder(folder);
  try {
    return await answerAt(browser, `${server.url}/${path}`);
  } finally {
    await server.close();
  }
}

/**
 * Opens a page and returns the model's answer.
 *
 * @throws Error if the page throws, or does not set its title to `done`.
 */
export async function answerAt(browser: Browser, url: string): Promise<string> {
  const page = await browser.newPage();
  try {
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    await page.goto(url);
    await page
      .waitForFunction(() => document.title === 'done', { timeout: ANSWER_LIMIT_MS })
      .catch((error) => {
        throw new Error(`The page did not answer: ${errors.join('\n') || error}`);
      });
    const failed = errors.filter((error) => !/favicon|404/.test(error));
    if (failed.length > 0) throw new Error(failed.join('\n'));
    return await page.$eval('p', (element) => element.textContent ?? '');
  } finally {
    await page.close();
  }
}

/** The README's example for Node in JavaScript, with nano, and a question that it can answer. */
export function nodeExample(): string {
  const [block] = readBlocks('packages/core/README.md').filter((text) =>
    text.includes("from 'ossicle/node'"),
  );
  const replaced = [
    ['adapter!', 'adapter'],
    ['create([])', `create(['${SWIFTSHADER_DAWN}'])`],
    ["'gpt-oss-20b'", "'model'"],
    ["'Why is the sky blue?'", "'What is 17 + 25?', { temperature: 0 }"],
  ].reduce((text, [from = '', to = '']) => {
    if (!text.includes(from)) throw new Error(`The README's example for Node lacks ${from}`);
    return text.replace(from, to);
  }, block ?? '');
  return `${replaced}process.exit();\n`;
}

/** Variables by which Dawn in Node finds a Vulkan driver: the one of OSSICLE_VK_ICD, or else Chrome's SwiftShader. */
export async function vulkanDriver(): Promise<Readonly<Record<string, string>>> {
  const { OSSICLE_VK_ICD: chosen = '' } = process.env;
  if (chosen !== '') return { VK_DRIVER_FILES: chosen };
  const folders = [dirname(await realpath(await findBrowser())), '/usr/lib/chromium'];
  for (const folder of process.platform === 'linux' ? folders : []) {
    const driver = join(folder, 'vk_swiftshader_icd.json');
    if (existsSync(driver)) return { VK_DRIVER_FILES: driver, LD_LIBRARY_PATH: folder };
  }
  return {};
}
