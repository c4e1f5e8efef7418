import type { Message } from '@ossicle/harmony';
import { describe, expect, test } from 'vitest';
import { createModel } from '../../test/scripted-model.ts';
import { GrammarAutomaton } from '../grammar/automaton.ts';
import { schemaGrammar } from '../grammar/schema-grammar.ts';
import type { GenerateOptions, GenerateResult, JSONSchema } from '../types/generate.ts';
import { type Classifier, classify } from './classify.ts';
import { EventStream } from './event-stream.ts';
import { parseJson } from './parse-json.ts';

interface Call {
  readonly input: readonly Message[];
  readonly options: GenerateOptions;
}

/** A model that answers each call with the next text, and what it has been given. */
function judge(...answers: readonly string[]): Classifier & { readonly calls: Call[] } {
  const model = createModel(...answers);
  const calls: Call[] = [];
  const generate: Classifier['generate'] = (input, options) => {
    calls.push({ input, options });
    return new EventStream(async () => {
      const result = await model.generateOnce(input, options, []).result;
      const json = parseJson(result.text);
      const reason: GenerateResult['reason'] = options.signal?.aborted ? 'aborted' : 'stop';
      return { ...result, json, reason };
    });
  };
  return { generate, calls };
}

const YES = '{"violation":1,"policy_category":"H2","rationale":"It threatens."}';
const NO = '{"violation":0,"policy_category":"none","rationale":"It is fine."}';
const POLICY = '# Hate\n\nH1: slurs. H2: threats.';

describe('classify', () => {
  test('gives the verdict of a model that was asked for it in the form of its training', async () => {
    const model = judge(YES);
    const options = { policy: POLICY, reasoningEffort: 'high', categories: ['H1', 'H2'] } as const;
    expect(await classify(model, { ...options, content: 'I will find you.' })).toEqual({
      violation: true,
      category: 'H2',
      rationale: 'It threatens.',
      reasoning: '(1)',
    });
    const [{ input, options: given } = model.calls[0]!] = model.calls;
    expect(input).toEqual([{ role: 'user', content: 'I will find you.' }]);
    expect(given).toMatchObject({ reasoningEffort: 'high', temperature: 0 });
    const [first, , , last] = given.instructions!.split(/\n\n/);
    expect(given.instructions).toContain(POLICY);
    expect(first).toBe(last);
  });

  test('allows the model one of the categories for a violation, and none otherwise', async () => {
    const model = judge(YES);
    await classify(model, { policy: POLICY, content: 'a', categories: ['H1', 'H2'] });
    const [{ options }] = model.calls as [Call];
    const { schema } = options.responseFormat as { schema: JSONSchema };
    const automaton = new GrammarAutomaton(schemaGrammar(schema));
    const isAllowed = (violation: number, category: string | null): boolean => {
      const verdict = { violation, policy_category: category, rationale: 'So.' };
      const bytes = new TextEncoder().encode(JSON.stringify(verdict));
      const next = (state: number, byte: number): number => automaton.next(state, byte);
      return automaton.isAccepting(bytes.reduce(next, automaton.start));
    };
    for (const violation of [0, 1, 2]) {
      const allowed = [null, 'H1', 'H2', 'H3'].filter((category) => isAllowed(violation, category));
      expect(allowed).toEqual([[null], ['H1', 'H2'], []][violation]);
    }
  });

  test('gives no category without a violation', async () => {
    const verdict = await classify(judge(NO), { policy: POLICY, content: 'Good morning.' });
    expect(verdict).toMatchObject({ violation: false, category: null });
  });

  test('judges several contents by the same prompt, one after the other', async () => {
    const model = judge(NO, YES, '```json\n{"violation":true,"rationale":"Bad."}\n```');
    const verdicts = await classify(model, { policy: POLICY, content: ['a', 'b', 'c'] });
    expect(verdicts.map(({ violation }) => violation)).toEqual([false, true, true]);
    expect(verdicts.map(({ category }) => category)).toEqual([null, 'H2', null]);
    expect(new Set(model.calls.map(({ options }) => options.instructions)).size).toBe(1);
    expect(await classify(model, { policy: POLICY, content: [] })).toEqual([]);
  });

  test.each([
    'This is fine.',
    '{"violation":2,"policy_category":null,"rationale":"?"}',
    '{"violation":1,"policy_category":"H1"}',
    '{"violation":1,"policy_category":"H9","rationale":"Not in the policy."}',
    '[]',
  ])('rejects if the answer is no verdict: %s', async (answer) => {
    const options = { policy: POLICY, content: 'a', categories: ['H1', 'H2'] };
    const error = await classify(judge(answer), options).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'OssicleError', code: 'answer-invalid' });
    expect((error as Error).message).toContain(JSON.stringify(answer));
  });

  test('rejects with the reason of its signal', async () => {
    const signal = AbortSignal.abort(new Error('Enough.'));
    const aborted = classify(judge(NO), { policy: POLICY, content: 'a', signal });
    await expect(aborted).rejects.toThrow('Enough.');
  });

  test.each<[object, RegExp]>([
    [{ content: 'a' }, /policy must be a string, not undefined/],
    [{ policy: '' }, /content must be a string or an array of strings, not undefined/],
    [{ policy: '', content: [1] }, /content must be a string or an array of strings, not an array/],
    [{ policy: '', content: 'a', categories: [] }, /categories must be an array of strings/],
  ])('rejects wrong options: %o', async (options, message) => {
    const wrong = options as Parameters<typeof classify>[1] & { content: string };
    await expect(classify(judge(NO), wrong)).rejects.toThrow(message);
    await expect(classify(judge(NO), wrong)).rejects.toThrow(TypeError);
  });
});
