import { expect, test } from 'vitest';
import { call, createModel, tool } from '../../test/scripted-model.ts';
import { stepCountIs } from '../generation/stop-conditions.ts';
import type { GenerateEvent, GenerateOptions, GenerateResult, Message } from '../types/generate.ts';
import { WorkerSession } from './model-session.ts';
import type { RemoteService, RunOptions, WorkerClient } from './worker-client.ts';

const QUESTION: Message = { role: 'user', content: 'Add.' };
const CALL: Message = { role: 'assistant', recipient: 'functions.add', content: '{}' };
const RESULT: Message = { role: 'tool', name: 'add', content: '3' };

type Steps = readonly GenerateResult[];

/** A session, with an unfinished answer to messages, whose worker answers each prompt with a call; and what that is told. */
function createSession(unfinished?: readonly Message[], steps: Steps = []) {
  const model = createModel([call('add', {})], [call('add', {})], [call('add', {})]);
  const told: (readonly unknown[])[] = [];
  const options: GenerateOptions[] = [];
  const stepCounts: number[] = [];
  const service = {
    generate: async (_id: number, report: (event: GenerateEvent) => void, ...rest: unknown[]) => {
      const [, input, own, before] = rest as [number, readonly Message[], GenerateOptions, Steps];
      options.push(own);
      stepCounts.push(before.length);
      told.push(['generate', input]);
      report({ type: 'prefill', processedTokens: 1, totalTokens: 1 });
      return { ...(await model.generateOnce(input, own, []).result), messages: [CALL] };
    },
    addResults: async (_: number, results: readonly Message[]) =>
      void told.push(['addResults', results]),
    saveSession: async () => void told.push(['save']),
  } as unknown as RemoteService;
  const worker = {
    call: async (use: (service: RemoteService) => unknown) => use(service),
    run: async (
      start: (service: RemoteService, task: [number, unknown]) => unknown,
      { onReport }: RunOptions<GenerateEvent>,
    ) => start(service, [1, onReport]),
  } as unknown as WorkerClient;
  const isUnfinished = unfinished !== undefined;
  const start = { messages: unfinished ?? [], isUnfinished, steps, restoredTokens: 0 };
  return { session: new WorkerSession(worker, () => 1, { start }), told, options, stepCounts };
}

test('a session has the results of tools before its step ends, and so has its worker', async () => {
  const { session, told } = createSession();
  const seen: (readonly Message[])[] = [];
  const onStepFinish = async () => {
    seen.push(session.messages);
    await session.save();
  };
  const tools = [tool('add', () => 3)];
  const options = { tools, onStepFinish, stopWhen: stepCountIs(1) };
  const { messages } = await session.generate([QUESTION], options).result;
  expect(messages).toHaveLength(2);
  const { channel: _, ...result } = messages[1]!;
  expect(result).toEqual(RESULT);
  expect(seen).toEqual([[QUESTION, ...messages]]);
  expect(session.messages).toEqual([QUESTION, ...messages]);
  expect(told).toEqual([['generate', [QUESTION]], ['addResults', messages.slice(1)], ['save']]);
});

test.each([
  ['before it was made', 0, [QUESTION], ['required', 'auto']],
  ['after it was answered', 1, [QUESTION, CALL, RESULT], ['auto', 'auto']],
])('an answer that must call a tool goes on %s', async (_, before, messages, expected) => {
  const steps: GenerateResult[] = [];
  const tools = [tool('add', () => 3)];
  const onStepFinish = (step: GenerateResult) => void steps.push(step);
  const stopWhen = stepCountIs(1);
  await createSession().session.generate([QUESTION], { tools, stopWhen, onStepFinish }).result;
  const { session, options, stepCounts } = createSession(messages, steps.slice(0, before));
  const { usage } = await session.resume({
    tools,
    toolChoice: 'required',
    stopWhen: stepCountIs(before + 2),
  }).result;
  expect(options.map(({ toolChoice }) => toolChoice)).toEqual(expected);
  expect(stepCounts).toEqual([before, before + 1]);
  expect(usage.completionTokens).toBe(10 * (before + 2));
});
