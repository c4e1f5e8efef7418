// Finds or installs a Chrome that can run WebGPU, and has the options to launch it.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  Browser,
  computeExecutablePath,
  detectBrowserPlatform,
  getInstalledBrowsers,
  install,
} from '@puppeteer/browsers';
import type { LaunchOptions } from 'puppeteer-core';
import { PUPPETEER_REVISIONS } from 'puppeteer-core/internal/revisions.js';

const CACHE = process.env.PUPPETEER_CACHE_DIR ?? join(homedir(), '.cache', 'puppeteer');

/** The usual paths of Chrome, Chromium and Edge, best first. */
function installedCandidates(): string[] {
  if (process.platform === 'darwin')
    return ['Google Chrome', 'Chromium', 'Microsoft Edge'].flatMap((name) =>
      ['/Applications', join(homedir(), 'Applications')].map(
        (folder) => `${folder}/${name}.app/Contents/MacOS/${name}`,
      ),
    );
  if (process.platform === 'win32') {
    const { PROGRAMFILES, 'PROGRAMFILES(X86)': programFiles86, LOCALAPPDATA } = process.env;
    return [
      'Google\\Chrome\\Application\\chrome.exe',
      'Chromium\\Application\\chrome.exe',
      'Microsoft\\Edge\\Application\\msedge.exe',
    ].flatMap((path) =>
      [PROGRAMFILES, programFiles86, LOCALAPPDATA].flatMap((folder) =>
        folder === undefined ? [] : [join(folder, path)],
      ),
    );
  }
  const names = [
    'google-chrome',
    'google-chrome-stable',
    'chromium',
    'chromium-browser',
    'microsoft-edge',
  ];
  const folders = (process.env.PATH ?? '').split(':').filter((folder) => folder !== '');
  return [
    ...names.flatMap((name) => folders.map((folder) => join(folder, name))),
    '/opt/google/chrome/chrome',
    '/opt/microsoft/msedge/msedge',
  ];
}

/** The newest Chrome in Puppeteer's cache, if there is one. */
async function cachedBrowser(): Promise<string | undefined> {
  if (!existsSync(CACHE)) return undefined;
  const browsers = await getInstalledBrowsers({ cacheDir: CACHE });
  return browsers
    .filter(({ browser }) => browser === Browser.CHROME)
    .map(({ executablePath }) => executablePath)
    .filter((path) => existsSync(path))
    .at(-1);
}

/** Downloads Chrome for Testing into Puppeteer's cache; `undefined` if it does not run here. */
async function downloadBrowser(): Promise<string | undefined> {
  const platform = detectBrowserPlatform();
  if (platform === undefined) return undefined;
  const options = {
    browser: Browser.CHROME,
    buildId: PUPPETEER_REVISIONS.chrome,
    cacheDir: CACHE,
    platform,
  };
  console.log(`No Chrome found: downloading Chrome ${options.buildId} into ${CACHE}`);
  try {
    await install(options);
    const path = computeExecutablePath(options);
    execFileSync(path, ['--version'], { stdio: 'ignore' }); // fails if shared libraries are missing
    return path;
  } catch (error) {
    console.log(`That did not work: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

/** Installs Debian's Chromium with apt; `undefined` if that is not possible. */
function aptBrowser(): string | undefined {
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) return undefined;
  console.log('Installing Chromium with apt-get');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    execFileSync('apt-get', ['update', '-q'], { stdio: 'ignore', env });
    execFileSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', 'chromium'], {
      stdio: 'ignore',
      env,
    });
  } catch (error) {
    console.log(`That did not work: ${error instanceof Error ? error.message : error}`);
  }
  return installedCandidates().find((path) => existsSync(path));
}

/**
 * The path of a Chrome, Chromium or Edge; installs one if there is none.
 *
 * @throws Error if none is found and none can be installed; the message says what to do.
 */
export async function findBrowser(): Promise<string> {
  const chosen = process.env.PUPPETEER_EXECUTABLE_PATH;
  if (chosen !== undefined && chosen !== '') {
    if (existsSync(chosen)) return chosen;
    throw new Error(`PUPPETEER_EXECUTABLE_PATH names ${chosen}, which does not exist.`);
  }
  const path =
    installedCandidates().find((candidate) => existsSync(candidate)) ??
    (await cachedBrowser()) ??
    (await downloadBrowser()) ??
    aptBrowser();
  if (path === undefined)
    throw new Error(
      'No Chrome, Chromium or Edge was found and none could be installed. Install one, or set PUPPETEER_EXECUTABLE_PATH to its path.',
    );
  process.env.PUPPETEER_EXECUTABLE_PATH = path; // for child processes
  return path;
}

/**
 * Makes Dawn zero workgroup memory in a loop. With the Vulkan extension, SwiftShader compiles one store for each of its
 * words, which takes seconds for a kernel that keeps tiles there.
 */
export const SWIFTSHADER_DAWN =
  'disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension';

const SWIFTSHADER = ['--use-webgpu-adapter=swiftshader', `--${SWIFTSHADER_DAWN}`];

/**
 * Options to launch Chrome for tests, benches and the command line.
 *
 * @param gpu - `true`: the machine's own GPU; `false`: SwiftShader, the software adapter that gives the same results
 * everywhere. Default: `true` if `OSSICLE_GPU` is 1.
 * @throws Error if there is no browser.
 */
export async function chromeOptions(
  gpu: boolean = process.env.OSSICLE_GPU === '1',
): Promise<LaunchOptions> {
  return {
    executablePath: await findBrowser(),
    headless: true,
    pipe: true,
    protocolTimeout: 600_000,
    args: [
      '--enable-unsafe-webgpu',
      ...(gpu ? [] : SWIFTSHADER),
      ...(process.platform === 'linux' ? ['--enable-features=Vulkan'] : []),
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      '--disable-dev-shm-usage',
      '--disable-quic',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  };
}
