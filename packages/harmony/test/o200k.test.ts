/**
 * Tests tokenizer, renderer and parser with the vocabulary of the published models against tiktoken, golden ids, and the
 * test files of the reference implementation if they are beside the checkout.
 */

import { createRequire } from 'node:module';
import { Tiktoken } from 'tiktoken';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  createHeaderGrammar,
  createParser,
  type Message,
  renderConversation,
  renderMessages,
  type Tokenizer,
} from '../src/index.ts';
import { fixtureNames, hashIds, readFixture, readVectors } from './golden.ts';
import { createO200kTokenizer, O200K_PATTERN } from './o200k.ts';
import { encodeMarked, readPrompt, withoutTokens } from './prompt-reader.ts';
import { createRandom, randomText } from './random-text.ts';

const vectors = readVectors();
let tokenizer: Tokenizer;
beforeAll(() => {
  tokenizer = createO200kTokenizer();
});

describe('the tokenizer of the published models', () => {
  test.each(vectors.tokenizer_ordinary)('encodes $text', ({ text, ids }) => {
    expect(tokenizer.encode(text)).toEqual(ids);
    expect(tokenizer.decode(ids)).toBe(text);
  });

  test('agrees with tiktoken on 10,000 random texts', () => {
    const require = createRequire(import.meta.url);
    const { bpe_ranks: ranks, pat_str: pattern } = require('tiktoken/encoders/o200k_base.json') as {
      bpe_ranks: string;
      pat_str: string;
    };
    expect(pattern).toBe(O200K_PATTERN);
    const tiktoken = new Tiktoken(ranks, {}, pattern);
    const random = createRandom(20_250_805);
    for (let i = 0; i < 10_000; i++) {
      const text = randomText(random);
      const ids = tokenizer.encode(text);
      expect(ids, JSON.stringify(text)).toEqual([...tiktoken.encode_ordinary(text)]);
      expect(tokenizer.decode(ids)).toBe(text);
    }
    tiktoken.free();
  });

  test('decodes incomplete characters', () => {
    expect(tokenizer.decode([132990, 9552])).toContain('\uFFFD');
    expect(tokenizer.decode([9552, 9552, ...tokenizer.encode('worked')])).toBe(
      ' \uFFFD \uFFFDworked',
    );
  });

  test('knows the special tokens', () => {
    expect(tokenizer.vocabularySize).toBe(200_019);
    expect(tokenizer.tokenId('<|start|>')).toBe(200_006);
    expect(tokenizer.isSpecial(201_087)).toBe(true);
  });
});

describe('prompts of the published models', () => {
  test.each(vectors.harmony_prompts)('render to the golden ids: $what', ({ what, text, ids }) => {
    const { options, messages } = readPrompt(tokenizer, text);
    expect(renderConversation(tokenizer, messages, options)).toEqual(ids);
    // A prompt in canonical form can also be rendered from the messages alone.
    if (!what.startsWith('same')) {
      expect(renderConversation(tokenizer, withoutTokens(messages), options)).toEqual(ids);
    }
  });
});

if (fixtureNames.length === 0) {
  test.skip("the reference implementation's test files are not beside this checkout");
} else {
  describe("the reference implementation's test files", compareFixtures);
}

