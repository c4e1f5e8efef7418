import type { ToolDefinition } from '@ossicle/harmony';
import { describe, expect, test, vi } from 'vitest';
import { call, createModel, run, tool } from '../../test/scripted-model.ts';

test('the model reads what toModelOutput makes of a result, or its error', async () => {
  const views: readonly ((output: unknown) => unknown)[] = [
    (output) => `${output} degrees`,
    () => ({ short: 1 }),
    () => JSON.parse('x'),
  ];
  const texts = views.map(async (view) => {
    const model = createModel([call('weather', {})], 'Done.');
    const toModelOutput = view as ToolDefinition['toModelOutput'] & object;
    await run(model, { tools: [{ ...tool('weather', () => 24), toModelOutput }] });
    return model.prompts[1]!.at(-1)!.content;
  });
  expect(await Promise.all(texts)).toEqual([
    '24 degrees',
    '{"short":1}',
    expect.stringContaining('error'),
  ]);
});

describe('a call with wrong arguments', () => {
  const validate = (input: unknown) => {
    const { city } = input as { city?: unknown };
    if (typeof city !== 'string') throw new TypeError('city: must be a string');
    return { city: city.trim() };
  };

  test('runs a tool with the arguments that its validate returns', async () => {
    const model = createModel([call('weather', { city: ' Bern ' })], 'Done.');
    const execute = vi.fn();
    await run(model, { tools: [{ ...tool('weather', execute), validate }] });
    expect(execute.mock.calls[0]![0]).toEqual({ city: 'Bern' });
  });

  test('tells the model what validate says, without running the tool', async () => {
    const model = createModel([call('weather', { city: 5 })], 'Done.');
    const execute = vi.fn();
    const { events } = await run(model, { tools: [{ ...tool('weather', execute), validate }] });
    expect(execute).not.toHaveBeenCalled();
    expect(events.find(({ type }) => type === 'tool-error')).toMatchObject({
      error: 'city: must be a string',
    });
    expect(model.prompts[1]!.at(-1)!.content).toContain('must be a string');
  });

  test.each([
    ['are no JSON', undefined, 'Bern'],
    ['are refused', { city: 5 }, '{"city":5}'],
  ])('runs the tool with repaired arguments if they %s', async (_, input, inputText) => {
    const model = createModel([call('weather', input, inputText)], 'Done.');
    const execute = vi.fn();
    const repairToolCall = vi.fn(async () => ({ city: 'Bern' }));
    const tools = [{ ...tool('weather', execute), validate }];
    await run(model, { tools, repairToolCall });
    expect(repairToolCall).toHaveBeenCalledWith(
      expect.objectContaining({ name: 'weather', inputText }),
      expect.any(TypeError),
    );
    expect(execute.mock.calls[0]![0]).toEqual({ city: 'Bern' });
  });

  test('tells the model the error if the repair is refused too, or none', async () => {
    for (const repaired of [undefined, { city: 6 }]) {
      const model = createModel([call('weather', { city: 5 })], 'Done.');
      const tools = [{ ...tool('weather', () => 1), validate }];
      await run(model, { tools, repairToolCall: () => repaired });
      expect(model.prompts[1]!.at(-1)!.content).toContain('must be a string');
    }
  });
});

describe('a tool that needs approval', () => {
  const remove = (
    execute: ToolDefinition['execute'],
    needsApproval: ToolDefinition['needsApproval'],
  ) => ({
    ...tool('remove', execute),
    ...(needsApproval !== undefined && { needsApproval }),
  });

  test('runs a call that the user approves', async () => {
    const model = createModel([call('remove', { path: 'a' })], 'Done.');
    const execute = vi.fn(() => 'gone');
    const approveToolCall = vi.fn(async () => true);
    await run(model, { tools: [remove(execute, true)], approveToolCall });
    expect(approveToolCall).toHaveBeenCalledWith(
      expect.objectContaining({ name: 'remove', input: { path: 'a' } }),
      { signal: expect.any(AbortSignal) },
    );
    expect(execute).toHaveBeenCalledOnce();
  });

  test.each([
    [false, 'The user does not allow this call.'],
    ['Not that file.', 'Not that file.'],
  ])('tells the model that the user refuses a call: %s', async (answer, error) => {
    const model = createModel([call('remove', {})], 'Done.');
    const execute = vi.fn();
    const approveToolCall = () => answer;
    await run(model, { tools: [remove(execute, true)], approveToolCall });
    expect(execute).not.toHaveBeenCalled();
    expect(model.prompts[1]!.at(-1)!.content).toBe(JSON.stringify({ error }));
  });

  test('ends with the call if there is nobody to ask', async () => {
    const model = createModel([call('remove', {})], 'never');
    const execute = vi.fn();
    const { result } = await run(model, { tools: [remove(execute, true)] });
    expect(result).toMatchObject({ reason: 'tool-calls', toolCalls: [{ name: 'remove' }] });
    expect(execute).not.toHaveBeenCalled();
  });

  test('is asked once whether it does, about the arguments that its validate returns', async () => {
    const validate = vi.fn((input: unknown) => ({ path: `/${(input as { path: string }).path}` }));
    const needsApproval = vi.fn((input: unknown) => (input as { path: string }).path === '/a');
    const calls = [call('remove', { path: 'a' })];
    const execute = vi.fn();
    const tools = [{ ...remove(execute, needsApproval), validate }];
    const { result } = await run(createModel(calls, 'never'), { tools });
    expect(result.reason).toBe('tool-calls');
    expect(validate).toHaveBeenCalledOnce();
    expect(needsApproval.mock.calls).toEqual([[{ path: '/a' }]]);

    const approveToolCall = vi.fn(() => true);
    await run(createModel(calls, 'Done.'), { tools, approveToolCall });
    expect([validate, needsApproval, approveToolCall].map(({ mock }) => mock.calls.length)).toEqual(
      [2, 2, 1],
    );
    expect(execute.mock.calls[0]![0]).toEqual({ path: '/a' });
  });

  test('is not asked for if the arguments are refused: the model is told why', async () => {
    const validate = () => {
      throw new TypeError('no path');
    };
    const model = createModel([call('remove', {})], 'Done.');
    await run(model, { tools: [{ ...remove(vi.fn(), true), validate }] });
    expect(model.prompts[1]!.at(-1)!.content).toContain('no path');
  });

  test('asks only about the calls that the tool wants approved, and in doubt', async () => {
    const needsApproval = (input: unknown) => {
      const { path } = input as { path?: string };
      if (path === undefined) throw new TypeError('no path');
      return path.startsWith('/');
    };
    const approveToolCall = vi.fn(() => true);
    const calls = [
      call('remove', { path: 'a' }),
      call('remove', { path: '/' }),
      call('remove', {}),
    ];
    const tools = [remove(() => 1, needsApproval)];
    await run(createModel(calls, 'Done.'), { tools, approveToolCall });
    expect(approveToolCall).toHaveBeenCalledTimes(2);
  });
});
