import { getEventListeners } from 'node:events';
import type { Message, ToolDefinition } from '@ossicle/harmony';
import { describe, expect, test, vi } from 'vitest';
import type {
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  ToolCall,
} from '../types/generate.ts';
import { EventStream } from './event-stream.ts';
import { type GenerateOnce, generateWithTools } from './tool-loop.ts';

/** The output of a model in one round: an answer or tool calls. */
type Round = string | readonly Omit<ToolCall, 'id'>[];

const call = (name: string, input: unknown, inputText = JSON.stringify(input)) => ({
  name,
  input,
  inputText,
});

/** A model with the given rounds, which repeats the last one; each takes 10 tokens. */
function createModel(...rounds: Round[]) {
  const prompts: (readonly Message[])[] = [];
  const limits: (number | undefined)[] = [];
  const generateOnce: GenerateOnce = (input, options) => {
    const round = rounds[Math.min(prompts.length, rounds.length - 1)]!;
    prompts.push(input);
    limits.push(options.maxTokens);
    return new EventStream(async (push) => {
      const text = typeof round === 'string' ? round : '';
      const toolCalls =
        typeof round === 'string' ? [] : round.map((item, i) => ({ id: `call_${i}`, ...item }));
      if (text !== '') push({ type: 'text-delta', text });
      for (const item of toolCalls) push({ type: 'tool-call', ...item });
      const result: GenerateResult = {
        text,
        reasoning: `(${prompts.length})`,
        toolCalls,
        messages: [{ role: 'assistant', channel: 'final', content: `round ${prompts.length}` }],
        reason: toolCalls.length > 0 ? 'tool-calls' : 'stop',
        usage: {
          promptTokens: 100 * prompts.length,
          reusedTokens: prompts.length,
          completionTokens: 10,
        },
        timings: {
          timeToFirstTokenMs: 7 * prompts.length,
          prefillMs: 100,
          decodeMs: 50,
          prefillTokensPerSecond: 1000 * prompts.length,
          decodeTokensPerSecond: 180,
        },
      };
      return result;
    });
  };
  return { generateOnce, prompts, limits };
}

function tool(name: string, execute?: ToolDefinition['execute']): ToolDefinition {
  return { name, description: name, ...(execute && { execute }) };
}

async function run(
  model: ReturnType<typeof createModel>,
  options: GenerateOptions,
  input: string | readonly Message[] = 'Add.',
): Promise<{ events: GenerateEvent[]; result: GenerateResult }> {
  const generation = generateWithTools(model.generateOnce, input, options);
  const events: GenerateEvent[] = [];
  for await (const event of generation) events.push(event);
  return { events, result: await generation.result };
}

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
      'tool-call call_2',
      'tool-result call_2',
      'text-delta',
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
    expect(result.usage).toEqual({ promptTokens: 100, reusedTokens: 1, completionTokens: 20 });
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
      expect(events.find(({ type }) => type === 'tool-result')).toMatchObject({
        output: { error: expect.stringMatching(/circular|BigInt/) },
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
    const systemTools = [{ name: 'python' }, { name: 'browser', tools: [tool('search', search)] }];
    const { result } = await run(model, {
      tools: [tool('add', () => 1)],
      systemMessage: { systemTools },
    });
    expect(search.mock.calls).toEqual([[{ query: 'x' }, { signal: expect.any(AbortSignal) }]]);
    expect(model.prompts[1]!.slice(-2)).toEqual([
      { role: 'tool', name: 'browser.search', content: 'a page' },
      { role: 'tool', name: 'add', content: '1' },
    ]);
    expect(result).toMatchObject({ text: 'Found.', reason: 'stop' });
  });

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

  test('ends with the call of an unknown tool', async () => {
    const model = createModel([call('teleport', {})], 'never');
    const { result } = await run(model, { tools: [tool('add', () => 1)] });
    expect(result).toMatchObject({ reason: 'tool-calls', toolCalls: [{ name: 'teleport' }] });
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

  test('limits the tokens of all rounds together', async () => {
    const model = createModel([call('add', {})]);
    const { result } = await run(model, { tools: [tool('add', () => 1)], maxTokens: 25 });
    expect(model.limits).toEqual([25, 15, 5]);
    expect(result).toMatchObject({ reason: 'tool-calls', usage: { completionTokens: 30 } });
  });

  test('ends with a call if the model never stops calling', async () => {
    const model = createModel([call('add', {})]);
    const add = vi.fn(() => 1);
    const { result } = await run(model, { tools: [tool('add', add)] });
    expect(model.prompts).toHaveLength(32);
    expect(add).toHaveBeenCalledTimes(31);
    expect(result).toMatchObject({ reason: 'tool-calls' });
    expect(result.toolCalls.at(-1)!.id).toBe('call_31');
  });

  test('ends if it is aborted while a tool runs, and the tool’s signal aborts', async () => {
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

  test('ends if it is aborted while a tool runs that never returns', async () => {
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

  test('is not affected if the caller appends to the conversation', async () => {
    const model = createModel([call('add', { a: 1, b: 2 })], 'It is 3.');
    const history: Message[] = [{ role: 'user', content: 'Add.' }];
    const generation = generateWithTools(model.generateOnce, history, {
      tools: [tool('add', () => 3)],
    });
    history.push({ role: 'assistant', content: '' }); // as a page does that shows the growing answer
    await generation.result;
    expect(model.prompts[1]?.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool']);
  });
});
