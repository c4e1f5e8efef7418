// The entry of every npm script: installs missing dependencies, then runs scripts/<command>.ts or <command>/run.ts.
// Plain JavaScript without imports from packages, since it runs before they are installed.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync, utimesSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const [command, ...args] = process.argv.slice(2);

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19) || (major === 22 && minor < 12)) {
  fail(`Node ${process.versions.node} is too old: this needs Node 20.19, 22.12 or newer.`);
}
process.chdir(root);
install();

const { runnerImport } = await import('vite');
const file = [`scripts/${command}.ts`, `${command}/run.ts`].find((path) => existsSync(path));
if (!file) fail(`There is no command '${command}'.`);
try {
  const { module } = await runnerImport(`${root}${file}`, { configFile: false, logLevel: 'error' });
  await module.main(args);
} catch (error) {
  fail(process.env.DEBUG ? error.stack : error.message);
}

/** Installs the packages of package-lock.json unless they are current; changes no tracked file. */
function install() {
  const installed = `${root}node_modules/.package-lock.json`;
  const isCurrent =
    existsSync(installed) && statSync(installed).mtimeMs >= statSync('package-lock.json').mtimeMs;
  if (isCurrent) return;
  console.error('Installing dependencies');
  // Not `npm ci`: it refuses a lock file written on a registry without other platforms' optional packages.
  const options = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env.npm_execpath;
  const { status } = npm
    ? spawnSync(process.execPath, [npm, ...options], { stdio: ['ignore', 2, 2] })
    : spawnSync('npm', options, { stdio: ['ignore', 2, 2], shell: true });
  if (status !== 0) fail('npm install failed: see above. Can this machine reach the npm registry?');
  utimesSync(installed, new Date(), new Date());
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(message);
  process.exit(1);
}
