import { describe, expect, test } from 'vitest';
import { mulberry32 } from '../../test/random.ts';
import { DEAD, GrammarAutomaton } from './automaton.ts';
import { GrammarMatcher } from './matcher.ts';
import { choiceGrammar, schemaGrammar } from './schema-grammar.ts';
import { Vocabulary } from './vocabulary.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

const SCHEMA = {
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 4 },
    size: { enum: ['small', 'größer'] },
    list: { type: 'array', items: { type: 'integer' } },
  },
  required: ['name', 'size', 'list'],
  additionalProperties: false,
};

/** All bytes, two control tokens, and pieces of what the schema allows, as a tokenizer might have. */
const TOKENS: readonly (Uint8Array | undefined)[] = [
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  undefined,
  undefined,
  ...[
    '{"',
    '": "',
    '", "',
    'name',
    'nam',
    'names',
    'size',
    '":',
    ' [',
    '1, ',
    '12',
    ']}',
    '"}',
    'größ',
    'er"',
    'ü"',
  ].map(encode),
  Uint8Array.of(0xc3),
  Uint8Array.of(0xb6, 0xc3),
  new Uint8Array(0),
];

const has = (mask: Uint32Array, id: number): boolean =>
  (((mask[id >>> 5] ?? 0) >>> (id & 31)) & 1) === 1;

describe('the mask of a vocabulary', () => {
  const vocabulary = new Vocabulary(TOKENS);
  const automaton = new GrammarAutomaton(schemaGrammar(SCHEMA));

  test('has the tokens whose bytes are all allowed, in every state of many texts', () => {
    const random = mulberry32(1);
    let masked = 0;
    for (let walk = 0; walk < 20; walk++) {
      let state = automaton.start;
      for (let length = 0; length < 40 && state !== DEAD; length++) {
        const mask = vocabulary.mask(automaton, state);
        const allowed: number[] = [];
        for (const [id, bytes] of TOKENS.entries()) {
          const at = bytes?.reduce((from, byte) => automaton.next(from, byte), state) ?? DEAD;
          const isAllowed = at !== DEAD && bytes!.length > 0;
          expect(has(mask, id), `token ${id}`).toBe(isAllowed);
          if (isAllowed) allowed.push(id);
          else masked++;
        }
        if (allowed.length === 0) break; // the end of the text
        const id = allowed[Math.floor(random() * allowed.length)] as number;
        for (const byte of TOKENS[id]!) state = automaton.next(state, byte);
      }
    }
    expect(masked).toBeGreaterThan(1000);
  });
});

test.each<[string, unknown, number]>([
  ['lengths of strings', { type: 'string', minLength: 30, maxLength: 60 }, 25],
  ['patterns of strings', { type: 'string', pattern: '^(ab){2,50}c{20,30}$' }, 40],
  [
    'lengths of strings that follow a pattern',
    { type: 'string', pattern: 'a$', maxLength: 30 },
    40,
  ],
  ['decimals', { type: 'number' }, 40],
])('masks that states share have the tokens of each: %s', (_, schema, most) => {
  const tokens = [...TOKENS, ...['abab', 'cc', 'ccccccc', 'aaaa"', '\\u00', '0000'].map(encode)];
  const vocabulary = new Vocabulary(tokens);
  const random = mulberry32(2);
  const masks = new Set<Uint32Array>();
  for (let walk = 0; walk < 20; walk++) {
    const grammar = schemaGrammar(schema);
    const automaton = new GrammarAutomaton(grammar);
    const matcher = new GrammarMatcher(grammar, vocabulary);
    let state = automaton.start;
    for (let length = 0; length < 80; length++) {
      const mask = matcher.mask();
      if (walk === 0) masks.add(mask);
      expect(mask).toEqual(vocabulary.mask(automaton, state));
      const allowed = [...tokens.keys()].filter((id) => has(mask, id) && id !== 0x22);
      if (allowed.length === 0) break; // the end of the text
      const bytes = tokens[allowed[Math.floor(random() * allowed.length)]!]!;
      for (const byte of bytes) state = automaton.next(state, byte);
      expect(matcher.accept(bytes)).toBe(true);
    }
  }
  expect(masks.size).toBeLessThan(most);
});

