// npm run fuzz gives every parser many random inputs: 1,000,000 in all, or as many as its argument says. With --renderer, it
// compares conversations with OpenAI's renderer: 10,000, or as many as the argument after it says.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { compareRenderers } from './compare-renderers.ts';

const RUNS = 1_000_000;

/** Conversations that `--renderer` compares. */
const CONVERSATIONS = 10_000;

/**
 * Runs the tests that use packages/core/test/fuzz.ts. `OSSICLE_FUZZ_SEED` chooses other inputs.
 *
 * @param args - The number of inputs over all parsers; with `--renderer`, that of conversations, which are compared instead.
 * @throws RangeError if it is not a positive whole number. Error if a test fails.
 */
export async function main(args: readonly string[]): Promise<void> {
  const isRenderer = args.includes('--renderer');
  const [count = isRenderer ? CONVERSATIONS : RUNS, ...rest] = args.filter(
    (arg) => arg !== '--renderer',
  );
  if (rest.length > 0) throw new RangeError(`Unknown arguments: ${rest.join(' ')}`);
  const runs = Number(count);
  if (!Number.isSafeInteger(runs) || runs < 1) {
    throw new RangeError(`The number of inputs must be a positive whole number, not '${count}'.`);
  }
  if (isRenderer) return compareRenderers(runs, Number(process.env.OSSICLE_FUZZ_SEED ?? 1));
  const files = ['packages/core/src', 'packages/harmony/src', 'packages/tools/src', 'demo'].flatMap(
    (folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
        .filter((path) => path.endsWith('.test.ts') && !path.includes('node_modules'))
        .filter((path) => /\/test\/fuzz\.ts'/.test(readFileSync(path, 'utf8'))),
  );
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit'];
  const { status } = spawnSync(process.execPath, [...vitest, '--testTimeout=3600000', ...files], {
    stdio: 'inherit',
    env: { ...process.env, OSSICLE_FUZZ_RUNS: String(runs) },
  });
  if (status !== 0) throw new Error('Some inputs failed: see above.');
}