function compareFixtures(): void {
  const read = (name: string): string => readFixture(`test_${name}.txt`).trimEnd();
  const expectPrompt = (name: string, ids: readonly number[]): void => {
    const { count, sha256_of_comma_joined_ids: hash } =
      vectors.harmony_fixture_token_counts[`test_${name}.txt`]!;
    expect(tokenizer.decode(ids)).toBe(read(name));
    expect(ids).toHaveLength(count);
    expect(hashIds(ids)).toBe(hash);
  };
  const start = (): number[] => encodeMarked(tokenizer, '<|start|>assistant');

  test.each([
    'no_tools',
    'simple_convo',
    'simple_convo_low_effort',
    'simple_convo_medium_effort',
    'simple_convo_high_effort',
    'simple_convo_low_effort_no_instruction',
    'simple_convo_medium_effort_no_instruction',
    'simple_convo_high_effort_no_instruction',
    'reasoning_system_message',
    'reasoning_system_message_no_instruction',
    'reasoning_system_message_with_dates',
  ])('%s', (name) => {
    const { options, messages } = readPrompt(tokenizer, read(name));
    expectPrompt(name, renderConversation(tokenizer, messages, options));
  });

  test('render_functions_with_parameters', () => {
    const text = read('render_functions_with_parameters');
    const withoutTools = text.replace(/\n\n# Tools.*namespace functions(?=<)/s, '');
    const { options, messages } = readPrompt(tokenizer, withoutTools);
    const named = (name: string): string => new RegExp(`// (.*)\ntype ${name} `).exec(text)![1]!;
    const above = (property: string): string => new RegExp(`// (.*)\n${property}`).exec(text)![1]!;
    const format = { type: 'string', enum: ['celsius', 'fahrenheit'], default: 'celsius' };
    const object = (properties: object, required: string[] = [], more = {}) => ({
      type: 'object',
      properties,
      required,
      ...more,
    });
    const tools = [
      { name: 'get_location', description: named('get_location') },
      {
        name: 'get_current_weather',
        description: named('get_current_weather'),
        parameters: object(
          { location: { type: 'string', description: above('location: ') }, format },
          ['location'],
        ),
      },
      {
        name: 'get_multiple_weathers',
        description: named('get_multiple_weathers'),
        parameters: object(
          {
            locations: {
              type: 'array',
              items: { type: 'string' },
              description: above('locations: '),
            },
            format,
          },
          ['locations'],
        ),
      },
      {
        name: 'kitchensink',
        description: named('kitchensink'),
        parameters: object(
          {
            string: {
              type: 'string',
              title: 'STRING',
              description: 'A string',
              examples: ['hello', 'world'],
            },
            string_nullable: {
              type: 'string',
              nullable: true,
              description: above('string_nullable'),
              default: 'the default',
            },
            string_enum: { type: 'string', enum: ['a', 'b', 'c'] },
            oneof_string_or_number: {
              oneOf: [
                { type: 'string', default: 'default_string_in_oneof' },
                { type: 'number', description: /number \/\/ (.*)/.exec(text)![1]! },
              ],
              description: 'a oneof',
              default: 20,
            },
          },
          [],
          { description: /kitchensink = \(_: \/\/ (.*)/.exec(text)![1]! },
        ),
      },
    ];
    expectPrompt(
      'render_functions_with_parameters',
      renderConversation(tokenizer, messages, { ...options, tools }),
    );
  });

  test.each(['browser_tool_only', 'browser_and_function_tool', 'browser_and_python_tool'])(
    '%s',
    (name) => {
      const text = read(name);
      const { options, messages } = readPrompt(tokenizer, text);
      const system = text.split('<|end|>')[0]!;
      const comment = (before: string): string =>
        new RegExp(`((?:// .*\n)+)${before}`)
          .exec(system)![1]!
          .replace(/^\/\/ /gm, '')
          .trimEnd();
      const string = { type: 'string' };
      const number = { type: 'number', default: -1 };
      const tool = (tool: string, properties: object, required: string[]) => ({
        name: tool,
        description: comment(`type ${tool} `),
        parameters: { type: 'object', properties, required },
      });
      const browser = {
        name: 'browser',
        description: comment('namespace browser'),
        tools: [
          tool('search', { query: string, topn: { type: 'number', default: 10 }, source: string }, [
            'query',
          ]),
          tool(
            'open',
            {
              id: { type: ['number', 'string'], default: -1 },
              cursor: number,
              loc: number,
              num_lines: number,
              view_source: { type: 'boolean', default: false },
              source: string,
            },
            [],
          ),
          tool('find', { pattern: string, cursor: number }, ['pattern']),
        ],
      };
      const pythonText = /## python\n\n(.*?)\n\n# Valid/s.exec(system)?.[1];
      const python = pythonText === undefined ? [] : [{ name: 'python', description: pythonText }];
      // In a different order than they are rendered.
      const systemTools = [...python, browser];
      expectPrompt(name, renderConversation(tokenizer, messages, { ...options, systemTools }));
    },
  );

  test('dropping_cot_by_default: analysis of a finished turn is dropped', () => {
    const { messages } = readPrompt(tokenizer, read('dropping_cot_by_default'));
    const [question, ...rest] = messages;
    const thought: Message = { role: 'assistant', channel: 'analysis', content: 'Easy.' };
    const ids = renderMessages(tokenizer, [question!, thought, ...rest]);
    expectPrompt('dropping_cot_by_default', [...ids, ...start()]);
  });

  test('preserve_cot: analysis of a finished turn is kept on request', () => {
    const { messages } = readPrompt(tokenizer, read('preserve_cot'));
    const ids = renderMessages(tokenizer, withoutTokens(messages), { keepAnalysis: true });
    expectPrompt('preserve_cot', [...ids, ...start()]);
  });

  test('keep_analysis_between_finals: analysis of the turn that just ended is kept', () => {
    const { messages } = readPrompt(tokenizer, read('keep_analysis_between_finals'));
    const [question, ...rest] = withoutTokens(messages);
    const thought: Message = { role: 'assistant', channel: 'analysis', content: 'Easy.' };
    expectPrompt(
      'keep_analysis_between_finals',
      renderMessages(tokenizer, [question!, thought, ...rest]),
    );
  });

  test('does_not_drop_if_ongoing_analysis: analysis of a turn that calls tools is kept', () => {
    const name = 'does_not_drop_if_ongoing_analysis';
    const { messages } = readPrompt(tokenizer, read(name));
    const text = tokenizer.decode([
      ...renderMessages(tokenizer, withoutTokens(messages)),
      ...start(),
    ]);
    // The tool result in the file lacks the recipient and channel that the description of the format requires.
    expect(text).toBe(
      read(name).replace(
        'lookup_weather<|message|>',
        'lookup_weather to=assistant<|channel|>commentary<|message|>',
      ),
    );
  });

  const parse = (ids: readonly number[]): readonly Message[] => {
    const parser = createParser(tokenizer);
    for (const id of ids) parser.push(id);
    parser.finish();
    return parser.messages;
  };

  test('streamable_parser: three messages whose tokens reproduce the file', () => {
    const text = read('streamable_parser');
    const ids = encodeMarked(tokenizer, text);
    expect(ids).toHaveLength(131);
    const messages = parse(ids);
    expect(
      messages.map(({ role, channel, recipient, name, contentType }) => [
        role,
        channel,
        recipient ?? name,
        contentType,
      ]),
    ).toEqual([
      ['assistant', 'analysis', undefined, undefined],
      ['assistant', 'commentary', 'browser.search', 'code'],
      ['tool', 'commentary', 'browser.search', undefined],
    ]);
    expect(messages.flatMap(({ tokens }) => tokens ?? [])).toEqual(ids);
    const rendered = renderMessages(tokenizer, messages, { systemTools: [{ name: 'browser' }] });
    expect(tokenizer.decode(rendered)).toBe(`<|start|>assistant${text}`);
  });

  test('tool_response_parsing: a result without an end', () => {
    const ids = encodeMarked(tokenizer, read('tool_response_parsing'));
    expect(ids).toHaveLength(21);
    const [message] = parse(ids);
    expect(message).toMatchObject({ role: 'tool', name: 'browser.search', channel: 'commentary' });
    expect(JSON.parse(message!.content)).toEqual({ result: 'https://openai.com/' });
  });

  test('simple_reasoning_response: reasoning and an answer', () => {
    const ids = read('simple_reasoning_response').split(/\s+/).map(Number);
    expect(ids).toHaveLength(35);
    const [thought, answer] = parse(ids);
    expect(thought).toMatchObject({ role: 'assistant', channel: 'analysis' });
    expect(answer).toMatchObject({ role: 'assistant', channel: 'final', content: '2 + 2 = 4.' });
  });

  test('simple_tool_call: recipient before channel, content of type code', () => {
    const ids = read('simple_tool_call').split(/\s+/).map(Number);
    expect(ids).toHaveLength(39);
    const [, call] = parse(ids);
    expect(call).toMatchObject({
      role: 'assistant',
      channel: 'analysis',
      recipient: 'lookup_weather',
      contentType: 'code',
    });
    expect(JSON.parse(call!.content)).toEqual({ location: 'Tokyo' });
  });

  test('every header of an assistant message is legal', () => {
    const headersOf = (text: string): string[] =>
      text.match(/<\|start\|>assistant(?:(?!<\|(?:start|message)\|>).)*<\|message\|>/g) ?? [];
    const texts = fixtureNames.map((name) => `<|start|>assistant${readFixture(name)}`);
    const answers = ['simple_reasoning_response', 'simple_tool_call'].map(
      (name) => `<|start|>assistant${tokenizer.decode(read(name).split(/\s+/).map(Number))}`,
    );
    const headers = [...texts, ...answers].flatMap(headersOf);
    expect(headers.length).toBeGreaterThan(10);
    const browser = { name: 'browser', tools: [{ name: 'search' }] };
    for (const header of headers) {
      const isBare = header.includes('to=lookup_weather');
      const grammar = createHeaderGrammar(tokenizer, {
        tools: isBare ? [] : [{ name: 'lookup_weather' }],
        systemTools: isBare ? [{ name: 'lookup_weather' }] : [browser],
      });
      const ids = encodeMarked(tokenizer, header);
      for (const [i, id] of ids.entries()) expect(grammar.next(ids.slice(0, i))).toContain(id);
      expect(grammar.next(ids)).toEqual([]);
    }
  });
}
