import { expect, test } from 'vitest';
import type { Settings } from '../settings.ts';
import { generateOptions } from './generate-options.ts';

const settings: Settings = {
  instructions: '',
  reasoningEffort: 'medium',
  temperature: 0,
  usesTools: false,
};

test('answers of the embedded model are bounded, those of others only by the context', () => {
  expect(generateOptions(settings, { origin: 'embedded' }).maxTokens).toBe(512);
  expect(generateOptions(settings, { origin: 'huggingface' }).maxTokens).toBeUndefined();
});
