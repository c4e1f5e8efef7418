import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** Names the file that receives a run's totals, as JSON; without it they are printed. */
export const TOTALS_FILE = 'OSSICLE_TOTALS';

/** How many tests of a run passed, failed and were skipped. */
export interface Totals {
  /** Tests that passed. */
  passed: number;
  /** Tests that failed, files that could not be run, and errors outside of any test. */
  failed: number;
  /** Tests that did not run. */
  skipped: number;
}

/** The line that ends a test run, such as `12 passed, 0 failed`. */
export function totalsLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** Vitest reporter that ends a run with `N passed, N failed`, or writes the totals to a file. */
export class TotalsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const totals: Totals = { passed: 0, failed: errors.length, skipped: 0 };
    for (const module of modules) {
      totals.failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') totals.passed++;
        else if (state === 'skipped') totals.skipped++;
        else totals.failed++; // failed, or still pending because its page is gone
      }
    }
    const file = process.env[TOTALS_FILE];
    if (file === undefined) process.stdout.write(`${totalsLine(totals)}\n`);
    else writeFileSync(file, JSON.stringify(totals));
  }
}
