import { getEventListeners } from 'node:events';
import type { Message, ToolDefinition } from '@ossicle/harmony';
import { describe, expect, test, vi } from 'vitest';
import { call, createModel, type Round, run, started, tool } from '../../test/scripted-model.ts';
import { OssicleError } from '../errors.ts';
import type { GenerateResult, StepState } from '../types/generate.ts';
import { EventStream } from './event-stream.ts';
import { hasToolCall, stepCountIs } from './stop-conditions.ts';
import { type GenerateOnce, generateWithTools } from './tool-loop.ts';

describe('a generation with tools', () => {
  test('runs the tools that the model calls, gives it their results, and ends with its answer', async () => {
    const model = createModel(
      [call('add', { a: 1, b: 2 }), call('add', { a: 3, b: 4 })],
      [call('add', { a: 3, b: 7 })],
      'It is 10.',
    );
    const add = vi.fn(async (input: unknown) => {
      const { a, b } = input as { a: number; b: number };
      return { sum: a + b };
    });
    const { events, result } = await run(model, { tools: [tool('add', add)] });

    expect(add.mock.calls.map(([input]) => input)).toEqual([
      { a: 1, b: 2 },
      { a: 3, b: 4 },
      { a: 3, b: 7 },
    ]);
    expect(
      events.map((event) => ('id' in event ? `${event.type} ${event.id}` : event.type)),
    ).toEqual([
      'tool-call call_0',
      'tool-call call_1',
      'tool-result call_0',
      'tool-result call_1',
      'step-finish',
      'tool-call call_2',
      'tool-result call_2',
      'step-finish',
      'text-delta',
      'step-finish',
      'finish',
    ]);
    const results = [3, 7, 10].map((sum) => ({
      role: 'tool',
      name: 'add',
      content: JSON.stringify({ sum }),
    }));
    expect(model.prompts).toMatchObject([
      [{ role: 'user', content: 'Add.' }],
      [{ role: 'user' }, { content: 'round 1' }, ...results.slice(0, 2)],
      [
        { role: 'user' },
        { content: 'round 1' },
        ...results.slice(0, 2),
        { content: 'round 2' },
        results[2],
      ],
    ]);
    expect(result).toMatchObject({ text: 'It is 10.', reasoning: '(1)(2)(3)', reason: 'stop' });
    expect(result.toolCalls.map(({ id }) => id)).toEqual(['call_0', 'call_1', 'call_2']);
    expect(result.messages).toMatchObject([
      { content: 'round 1' },
      ...results.slice(0, 2),
      { content: 'round 2' },
      results[2],
      { content: 'round 3' },
    ]);
  });

  test('adds up tokens and times; the prompt and the first token are those of the first round', async () => {
    const model = createModel([call('now', {})], 'Noon.');
    const { result, events } = await run(model, { tools: [tool('now', () => 12)] });
    expect(result.usage).toEqual({
      promptTokens: 100,
      reusedTokens: 1,
      completionTokens: 20,
      reasoningTokens: 8,
    });
    expect(result.timings).toEqual({
      timeToFirstTokenMs: 7,
      prefillMs: 200,
      decodeMs: 100,
      prefillTokensPerSecond: 1500, // 100 tokens and 200, in 100 ms each
      decodeTokensPerSecond: 180,
    });
    const { usage, timings } = result;
    expect(events.at(-1)).toEqual({ type: 'finish', reason: 'stop', usage, timings });
  });

  test.each([
    ['a string', 'sunny', 'sunny'],
    ['an object', { sky: 'clear' }, '{"sky":"clear"}'],
    ['null for nothing', undefined, 'null'],
  ])('gives the model %s that a tool returns', async (_, output, content) => {
    const model = createModel([call('weather', {})], 'Thanks.');
    const { events } = await run(model, { tools: [tool('weather', () => output)] });
    expect(model.prompts[1]!.at(-1)).toEqual({ role: 'tool', name: 'weather', content });
    expect(events.find(({ type }) => type === 'tool-result')).toMatchObject({ output });
  });

  test('tells the model the error that a tool throws, and goes on', async () => {
    const model = createModel([call('weather', { city: 'Oz' })], 'I do not know.');
    const fail = () => Promise.reject(new RangeError('no such city'));
    const { result } = await run(model, { tools: [tool('weather', fail)] });
    expect(model.prompts[1]!.at(-1)!.content).toBe('{"error":"no such city"}');
    expect(result.text).toBe('I do not know.');
  });

  const circular: Record<string, unknown> = {};
  circular.self = circular;
  test.each([circular, { count: 10n }])(
    'tells the model that JSON cannot hold a result, and goes on: %o',
    async (output) => {
      const model = createModel([call('count', {})], 'It failed.');
      const { events, result } = await run(model, { tools: [tool('count', () => output)] });
      const { content } = model.prompts[1]!.at(-1)!;
      expect(JSON.parse(content)).toEqual({ error: expect.stringMatching(/circular|BigInt/) });
      expect(events.find(({ type }) => type === 'tool-error')).toMatchObject({
        error: expect.stringMatching(/circular|BigInt/),
      });
      expect(result.text).toBe('It failed.');
    },
  );

  test('does not run a tool whose arguments cannot be parsed, and tells the model so', async () => {
    const model = createModel([call('remove', undefined, '{"path": ')], 'Sorry.');
    const remove = vi.fn();
    await run(model, { tools: [tool('remove', remove)] });
    expect(remove).not.toHaveBeenCalled();
    expect(model.prompts[1]!.at(-1)!.content).toMatch(/not valid JSON.*\{\\"path\\": /);
  });

  test('runs a built-in tool that has an execute', async () => {
    const model = createModel([call('browser.search', { query: 'x' }), call('add', {})], 'Found.');
    const search = vi.fn(() => 'a page');
    const builtInTools = [{ name: 'python' }, { name: 'browser', tools: [tool('search', search)] }];
    const { result } = await run(model, {
      tools: [tool('add', () => 1)],
      builtInTools,
    });
    expect(search).toHaveBeenCalledExactlyOnceWith({ query: 'x' }, expect.anything());
    expect(model.prompts[1]!.slice(-2)).toEqual([
      { role: 'tool', name: 'browser.search', content: 'a page' },
      { role: 'tool', name: 'add', content: '1' },
    ]);
    expect(result).toMatchObject({ text: 'Found.', reason: 'stop' });
  });

  test('gives a namespace without tools the text of its calls, asks before, and shows the model its view', async () => {
    const code = (text: string) => [call('python', undefined, text)];
    const model = createModel(code('6 * 7'), code('exit()'), 'Done.');
    const execute = vi.fn(() => ({ value: 42 }));
    const needsApproval = vi.fn((input: unknown) => input === 'exit()');
    const toModelOutput = (output: unknown) => `Out: ${(output as { value: number }).value}`;
    const { events } = await run(model, {
      builtInTools: [{ name: 'python', execute, needsApproval, toModelOutput }],
      approveToolCall: ({ input }) => `Not ${input}.`,
    });
    expect(execute).toHaveBeenCalledExactlyOnceWith('6 * 7', expect.anything());
    expect(model.prompts[1]!.at(-1)).toMatchObject({ name: 'python', content: 'Out: 42' });
    expect(model.prompts[2]!.at(-1)).toMatchObject({ content: '{"error":"Not exit()."}' });
    expect(events.find(({ type }) => type === 'tool-result')).toMatchObject({
      output: { value: 42 },
    });
  });

  test.each(['python', 'browser.open'])(
    'ends with a call of a built-in tool without execute: %s',
    async (name) => {
      const builtInTools = [{ name: 'python' }, { name: 'browser', tools: [tool('open')] }];
      const model = createModel([call(name, undefined, '1 + 1')], 'never');
      const { result } = await run(model, {
        tools: [tool('add', () => 1)],
        builtInTools,
      });
      expect(result).toMatchObject({ reason: 'tool-calls', toolCalls: [{ name }] });
    },
  );

  test('ends with the calls if one of their tools has no execute', async () => {
    const model = createModel([call('add', { a: 1 }), call('ask', {})], 'never');
    const add = vi.fn();
    const { result } = await run(model, { tools: [tool('add', add), tool('ask')] });
    expect(add).not.toHaveBeenCalled();
    expect(result).toMatchObject({
      reason: 'tool-calls',
      toolCalls: [{ name: 'add' }, { name: 'ask' }],
    });
    expect(model.prompts).toHaveLength(1);
  });

  test('tells the model that a tool does not exist, and which do', async () => {
    const model = createModel([call('teleport', {})], 'Then I walk.');
    const { events, result } = await run(model, { tools: [tool('add', () => 1), tool('walk')] });
    const error = 'There is no tool named teleport. The tools: add, walk.';
    expect(model.prompts[1]!.at(-1)!.content).toBe(JSON.stringify({ error }));
    expect(events.find(({ type }) => type === 'tool-error')).toMatchObject({
      name: 'teleport',
      error,
    });
    expect(result).toMatchObject({ text: 'Then I walk.', reason: 'stop' });
  });

  test('has one round if no tool has an execute', async () => {
    const model = createModel([call('ask', {})], 'never');
    const { result } = await run(model, { tools: [tool('ask')] }, [
      { role: 'user', content: 'Ask.' },
    ]);
    expect(result.reason).toBe('tool-calls');
    expect(model.prompts).toEqual([[{ role: 'user', content: 'Ask.' }]]);
  });

  test('leaves no listener on its signal when a round ends', async () => {
    const listeners: number[] = [];
    const count: ToolDefinition['execute'] = (_, { signal }) => {
      listeners.push(getEventListeners(signal, 'abort').length);
    };
    const rounds = new Array<Round>(12).fill([call('count', {})]);
    await run(createModel(...rounds, 'Done.'), { tools: [tool('count', count)] });
    expect(listeners).toEqual(new Array(12).fill(listeners[0]));
  });

  test('ends after 32 steps if the model never stops calling, with the last results', async () => {
    const model = createModel([call('add', {})]);
    const add = vi.fn(() => 1);
    const { result } = await run(model, { tools: [tool('add', add)] });
    expect(model.prompts).toHaveLength(32);
    expect(add).toHaveBeenCalledTimes(32);
    expect(result).toMatchObject({ reason: 'tool-calls' });
    expect(result.messages.at(-1)).toEqual({ role: 'tool', name: 'add', content: '1' });
  });

  test.each([
    ['the number of steps', stepCountIs(2), 2],
    ['a call', hasToolCall('add'), 2],
    [
      'any of several conditions',
      [stepCountIs(7), ({ steps }: StepState) => steps.length === 2],
      2,
    ],
    ['the conversation', ({ messages }: StepState) => messages.length >= 5, 2],
  ])('ends after a step that meets a condition on %s', async (_, stopWhen, steps) => {
    const model = createModel([call('look', {})], [call('add', {})]);
    const tools = [tool('look', () => 1), tool('add', () => 2)];
    const { result } = await run(model, { tools, stopWhen });
    expect(model.prompts).toHaveLength(steps);
    expect(result.reason).toBe('tool-calls');
    expect(result.messages).toHaveLength(2 * steps);
  });

  test('runs the calls of a step side by side, and keeps their order in the conversation', async () => {
    const model = createModel([call('first', {}), call('second', {})], 'Done.');
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const tools = [
      tool('first', () => released.then(() => 1)),
      tool('second', () => {
        release();
        return 2;
      }),
    ];
    const { events } = await run(model, { tools });
    const names = events.flatMap((event) => (event.type === 'tool-result' ? [event.name] : []));
    expect(names).toEqual(['second', 'first']);
    expect(model.prompts[1]!.slice(-2)).toMatchObject([{ content: '1' }, { content: '2' }]);
  });

  test('gives a tool the id of its call', async () => {
    const model = createModel([call('add', {})], 'Done.');
    const add = vi.fn();
    await run(model, { tools: [tool('add', add)] });
    expect(add).toHaveBeenCalledWith({}, expect.objectContaining({ toolCallId: 'call_0' }));
  });

  test('asks for a call in its first step only', async () => {
    for (const toolChoice of ['required', { name: 'add' }] as const) {
      const model = createModel([call('add', {})], [call('add', {})], 'Done.');
      await run(model, { tools: [tool('add', () => 1)], toolChoice });
      expect(model.options.map((options) => options.toolChoice)).toEqual([
        toolChoice,
        'auto',
        'auto',
      ]);
    }
    const model = createModel([call('add', {})], 'Done.');
    const prepareStep = () => ({ toolChoice: 'none' }) as const;
    await run(model, { tools: [tool('add', () => 1)], toolChoice: 'required', prepareStep });
    expect(model.options.map((options) => options.toolChoice)).toEqual(['none', 'none']);
  });

  test('answers a call on the channel that it was made on', async () => {
    const model = createModel([call('python', {})], 'Done.');
    const generateOnce: GenerateOnce = (input, options) =>
      new EventStream(async () => {
        const result = await model.generateOnce(input, options, []).result;
        const { messages } = result;
        const made = { ...messages[0]!, channel: 'analysis' as const, recipient: 'python' };
        return result.reason === 'stop' ? result : { ...result, messages: [made] };
      });
    const result = await generateWithTools(generateOnce, started('Count.'), {
      tools: [tool('python', () => 5)],
    }).result;
    expect(result.messages[1]).toEqual({
      role: 'tool',
      name: 'python',
      channel: 'analysis',
      content: '5',
    });
  });

  describe('with steps that the application follows', () => {
    test('calls onStepFinish and emits step-finish after each, with the results of its tools', async () => {
      const model = createModel([call('add', {})], 'Done.');
      const steps: GenerateResult[] = [];
      const onStepFinish = (step: GenerateResult) => steps.push(step);
      const { events } = await run(model, { tools: [tool('add', () => 3)], onStepFinish });
      const contents = [['round 1', '3'], ['round 2']];
      expect(steps.map(({ messages }) => messages.map(({ content }) => content))).toEqual(contents);
      const finished = events.flatMap((event) => (event.type === 'step-finish' ? [event] : []));
      expect(finished).toMatchObject([
        { reason: 'tool-calls', messages: steps[0]!.messages },
        { reason: 'stop', messages: steps[1]!.messages },
      ]);
    });

    test('takes the options that prepareStep returns for the next step only', async () => {
      const model = createModel([call('add', {})], [call('add', {})], 'Done.');
      const states: StepState[] = [];
      const prepareStep = (state: StepState) => {
        states.push(state);
        return state.steps.length === 1 ? { temperature: 0, tools: [] } : undefined;
      };
      const tools = [tool('add', () => 3)];
      const { result } = await run(model, { tools, prepareStep });
      expect(model.options.map(({ temperature }) => temperature)).toEqual([undefined, 0]);
      expect(states.map(({ steps, messages }) => [steps.length, messages.length])).toEqual([
        [0, 1],
        [1, 3],
      ]);
      expect(result.reason).toBe('tool-calls'); // without tools, the second call is the application's
    });

    test('refuses a wrong option from prepareStep', async () => {
      const model = createModel('never');
      const prepareStep = () => ({ temperature: -1 });
      await expect(run(model, { tools: [tool('add')], prepareStep })).rejects.toThrow(
        'temperature',
      );
      expect(model.prompts).toEqual([]);
    });
  });

  describe('that fails in a later step', () => {
    const failing = (error: Error) => {
      const model = createModel([call('read', {})]);
      const generateOnce: GenerateOnce = (input, options) =>
        model.prompts.length < 2
          ? model.generateOnce(input, options, [])
          : new EventStream(() => Promise.reject(error));
      return generateWithTools(generateOnce, started('Read.'), {
        tools: [tool('read', () => 'x')],
      });
    };

    test('ends with what it has if the results of tools fill the context', async () => {
      const result = await failing(new OssicleError('context-overflow', 'full')).result;
      expect(result.reason).toBe('length');
      expect(result.messages.map(({ content }) => content)).toEqual([
        'round 1',
        'x',
        'round 2',
        'x',
      ]);
    });

    test('has emitted the messages of the steps before', async () => {
      const generation = failing(new OssicleError('device-lost', 'gone'));
      const messages: Message[] = [];
      const read = async () => {
        for await (const event of generation) {
          if (event.type === 'step-finish') messages.push(...event.messages);
        }
      };
      await expect(read()).rejects.toMatchObject({ code: 'device-lost' });
      expect(messages.map(({ content }) => content)).toEqual(['round 1', 'x', 'round 2', 'x']);
    });
  });
});
