import { describe, expect, test } from 'vitest';
import {
  call,
  createModel,
  type Round,
  type ScriptedModel,
  tool,
} from '../../test/scripted-model.ts';
import type { GenerateOptions, GenerateResult, Message, StepState } from '../types/generate.ts';
import { EventStream, startGeneration } from './event-stream.ts';
import { stepCountIs } from './stop-conditions.ts';
import { type GenerateStep, Transcript } from './transcript.ts';

const [EARLIER, LATER, LAST]: readonly Message[] = ['Earlier', 'Later', 'Last'].map((content) => ({
  role: 'user',
  content,
}));

/** A transcript of a script, whose steps take turns, and what it has been asked for. An answer `cut short` is unfinished. */
function createTranscript(
  rounds: readonly Round[],
  start?: { readonly messages: readonly Message[]; readonly steps: readonly GenerateResult[] },
): { readonly transcript: Transcript; readonly model: ScriptedModel } {
  const model = createModel(...rounds);
  let last: Promise<unknown> = Promise.resolve();
  const generateStep: GenerateStep = (input, options, steps) => {
    const before = last;
    const generation = new EventStream(async () => {
      await before;
      transcript.begin(input, steps);
      const given = Array.isArray(input) ? input : transcript.messages;
      const result = await model.generateOnce(given, options, steps).result;
      const all = { ...result, ...(result.text === 'cut short' && { reason: 'length' as const }) };
      transcript.end(all);
      return all;
    });
    last = generation.result.catch(() => undefined);
    return generation;
  };
  const transcript = new Transcript(generateStep, start && { ...start, isUnfinished: true });
  return { transcript, model };
}

const START = { messages: [EARLIER!], steps: [] };
const TOOLS = [tool('add', () => 3)];

describe('an answer is resumed', () => {
  test('after the generations that were called before, with the options of its own place', async () => {
    const rounds = ['cut short', [call('add', {})], 'done'];
    const { transcript, model } = createTranscript(rounds, {
      messages: [EARLIER!, { role: 'tool', name: 'add', content: '3' }],
      steps: await stepsOf(1),
    });
    const cut = transcript.generate([LATER!], {}).result;
    const states: StepState[] = [];
    const resumed = transcript.resume({
      tools: TOOLS,
      toolChoice: 'required',
      stopWhen: stepCountIs(2),
      prepareStep: (state) => void states.push(state),
    }).result;
    expect((await cut).reason).toBe('length');
    const { messages } = await resumed;
    expect(model.prompts).toEqual([[LATER], [LATER], [LATER, ...messages.slice(0, -1)]]);
    expect(transcript.messages).toEqual([LATER, ...messages]);
    expect(states.map(({ steps }) => steps.length)).toEqual([0, 1]);
    expect(states[0]?.messages).toEqual([LATER]);
    expect(model.options.map(({ toolChoice }) => toolChoice)).toEqual([
      undefined,
      'required',
      'auto',
    ]);
  });

  test('before the generations that were called after', async () => {
    const { transcript, model } = createTranscript(['cut short', 'done', 'last'], START);
    const calls = [
      transcript.generate([LATER!], {}),
      transcript.resume({ prepareStep: async () => undefined }),
      transcript.generate([LAST!], {}),
    ];
    const texts = await Promise.all(calls.map(async ({ result }) => (await result).text));
    expect(texts).toEqual(['cut short', 'done', 'last']);
    expect(model.prompts).toEqual([[LATER], [LATER], [LAST]]);
  });

  test('before those that are called while its first step is prepared', async () => {
    const { transcript, model } = createTranscript(['done', 'last'], START);
    let prepare = (): void => undefined;
    const isPrepared = new Promise<void>((resolve) => {
      prepare = resolve;
    });
    const resumed = transcript.resume({ prepareStep: () => isPrepared.then(() => undefined) });
    await new Promise((resolve) => setTimeout(resolve));
    const after = transcript.generate([LAST!], {});
    prepare();
    expect([(await resumed.result).text, (await after.result).text]).toEqual(['done', 'last']);
    expect(model.prompts).toEqual([[EARLIER], [LAST]]);
  });

  test('after a generation whose tool asks the same session', async () => {
    const { transcript } = createTranscript(
      [[call('add', {})], 'aside', 'sum', 'cut short'],
      START,
    );
    const execute = async (): Promise<string> => {
      resumed = transcript.resume({}).result.then(undefined, String);
      return (await transcript.generate([LATER!], {}).result).text;
    };
    let resumed: Promise<unknown> | undefined;
    const { text } = await transcript.generate([EARLIER!], { tools: [tool('add', execute)] })
      .result;
    expect(text).toBe('sum');
    await resumed;
  });

  test('even if a generation before it fails, but not beyond an abort', async () => {
    const { transcript, model } = createTranscript(['done'], START);
    const failed = transcript.generate([LATER!], {
      prepareStep: () => Promise.reject(new Error('no')),
    });
    expect((await transcript.resume({}).result).text).toBe('done');
    await expect(failed.result).rejects.toThrow('no');
    const never = transcript.generate([LATER!], {
      prepareStep: () => new Promise(() => undefined),
    });
    const signal = AbortSignal.abort();
    await expect(transcript.resume({ signal }).result).resolves.toBeDefined();
    expect(model.prompts).toHaveLength(2);
    void never;
  });
});

