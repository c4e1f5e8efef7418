import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** Environment variable with the path of a file that receives a run's totals as JSON. If unset, they are printed. */
export const TOTALS_FILE = 'OSSICLE_TOTALS';

/** How many tests of a run passed, failed and were skipped. */
export interface Totals {
  /** One line for each failure: project, file and test. */
  readonly failures: string[];
  /** Tests that passed. */
  passed: number;
  /** Tests that failed, files that could not run, and errors outside any test. */
  failed: number;
  /** Tests that did not run. */
  skipped: number;
}

/** The line that ends a run: `12 passed, 0 failed`, and `, 3 skipped` if any test was. */
export function totalsLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** Vitest reporter that ends a run with {@link totalsLine}, or writes the totals to a file. */
export class TotalsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const totals: Totals = { passed: 0, failed: 0, skipped: 0, failures: [] };
    const fail = (where: string, error: SerializedError | undefined): void => {
      totals.failed++;
      totals.failures.push(`${where}: ${error?.message.split('\n', 1)[0] ?? 'did not end'}`);
    };
    for (const error of errors) fail('outside any test', error);
    for (const module of modules) {
      const name = `${module.project.name} ${module.relativeModuleId}`;
      for (const error of module.errors()) fail(name, error);
      for (const test of module.children.allTests()) {
        const { state, errors: reasons } = test.result();
        if (state === 'passed') totals.passed++;
        else if (state === 'skipped') totals.skipped++;
        else fail(`${name} > ${test.fullName}`, reasons?.[0]); // failed, or pending since its page is gone
      }
    }
    const file = process.env[TOTALS_FILE];
    if (file === undefined) process.stdout.write(`${totalsLine(totals)}\n`);
    else writeFileSync(file, JSON.stringify(totals));
  }
}
