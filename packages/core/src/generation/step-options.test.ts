import { describe, expect, test } from 'vitest';
import { call, createModel, run, tool } from '../../test/scripted-model.ts';

describe('a generation with tools', () => {
  test('limits the tokens of all rounds together', async () => {
    const model = createModel([call('add', {})]);
    const { result } = await run(model, { tools: [tool('add', () => 1)], maxTokens: 25 });
    expect(model.options.map((options) => options.maxTokens)).toEqual([25, 15, 5]);
    expect(result).toMatchObject({ reason: 'tool-calls', usage: { completionTokens: 30 } });
  });

  test('shares the reasoning budget among the steps, and prefills only the first', async () => {
    const model = createModel([call('add', {})], [call('add', {})], 'Done.');
    const options = { tools: [tool('add', () => 1)], reasoningBudget: 5, prefillText: 'It is' };
    await run(model, options);
    expect(model.options.map(({ reasoningBudget }) => reasoningBudget)).toEqual([5, 1, 0]);
    expect(model.options.map(({ prefillText }) => prefillText)).toEqual([
      'It is',
      undefined,
      undefined,
    ]);
  });
});