describe('a matcher', () => {
  const vocabulary = new Vocabulary(TOKENS);

  test('follows a text by its tokens, and knows where it may end', () => {
    const matcher = new GrammarMatcher(schemaGrammar(SCHEMA), vocabulary);
    for (const part of [
      '{"',
      'name',
      '": "',
      'Bo',
      '", "',
      'size',
      '": "',
      'größ',
      'er"',
      ',"list"',
      ':[1, 12',
    ]) {
      expect(matcher.accept(encode(part)), part).toBe(true);
      expect(matcher.isAccepting).toBe(false);
    }
    expect(matcher.accept(encode(']}'))).toBe(true);
    expect(matcher.isAccepting).toBe(true);
    expect(matcher.isComplete).toBe(true);
    expect(matcher.mask().every((bits) => bits === 0)).toBe(true);
  });

  test('takes nothing of a token that is not allowed', () => {
    const matcher = new GrammarMatcher(schemaGrammar(SCHEMA), vocabulary);
    expect(matcher.accept(encode('{"name": "long enough'))).toBe(false);
    expect(matcher.accept(encode('{"name": "long"'))).toBe(true);
  });

  test('tells the bytes that must come', () => {
    const forced = (matcher: GrammarMatcher): string => new TextDecoder().decode(matcher.forced());
    const matcher = new GrammarMatcher(
      choiceGrammar(['colors: red', 'colors: blue', 'colors']),
      vocabulary,
    );
    expect(forced(matcher)).toBe('colors');
    matcher.accept(encode('colors'));
    expect(forced(matcher)).toBe(''); // it may end
    expect(matcher.isComplete).toBe(false);
    matcher.accept(encode(':'));
    expect(forced(matcher)).toBe(' ');
    matcher.accept(encode(' b'));
    expect(forced(matcher)).toBe('lue');
    expect(new TextDecoder().decode(matcher.forced(2))).toBe('lu');
  });

  test('goes on after more states than it keeps', () => {
    const matcher = new GrammarMatcher(
      schemaGrammar({ type: 'string', maxLength: 20_000 }),
      vocabulary,
    );
    matcher.accept(encode('"'));
    for (let i = 0; i < 100; i++) expect(matcher.accept(encode('ab'.repeat(100)))).toBe(true);
    expect(has(matcher.mask(), 0x61)).toBe(false);
    expect(matcher.accept(encode('"'))).toBe(true);
    expect(matcher.isAccepting).toBe(true);
    matcher.restart();
    expect(matcher.isAccepting).toBe(false);
    expect(matcher.accept(encode('"ab'))).toBe(true);
    matcher.restart();
    expect(matcher.accept(encode('"ab"'))).toBe(true);
    expect(matcher.isComplete).toBe(true);
  });

  test('takes no more memory the longer its text is', () => {
    const matcher = new GrammarMatcher(schemaGrammar({ items: { $ref: '#' } }), vocabulary);
    const random = mulberry32(5);
    matcher.accept(encode('['));
    let most = 0;
    for (let i = 0; i < 32; i++) {
      const opening = Array.from({ length: 30 }, () => (random() < 0.5 ? '[' : '{"a":'));
      const closing = opening.map((text) => (text === '[' ? ']' : '}')).reverse();
      for (const text of [...opening, '1', ...closing, ',']) {
        expect(matcher.accept(encode(text))).toBe(true);
        matcher.mask();
        most = Math.max(most, matcher.sizeBytes);
      }
    }
    expect(most).toBeGreaterThan(10 * 2 ** 20);
    expect(most).toBeLessThan(24 * 2 ** 20);
    expect(matcher.accept(encode('1]'))).toBe(true);
    expect(matcher.isComplete).toBe(true);
  });
});
