import {
  createTokenizer,
  type Message,
  renderConversation,
  stopTokens,
  type Tokenizer,
} from '@ossicle/harmony';
import { beforeAll, describe, expect, test } from 'vitest';
import { readTestJson } from '../../test/files.ts';
import type { GenerateEvent, GenerateOptions } from '../types/generate.ts';
import type { OutputSummary } from './chat-format.ts';
import { HarmonyOutput } from './harmony-output.ts';

let tokenizer: Tokenizer;

beforeAll(async () => {
  const folder = 'demo/public/models/gpt-oss-nano';
  tokenizer = createTokenizer(await readTestJson(`${folder}/tokenizer.json`));
});

/** The ids of what a model writes: text between control tokens, which are given by name. */
function ids(written: string): number[] {
  return written
    .split(/(<\|\w+\|>)/)
    .filter((part) => part !== '')
    .flatMap((part) =>
      part.startsWith('<|') ? [tokenizer.tokenId(part)!] : tokenizer.encode(part),
    );
}

interface Read {
  readonly events: readonly GenerateEvent[];
  readonly summary: OutputSummary;
  /** How many tokens were read until the answer ended. */
  readonly taken: number;
  /** The text deltas, joined. */
  readonly deltas: string;
}

/** Reads what a model writes until the answer ends, as a generation does. */
function read(written: string, options: GenerateOptions = {}, prompt = ''): Read {
  const output = new HarmonyOutput(tokenizer, options, ids(prompt));
  const events: GenerateEvent[] = [];
  let taken = 0;
  for (const id of ids(written)) {
    events.push(...output.push(id));
    taken++;
    if (output.isStopped) break;
  }
  events.push(...output.finish());
  const deltas = events.flatMap((event) => (event.type === 'text-delta' ? [event.text] : []));
  return { events, summary: output.summary(), taken, deltas: deltas.join('') };
}

const ANALYSIS = '<|channel|>analysis<|message|>Ones first.<|end|><|start|>assistant';
const FINAL = '<|channel|>final<|message|>17 + 25 is 42, of course.';

