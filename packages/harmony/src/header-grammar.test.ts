import { describe, expect, test } from 'vitest';
import { createNanoTokenizer, readNanoConversations } from '../test/golden.ts';
import { encodeMarked } from '../test/prompt-reader.ts';
import { createRandom } from '../test/random-text.ts';
import { createHeaderGrammar, type HeaderGrammarOptions } from './header-grammar.ts';
import { createParser } from './parse.ts';
import { createToolNames } from './tool-names.ts';

const tokenizer = createNanoTokenizer();
const tools = [{ name: 'get_weather' }, { name: 'list-files' }];
const systemTools = [{ name: 'browser', tools: [{ name: 'search' }] }, { name: 'python' }];
const all: HeaderGrammarOptions = { tools, systemTools, isJson: true };

// What may follow a header, as text.
function nextOf(header: string, options: HeaderGrammarOptions = all): string[] | undefined {
  const ids = encodeMarked(tokenizer, header);
  const next = createHeaderGrammar(tokenizer, options).next(ids);
  return next?.map((id) => tokenizer.decode([id])).sort();
}

// Whether a header is legal, token by token.
function isLegal(ids: readonly number[], options: HeaderGrammarOptions = all): boolean {
  const grammar = createHeaderGrammar(tokenizer, options);
  const isEach = ids.every((id, i) => grammar.next(ids.slice(0, i))?.includes(id));
  return isEach && grammar.next(ids)?.length === 0;
}

const legal = [
  '<|channel|>analysis<|message|>',
  '<|channel|>commentary<|message|>',
  '<|channel|>final<|message|>',
  '<|channel|>final <|constrain|>json<|message|>',
  '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>',
  '<|channel|>commentary to=functions.get_weather<|constrain|>json<|message|>',
  '<|channel|>commentary to=functions.list_files json<|message|>',
  '<|channel|>analysis to=functions.get_weather<|message|>',
  ' to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>',
  '<|channel|>analysis to=python code<|message|>',
  ' to=browser.search<|channel|>analysis code<|message|>',
].map((header) => `<|start|>assistant${header}`);

describe('a header', () => {
  test.each(legal)('is legal: %s', (header) => {
    expect(isLegal(encodeMarked(tokenizer, header))).toBe(true);
  });

  test.each<[string, HeaderGrammarOptions, string]>([
    ['', all, '<|start|>assistant'],
    ['<|start|>', all, 'assistant'],
    ['<|start|>ass', all, 'istant'],
    ['<|start|>assistant', all, ''],
    ['<|start|>assistant', {}, '<|channel|>'],
    ['<|start|>assistant', { channels: ['final'] }, '<|channel|>final<|message|>'],
    ['<|start|>assistant<|channel|>', {}, ''],
    ['<|start|>assistant<|channel|>analysis', {}, '<|message|>'],
    ['<|start|>assistant<|channel|>analysis', all, ''],
    ['<|start|>assistant<|channel|>', { tools, channels: ['commentary'] }, 'commentary'],
    [
      '<|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>j',
      all,
      'son<|message|>',
    ],
    ['<|start|>assistant<|channel|>final<|message|>', {}, ''],
    ['<|start|>user', all, ''],
  ])(
    'that begins with %j is forced to go on as far as there is no choice',
    (header, options, rest) => {
      const forced = createHeaderGrammar(tokenizer, options).forced(
        encodeMarked(tokenizer, header),
      );
      expect(forced).toEqual(encodeMarked(tokenizer, rest));
    },
  );

  test('is legal in any tokens that have its bytes', () => {
    const random = createRandom(7);
    for (const header of legal) {
      for (let round = 0; round < 5; round++) {
        const ids = encodeMarked(tokenizer, header).flatMap((id) => {
          if (tokenizer.isSpecial(id) || random() < 0.5) return [id];
          return [...tokenizer.decode([id])].flatMap((letter) => tokenizer.encode(letter));
        });
        expect(isLegal(ids), tokenizer.decode(ids)).toBe(true);
      }
    }
  });

  test.each([
    '<|start|>user<|message|>',
    '<|start|>assistant<|message|>',
    '<|start|>assistantassistant<|channel|>final<|message|>',
    '<|start|>assistant:critic<|channel|>final<|message|>',
    '<|start|>functions.get_weather to=assistant<|channel|>commentary<|message|>',
    '<|start|>assistant<|channel|>Final<|message|>',
    '<|start|>assistant<|channel|>finally<|message|>',
    '<|start|>assistant<|channel|>comment<|message|>',
    '<|start|>assistant<|channel|>final json<|call|>',
    '<|start|>assistant<|channel|>final to=python<|message|>',
    '<|start|>assistant<|channel|>commentary I should<|message|>',
    '<|start|>assistant<|channel|>commentary  to=python<|message|>',
    '<|start|>assistant<|channel|>commentary to=assistant<|message|>',
    '<|start|>assistant<|channel|>commentary to=functions.rm<|message|>',
    '<|start|>assistant<|channel|>commentary to=get_weather<|message|>',
    '<|start|>assistant<|channel|>commentary to=functions.get_weather<|channel|>analysis<|message|>',
    '<|start|>assistant to=python<|channel|>commentary to=python<|message|>',
    '<|start|>assistant<|channel|>analysis <|constrain|>json<|message|>',
    '<|start|>assistant<|channel|>analysis<|channel|>final<|message|>',
    '<|channel|>analysis<|message|>',
    '<|start|>assistant<|channel|>final<|message|>4',
  ])('is illegal: %s', (header) => {
    expect(isLegal(encodeMarked(tokenizer, header))).toBe(false);
    expect(nextOf(header)).toBeUndefined();
  });

  test.each(readNanoConversations().map(({ completion, skill }) => ({ completion, skill })))(
    'of the embedded model is legal ($skill): $completion',
    ({ completion }) => {
      const headers =
        `<|start|>assistant${completion}`.match(/<\|start\|>.*?<\|message\|>/gs) ?? [];
      const named = [...completion.matchAll(/to=functions\.(\w+)/g)].map(([, name]) => name!);
      const options = { tools: [...new Set(named)].map((name) => ({ name })), isJson: true };
      expect(headers.length).toBeGreaterThan(0);
      for (const header of headers) {
        expect(isLegal(encodeMarked(tokenizer, header), options), header).toBe(true);
      }
    },
  );
});

