import { inject, test } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** Whether {@link slowTest} runs: on lavapipe, on a GPU, and on SwiftShader if OSSICLE_SLOW_TESTS is 1. */
    slowTests: boolean;
  }
}

/** A test that takes up to minutes on SwiftShader: skipped there unless OSSICLE_SLOW_TESTS is 1. */
export const slowTest: typeof test = test.skipIf(!inject('slowTests')) as typeof test;