describe('the output of a model', () => {
  test('looks for stop strings only in what follows the prompt', () => {
    const prompt = '<|start|>assistant<|channel|>final<|message|>```json\n';
    const { summary, deltas } = read('[42]\n```<|return|>', { stop: ['```'] }, prompt);
    expect(summary.text).toBe('```json\n[42]\n');
    expect(deltas).toBe(summary.text);
    const analysis = '<|start|>assistant<|channel|>analysis<|message|>It is';
    const after = read(` 4.<|end|><|start|>assistant${FINAL}`, { stop: ['is'] }, analysis);
    expect(after.summary.text).toBe('17 + 25 ');
  });

  test('continues the message that its prompt ends in', () => {
    const prompt = '<|start|>assistant<|channel|>final<|message|>17 + 25';
    const { summary, deltas } = read(' is 42.<|return|>', {}, prompt);
    expect(deltas).toBe('17 + 25 is 42.');
    expect(summary).toMatchObject({ text: '17 + 25 is 42.', messages: [{ channel: 'final' }] });
    const thought = '<|start|>assistant<|channel|>analysis<|message|>';
    expect(read(`Ones first.<|end|><|start|>assistant${FINAL}`, {}, thought).summary).toMatchObject(
      {
        reasoning: 'Ones first.',
        text: '17 + 25 is 42, of course.',
      },
    );
  });

  test('is read as reasoning, then as text, both streamed and in the summary', () => {
    const { events, summary, deltas } = read(`${ANALYSIS}${FINAL}<|return|>`);
    expect(summary).toMatchObject({
      reasoning: 'Ones first.',
      text: '17 + 25 is 42, of course.',
      toolCalls: [],
    });
    expect(deltas).toBe(summary.text);
    const reasoning = events.flatMap((event) =>
      event.type === 'reasoning-delta' ? [event.text] : [],
    );
    expect(reasoning.join('')).toBe(summary.reasoning);
    expect(reasoning.length).toBeGreaterThan(1);
    const types = events.map(({ type }) => type);
    expect(types.lastIndexOf('reasoning-delta')).toBeLessThan(types.indexOf('text-delta'));
    expect(summary.messages).toMatchObject([
      { role: 'assistant', channel: 'analysis', content: 'Ones first.' },
      { role: 'assistant', channel: 'final', content: '17 + 25 is 42, of course.' },
    ]);
  });

  test('ends at a stop token', () => {
    const { taken } = read(`${ANALYSIS}${FINAL}<|return|>never read`);
    expect(taken).toBe(ids(`${ANALYSIS}${FINAL}<|return|>`).length);
    expect(stopTokens(tokenizer)).toContain(ids('<|return|>')[0]);
  });

  test('ends with its final message, whatever ends that', () => {
    const written = `${ANALYSIS}${FINAL}<|end|>`;
    const { summary, taken } = read(`${written}<|start|>assistant${FINAL}<|return|>`);
    expect(summary.text).toBe('17 + 25 is 42, of course.');
    expect(taken).toBe(ids(written).length);
    const empty = '<|channel|>final<|message|><|end|><|start|>assistant';
    expect(read(`${empty}${FINAL}<|return|>`).summary.text).toBe('17 + 25 is 42, of course.');
  });

  test('keeps an open message if it is cut off', () => {
    const { summary } = read(`${ANALYSIS}<|channel|>final<|message|>17 + 25`);
    expect(summary.text).toBe('17 + 25');
    expect(summary.messages.at(-1)).toMatchObject({ channel: 'final', content: '17 + 25' });
  });

  test('streams commentary for the user apart from the answer, and reads tool calls', () => {
    const tools = [{ name: 'get_weather', description: 'Weather', parameters: {} }];
    const call = '<|channel|>commentary to=functions.get_weather<|constrain|>json<|message|>';
    const { summary, events, deltas } = read(
      `<|channel|>commentary<|message|>I will look.<|end|><|start|>assistant${call}{"city": "Bern"}<|call|>`,
      { tools },
    );
    expect(summary.text).toBe('');
    expect(deltas).toBe('I will look.');
    const remarks = events.filter(({ type }) => type === 'text-delta');
    expect(remarks.every((event) => 'channel' in event && event.channel === 'commentary')).toBe(
      true,
    );
    expect(summary.toolCalls).toEqual([
      {
        id: expect.stringMatching(/^call_/),
        name: 'get_weather',
        input: { city: 'Bern' },
        inputText: '{"city": "Bern"}',
      },
    ]);
    const calls = events.filter(({ type }) => type === 'tool-call');
    expect(calls).toEqual([{ type: 'tool-call', ...summary.toolCalls[0] }]);
    const { id, name, inputText } = summary.toolCalls[0]!;
    const deltasOfCall = events.flatMap((event) =>
      event.type === 'tool-input-delta' && event.id === id && event.name === name
        ? [event.delta]
        : [],
    );
    expect(deltasOfCall.join('')).toBe(inputText);
    expect(deltasOfCall.length).toBeGreaterThan(1);
    expect(summary.messages).toHaveLength(2);
  });

  test('ends before an answer that does not wait for the result of a call', () => {
    const call = '<|channel|>commentary to=functions.add<|message|>{}<|end|><|start|>assistant';
    const { summary, deltas } = read(`${call}${FINAL}<|return|>`);
    expect(summary.toolCalls).toMatchObject([{ name: 'add' }]);
    expect(summary.messages).toHaveLength(1);
    expect(summary.text + deltas).toBe('');
  });

  test('has several calls with ids of their own if the model makes them in one go', () => {
    const call = '<|channel|>commentary to=functions.add<|message|>{}';
    const { summary } = read(`${call}<|end|><|start|>assistant${call}<|call|>`);
    expect(summary.toolCalls).toHaveLength(2);
    expect(new Set(summary.toolCalls.map(({ id }) => id)).size).toBe(2);
  });

  test('has an answer of its own after a remark, with its stop strings apart', () => {
    const { summary } = read(
      `<|channel|>commentary<|message|>Thus: {<|end|><|start|>assistant<|channel|>final<|message|>{"a": 1}<|return|>`,
      { stop: ['{{'] },
    );
    expect(summary.text).toBe('{"a": 1}');
    expect(summary.messages.map(({ content }) => content)).toEqual(['Thus: {', '{"a": 1}']);
  });

  test('has tool calls without input if the arguments are not JSON', () => {
    const call = '<|channel|>commentary to=functions.run<|constrain|>json<|message|>';
    const { summary } = read(`${call}Bern, please<|call|>`, {
      tools: [{ name: 'run', description: 'Runs', parameters: {} }],
    });
    expect(summary.toolCalls).toMatchObject([{ name: 'run', inputText: 'Bern, please' }]);
    expect(summary.toolCalls[0]!.input).toBeUndefined();
  });

  test('has calls of built-in tools with code without input, even if the code reads as JSON', () => {
    const options = { builtInTools: [{ name: 'python' }] };
    const { summary } = read(
      '<|channel|>analysis to=python code<|message|>[1, 2]<|call|>',
      options,
    );
    expect(summary.toolCalls).toEqual([
      { id: expect.any(String), name: 'python', input: undefined, inputText: '[1, 2]' },
    ]);
  });

  test.each([
    '{"city": ',
    '{"city": "Ber',
    '{"city": "Bern", "days": [1, 2',
    '{',
    '```json\n{"city": "Bern"',
    '```json\n',
  ])('has tool calls without input if the arguments are cut short: %s', (inputText) => {
    const call = '<|channel|>commentary to=functions.run<|constrain|>json<|message|>';
    const { summary } = read(`${call}${inputText}<|call|>`);
    expect(summary.toolCalls).toEqual([
      { id: expect.any(String), name: 'run', input: undefined, inputText },
    ]);
  });

  test.each([
    ['', {}],
    ['{"city": "Bern"}}', { city: 'Bern' }],
    ['{"city": "Bern"} Now.', { city: 'Bern' }],
    ['```json\n{"city": "Bern"}\n```', { city: 'Bern' }],
  ])(
    'has tool calls with complete arguments parsed, whatever surrounds them: %s',
    (inputText, input) => {
      const call = '<|channel|>commentary to=functions.run<|constrain|>json<|message|>';
      const { summary } = read(`${call}${inputText}<|call|>`);
      expect(summary.toolCalls).toMatchObject([{ input, inputText }]);
    },
  );
});

