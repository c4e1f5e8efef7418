import { inject, test } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** Whether slow tests run: on lavapipe, on a GPU, and on SwiftShader if OSSICLE_SLOW_TESTS is 1. */
    slowTests: boolean;
  }
}

/** Whether this run has time for what takes up to minutes on SwiftShader. */
export const runsSlowTests: boolean = inject('slowTests');

/** A test that takes up to minutes on SwiftShader: skipped there unless OSSICLE_SLOW_TESTS is 1. */
export const slowTest: typeof test = test.skipIf(!runsSlowTests) as typeof test;