describe('where the model may not reason', () => {
  const start = '<|start|>assistant<|channel|>';

  test('analysis is for calls only', () => {
    expect(nextOf(`${start}analysis`, { ...all, canReason: false })).not.toContain('<|message|>');
    expect(nextOf(`${start}analysis to=p`, { ...all, canReason: false })).toContain('y');
    expect(nextOf(`${start}a`, { canReason: false })).toBeUndefined();
    const required = { ...all, toolChoice: 'required', canReason: false } as const;
    expect(nextOf(start, required)).not.toContain('final');
  });

  test('a RangeError says that nothing may come', () => {
    const options: HeaderGrammarOptions = { channels: ['analysis'], canReason: false };
    expect(() => createHeaderGrammar(tokenizer, options)).toThrow(RangeError);
  });
});

test('a list of no channels allows all', () => {
  expect(nextOf('<|start|>assistant<|channel|>', { channels: [] })).toEqual(
    nextOf('<|start|>assistant<|channel|>', {}),
  );
});

test.each<[string, HeaderGrammarOptions, string, string[] | undefined]>([
  ['a message that ended', all, '', ['<|start|>']],
  ['a complete header', all, '<|start|>assistant<|channel|>final<|message|>', []],
  ['final without JSON', { tools }, '<|start|>assistant<|channel|>final', ['<|message|>']],
  ['final with JSON', all, '<|start|>assistant<|channel|>final <|constrain|>json', ['<|message|>']],
  ['no tools', {}, '<|start|>assistant', ['<|channel|>']],
  ['calls that are off', { ...all, toolChoice: 'none' }, '<|start|>assistant', ['<|channel|>']],
  [
    'a channel that is not valid',
    { channels: ['final'] },
    '<|start|>assistant<|channel|>a',
    undefined,
  ],
  ['a control token outside of headers', all, '<|start|>assistant<|end|>', undefined],
])('after %s come the right tokens', (_, options, header, expected) => {
  expect(nextOf(header, options)).toEqual(expected);
});

describe('a call that is required', () => {
  const start = '<|start|>assistant<|channel|>';

  test('leaves analysis and calls', () => {
    for (const toolChoice of ['required', { name: 'list-files' }, { name: 'python' }] as const) {
      const options = { ...all, toolChoice };
      expect(nextOf(`${start}analysis`, options)).toContain('<|message|>');
      expect(nextOf(`${start}commentary`, options)).not.toContain('<|message|>');
      expect(nextOf(`${start}f`, options)).toBeUndefined();
    }
  });

  test('may be that of one tool', () => {
    const options: HeaderGrammarOptions = { ...all, toolChoice: { name: 'list-files' } };
    expect(nextOf(`${start}commentary to=functions.l`, options)).toContain('i');
    expect(nextOf(`${start}commentary to=functions.g`, options)).toBeUndefined();
    expect(nextOf(`${start}commentary to=p`, options)).toBeUndefined();
    const search: HeaderGrammarOptions = { ...all, toolChoice: { name: 'browser.search' } };
    expect(nextOf(`${start}analysis to=browser.s`, search)).toContain('e');
  });

  test('is a RangeError if it cannot be made', () => {
    const create = (options: HeaderGrammarOptions) => () => createHeaderGrammar(tokenizer, options);
    expect(create({ toolChoice: 'required' })).toThrow(RangeError);
    expect(create({ tools, channels: ['final'], toolChoice: 'required' })).toThrow(RangeError);
    expect(create({ tools, toolChoice: { name: 'rm' } })).toThrow(/toolChoice.name is "rm"/);
    expect(create({ tools, toolChoice: 'always' as 'auto' })).toThrow(RangeError);
  });
});

test('headers drawn at random always end, and are read without repair', () => {
  const random = createRandom(11);
  const toolNames = createToolNames(tools, systemTools);
  const grammar = createHeaderGrammar(tokenizer, all);
  const seen = new Set<string>();
  for (let round = 0; round < 200; round++) {
    const ids: number[] = [];
    for (let next = grammar.next(ids); next?.length !== 0; next = grammar.next(ids)) {
      expect(next, tokenizer.decode(ids)).toBeDefined();
      ids.push(next![Math.floor(random() * next!.length)]!);
      expect(ids.length).toBeLessThan(100);
    }
    const parser = createParser(tokenizer, { toolNames });
    for (const id of ids) parser.push(id);
    const [end] = parser.finish();
    expect(end, tokenizer.decode(ids)).toMatchObject({ type: 'message-end', repaired: false });
    seen.add(tokenizer.decode(ids));
  }
  expect(seen.size).toBeGreaterThan(30);
});

test('tool names of any letters are written as UTF-8', () => {
  const options = { systemTools: [{ name: 'wörter' }] };
  const header = '<|start|>assistant<|channel|>commentary to=wörter<|message|>';
  expect(isLegal(encodeMarked(tokenizer, header), options)).toBe(true);
});
