import { expect, test } from 'vitest';
import type { Settings } from '../settings.ts';
import { generateOptions } from './generate-options.ts';

const settings: Settings = {
  instructions: '',
  reasoningEffort: 'medium',
  temperature: 0,
  usesTools: false,
  asksForTools: false,
  keepsSessions: true,
};

test('answers of the embedded model are bounded, those of others only by the context', () => {
  expect(generateOptions(settings, { origin: 'embedded' }).maxTokens).toBe(512);
  expect(generateOptions(settings, { origin: 'huggingface' }).maxTokens).toBeUndefined();
});

test('each tool needs approval if the user wants to be asked', () => {
  const asking = { ...settings, usesTools: true, asksForTools: true };
  const { tools = [] } = generateOptions(asking, { origin: 'embedded' });
  expect(tools.map(({ needsApproval }) => needsApproval)).toEqual([true, true, true]);
});