describe('stop strings', () => {
  test.each([
    ['in the middle of a token’s text', [' 4'], '17 + 25 is'],
    ['across many tokens', ['25 is 42, of'], '17 + '],
    ['that begin alike: the first to occur', ['is 42, or', 'is 42, o', ', of'], '17 + 25 '],
    ['at the very beginning', ['1'], ''],
    ['at the very end', ['course.'], '17 + 25 is 42, of '],
  ])('end the answer %s', (_, stop, expected) => {
    const { summary, deltas, taken } = read(`${ANALYSIS}${FINAL}<|return|>`, { stop });
    expect(summary.text).toBe(expected);
    expect(deltas).toBe(expected);
    expect(taken).toBeLessThan(ids(`${ANALYSIS}${FINAL}<|return|>`).length);
    expect(summary.messages.at(-1)!.content).toBe(expected);
  });

  test('release the text they held back if they match only partly', () => {
    const { summary, deltas } = read(`${ANALYSIS}${FINAL}<|return|>`, {
      stop: ['course. The', 'of courses', '.!'],
    });
    expect(summary.text).toBe('17 + 25 is 42, of course.');
    expect(deltas).toBe(summary.text);
  });

  test('do not hide their beginning if the answer is cut off', () => {
    const { summary, deltas } = read(`${ANALYSIS}<|channel|>final<|message|>17 + 25`, {
      stop: ['25 is'],
    });
    expect(summary.text).toBe('17 + 25');
    expect(deltas).toBe('17 + 25');
  });

  test('do not apply to reasoning', () => {
    const { summary } = read(`${ANALYSIS}${FINAL}<|return|>`, { stop: ['Ones'] });
    expect(summary.text).toBe('17 + 25 is 42, of course.');
  });

  test('leave a message with the same text as the answer to append', () => {
    const { summary } = read(`${ANALYSIS}${FINAL}<|return|>`, { stop: [', of'] });
    const last = summary.messages.at(-1) as Message;
    expect(last).toMatchObject({ role: 'assistant', channel: 'final', content: '17 + 25 is 42' });
    const prompt = renderConversation(tokenizer, [{ role: 'user', content: 'Sum?' }, last]);
    expect(tokenizer.decode(prompt)).toContain('17 + 25 is 42<|');
    expect(tokenizer.decode(prompt)).not.toContain('of course');
  });
});
