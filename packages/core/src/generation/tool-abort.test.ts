import type { ToolDefinition } from '@ossicle/harmony';
import { describe, expect, test } from 'vitest';
import { call, createModel, run, tool } from '../../test/scripted-model.ts';
import type { GenerateOptions } from '../types/generate.ts';

describe('a generation with tools that is aborted', () => {
  test('ends while a tool runs, and the tool’s signal aborts', async () => {
    const model = createModel([call('wait', {}), call('wait', {})], 'never');
    const controller = new AbortController();
    let heard = 0;
    const wait: ToolDefinition['execute'] = (_, { signal }) => {
      signal.addEventListener('abort', () => {
        heard++;
      });
      controller.abort();
      return 'stopped';
    };
    const options = { tools: [tool('wait', wait)], signal: controller.signal };
    const { result, events } = await run(model, options);
    expect(heard).toBe(1);
    expect(result.reason).toBe('aborted');
    expect(events.at(-1)).toMatchObject({ type: 'finish', reason: 'aborted' });
    expect(model.prompts).toHaveLength(1);
  });

  test('ends while a tool runs that never returns', async () => {
    const model = createModel([call('hang', {})], 'never');
    const controller = new AbortController();
    const hang: ToolDefinition['execute'] = () => {
      queueMicrotask(() => controller.abort());
      return new Promise(() => undefined);
    };
    const options = { tools: [tool('hang', hang)], signal: controller.signal };
    const { result } = await run(model, options);
    expect(result).toMatchObject({ reason: 'aborted', toolCalls: [{ name: 'hang' }] });
    expect(result.messages).toHaveLength(1);
    expect(model.prompts).toHaveLength(1);
  });

  const never = (): Promise<never> => new Promise(() => undefined);
  const tools = [tool('add', () => 3)];
  const asking = [{ ...tool('add', () => 3), needsApproval: true }];

  test.each<[string, GenerateOptions]>([
    [
      'prepareStep',
      { tools, prepareStep: ({ steps }) => (steps.length > 0 ? never() : undefined) },
    ],
    ['onStepFinish', { tools, onStepFinish: never }],
    ['stopWhen', { tools, stopWhen: never }],
    ['approveToolCall', { tools: asking, approveToolCall: never }],
    ['needsApproval', { tools: [{ ...tool('add', () => 3), needsApproval: never }] }],
    ['repairToolCall', { tools, repairToolCall: never }],
    ['validate', { tools: [{ ...tool('add', () => 3), validate: never }] }],
  ])('ends while %s never returns', async (name, options) => {
    const input = name === 'repairToolCall' ? undefined : { a: 1 };
    const model = createModel([call('add', input, '{')], 'never');
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    const { result } = await run(model, { ...options, signal: controller.signal });
    expect(result.messages[0]).toMatchObject({ content: 'round 1' });
    expect(result.reason).toBe('aborted');
    expect(model.prompts).toHaveLength(1);
  });
});
