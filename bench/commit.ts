import { execFileSync } from 'node:child_process';

/** The checkout's commit, followed by `+` if tracked files differ from it. */
export function commitOf(checkout: string): string {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', checkout, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    const isChanged = git('status', '--porcelain', '--untracked-files=no') !== '';
    return git('rev-parse', '--short=12', 'HEAD') + (isChanged ? '+' : '');
  } catch {
    return 'unknown'; // a downloaded archive has no history
  }
}
