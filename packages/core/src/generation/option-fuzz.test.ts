import { expect, test } from 'vitest';
import { anyValue, changed, fuzz, isArgumentError, outcome } from '../../test/fuzz.ts';
import { GENERATE_OPTIONS } from '../../test/generate-options.ts';
import { checkGenerateOptions } from './check-generate-options.ts';

test('any options of a generation are accepted, or rejected with a short TypeError or RangeError', () =>
  fuzz('options', changed(GENERATE_OPTIONS, anyValue), async (given) => {
    await outcome(
      () => checkGenerateOptions(given),
      (error) => {
        expect((error as Error).message.length).toBeLessThan(200);
        return isArgumentError(error);
      },
    );
  }));