/** So many steps of 10 tokens, 4 of them reasoning. */
async function stepsOf(count: number): Promise<GenerateResult[]> {
  const steps: GenerateResult[] = [];
  const { transcript } = createTranscript([[call('add', {})]]);
  const onStepFinish = (step: GenerateResult) => void steps.push(step);
  const stopWhen = stepCountIs(count);
  await transcript.generate([EARLIER!], { tools: TOOLS, stopWhen, onStepFinish }).result;
  return steps;
}

describe('a resumed generation with tools', () => {
  /** Resumes after two steps, and returns the options of the model's steps. */
  async function resumed(options: GenerateOptions, rounds: readonly Round[] = [[call('add', {})]]) {
    const steps = await stepsOf(2);
    const messages = [EARLIER!, ...steps.flatMap((step) => step.messages)];
    const { transcript, model } = createTranscript(rounds, { messages, steps });
    const result = await transcript.resume({ tools: TOOLS, ...options }).result;
    return { ...model, result, steps };
  }

  test('counts the steps that had ended', async () => {
    const states: StepState[] = [];
    const { result, options, steps } = await resumed({
      stopWhen: stepCountIs(4),
      prepareStep: (state) => void states.push(state),
    });
    expect(options).toHaveLength(2);
    expect(states.map((state) => state.steps.length)).toEqual([2, 3]);
    expect(states[0]?.steps).toEqual(steps);
    expect(result.usage).toMatchObject({ completionTokens: 40, reasoningTokens: 16 });
    expect(result.toolCalls).toHaveLength(4);
    expect(result.messages).toHaveLength(4);
  });

  test('shares its tokens and its reasoning with them', async () => {
    const { options, result } = await resumed({ maxTokens: 35, reasoningBudget: 11 });
    expect(options.map(({ maxTokens }) => maxTokens)).toEqual([15, 5]);
    expect(options.map(({ reasoningBudget }) => reasoningBudget)).toEqual([3, 0]);
    expect(result.usage.completionTokens).toBe(40);
    const { options: none } = await resumed({ maxTokens: 20 });
    expect(none.map(({ maxTokens }) => maxTokens)).toEqual([1]); // which its answer has
  });

  test('has called the tool that it must call, and has its prefill', async () => {
    const { options } = await resumed({ toolChoice: 'required', prefillText: 'It is' }, ['done']);
    expect(options).toMatchObject([{ toolChoice: 'auto', prefillText: undefined }]);
  });
});

describe('a generation', () => {
  test.each([undefined, null, 5, {}, new Set()])('rejects an input of %o', async (input) => {
    const { transcript } = createTranscript(['Hi.']);
    const generation = startGeneration({}, () => transcript.generate(input as never, {}));
    await expect(generation.result).rejects.toThrow(
      /^The input must be a string or messages, not /,
    );
  });

  test('is not affected if the caller appends to the conversation', async () => {
    const { transcript, model } = createTranscript([[call('add', { a: 1, b: 2 })], 'It is 3.']);
    const history: Message[] = [{ role: 'user', content: 'Add.' }];
    const generation = transcript.generate(history, { tools: TOOLS });
    history.push({ role: 'assistant', content: '' }); // as a page does that shows the growing answer
    await generation.result;
    expect(model.prompts[1]?.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool']);
  });
});
