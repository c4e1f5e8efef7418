import { expect, test } from 'vitest';
import { anyValue, changed, fuzz, isArgumentError, outcome } from '../../test/fuzz.ts';
import { checkGenerateOptions } from './check-generate-options.ts';

const options = {
  instructions: 'Be brief.',
  reasoningEffort: 'low',
  tools: [{ name: 'now', description: 'Time', parameters: {}, execute: () => 1 }],
  responseFormat: { type: 'json', schema: {}, name: 'answer' },
  maxTokens: 1,
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: { 7: 1.5 },
  seed: 1,
  stop: ['end'],
  reasoningBudget: 100,
  prefillText: 'The answer is',
  keepAnalysis: true,
  loopGuard: false,
  logprobs: 20,
  currentDate: '2025-08-05',
  systemMessage: {
    identity: '',
    knowledgeCutoff: null,
    channels: ['final'],
    systemTools: [{ name: 'python' }, { name: 'browser', tools: [{ name: 'search' }] }],
  },
  signal: new AbortController().signal,
};

test('any options of a generation are accepted, or rejected with a short TypeError or RangeError', () =>
  fuzz('options', changed(options, anyValue), async (given) => {
    await outcome(
      () => checkGenerateOptions(given),
      (error) => {
        expect((error as Error).message.length).toBeLessThan(200);
        return isArgumentError(error);
      },
    );
  }));
