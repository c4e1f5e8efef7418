// npm test runs everything; npm run check, npm run test:dawn etc. run the named suites.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBrowser } from './browser.ts';
import { TOTALS_FILE, type Totals, totalsLine } from './totals.ts';

/**
 * Suites of different rows run at once, since neither row keeps two cores busy all the time. Those of a row run one after another:
 * `size` and `e2e` build into the same folders.
 */
const LANES: readonly (readonly string[])[] = [
  ['checks', 'size', 'unit', 'e2e'],
  ['gpu', 'dawn', 'lavapipe', 'isa'],
];
const SUITES: readonly string[] = LANES.flat();
const DEFAULT_SUITES = ['checks', 'size', 'unit', 'gpu', 'e2e'];
const NEEDS_BROWSER = ['gpu', 'e2e'];
const NEEDS_GPU = ['gpu', 'dawn', 'lavapipe'];

/** Name → arguments of Node. Each check counts as one test. */
const CHECKS: Readonly<Record<string, readonly string[]>> = {
  biome: ['node_modules/@biomejs/biome/bin/biome', 'ci', '--colors=off', '.'],
  types: ['node_modules/typescript/bin/tsc', '--noEmit'],
  knip: ['node_modules/knip/bin/knip.js'],
  typedoc: ['node_modules/typedoc/bin/typedoc', '--emit', 'none', '--logLevel', 'Warn'],
};

/** Variables of a process, beside those of this one. */
type Environment = Readonly<Record<string, string>>;

/** Most time for a suite; one that hangs fails. */
const SUITE_LIMIT_MS = 60 * 60_000;

/**
 * Runs suites and ends with {@link totalsLine}.
 *
 * @param args - Names of suites, by default all except those of Node's WebGPU and of machine code. `--gpu-skipped=N` fails the run unless
 * exactly N GPU tests are skipped.
 * @throws RangeError if a suite is unknown.
 */
export async function main(args: readonly string[]): Promise<void> {
  const names = args.filter((arg) => !arg.startsWith('--'));
  const suites = names.length > 0 ? names : DEFAULT_SUITES;
  for (const suite of suites)
    if (!SUITES.includes(suite))
      throw new RangeError(`There is no suite '${suite}'. The suites: ${SUITES.join(', ')}.`);
  if (suites.some((suite) => NEEDS_BROWSER.includes(suite)))
    console.log(`Browser: ${await findBrowser()}`);

  const totals: Totals = { passed: 0, failed: 0, skipped: 0, failures: [] };
  const lines: string[] = [];
  let gpuSkipped = 0;
  const measure = async (suite: string): Promise<void> => {
    const startMs = performance.now();
    // Slow GPU tests are ten times as fast on lavapipe: once is enough.
    const isTwice = suite === 'gpu' && suites.includes('lavapipe');
    const part = await runSuite(suite, isTwice ? { OSSICLE_SLOW_TESTS: '0' } : {});
    totals.passed += part.passed;
    totals.failed += part.failed;
    totals.skipped += part.skipped;
    totals.failures.push(...part.failures);
    if (NEEDS_GPU.includes(suite)) gpuSkipped += part.skipped;
    const seconds = Math.round((performance.now() - startMs) / 1000);
    lines.push(`${suite.padEnd(9)} ${totalsLine(part)} in ${seconds} s`);
  };
  const lanes = LANES.map(async (lane) => {
    for (const suite of lane) if (suites.includes(suite)) await measure(suite);
  });
  await Promise.all(lanes);
  const expected = args.find((arg) => arg.startsWith('--gpu-skipped='))?.split('=')[1];
  if (expected !== undefined && gpuSkipped !== Number(expected)) {
    totals.failed++;
    totals.failures.push(`${gpuSkipped} GPU tests were skipped, but ${expected} expected.`);
  }
  if (totals.skipped > 0 && !suites.includes('lavapipe'))
    lines.push(
      'The skipped tests are slow: OSSICLE_SLOW_TESTS=1 runs them. Those of the GPU also run on lavapipe, in less time.',
    );
  for (const failure of totals.failures) lines.push(`✗ ${failure}`);
  console.log(`\n${lines.join('\n')}\n${totalsLine(totals)}`);
  process.exitCode = totals.failed > 0 ? 1 : 0;
}

function runSuite(suite: string, environment: Environment): Promise<Totals> {
  if (suite === 'checks') return runChecks(CHECKS);
  if (suite === 'size') return runChecks({ size: ['scripts/bootstrap.mjs', 'size'] });
  if (suite === 'isa')
    return runChecks({ isa: ['scripts/bootstrap.mjs', 'bench/isa', '--family', 'navi31'] });
  return runTests(suite, environment);
}

async function runChecks(checks: Readonly<Record<string, readonly string[]>>): Promise<Totals> {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0, failures: [] };
  for (const [name, args] of Object.entries(checks)) {
    const succeeded = await run(process.execPath, args);
    console.log(`${succeeded ? '✓' : '✗'} ${name}`);
    totals[succeeded ? 'passed' : 'failed']++;
    if (!succeeded) totals.failures.push(name);
  }
  return totals;
}

/** Runs Vitest's projects whose names begin with the suite's; a run without tests fails. */
async function runTests(suite: string, given: Environment): Promise<Totals> {
  const folder = await mkdtemp(join(tmpdir(), 'ossicle-'));
  const file = join(folder, 'totals.json');
  const environment = { ...given, [TOTALS_FILE]: file };
  const succeeded =
    suite === 'lavapipe'
      ? await run('bash', ['scripts/lavapipe.sh'], environment)
      : await run(
          process.execPath,
          ['node_modules/vitest/vitest.mjs', 'run', '--project', `${suite}*`],
          environment,
        );
  const totals: Totals = await readFile(file, 'utf8').then(JSON.parse, () => ({
    passed: 0,
    failed: 0,
    skipped: 0,
    failures: [],
  }));
  await rm(folder, { recursive: true });
  if (totals.passed + totals.failed === 0 || (!succeeded && totals.failed === 0)) {
    totals.failed++;
    totals.failures.push(
      `${suite}: the run ended ${succeeded ? 'without a test' : 'with an error, but no test failed'}.`,
    );
  }
  return totals;
}

/** Runs a program on this terminal; true if it exits with 0. */
function run(
  program: string,
  args: readonly string[],
  environment: Environment = {},
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...environment },
    });
    const timer = setTimeout(() => {
      console.log(`Stopped after ${SUITE_LIMIT_MS / 60_000} minutes.`);
      child.kill('SIGKILL');
    }, SUITE_LIMIT_MS);
    child.on('error', reject);
    child.on('exit', (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}
