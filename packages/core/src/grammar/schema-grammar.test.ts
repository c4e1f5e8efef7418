import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { mulberry32 } from '../../test/random.ts';
import { EXAMPLES, REFUSALS } from '../../test/schema-examples.ts';
import { DEAD, GrammarAutomaton } from './automaton.ts';
import { choiceGrammar, patternGrammar, schemaGrammar } from './schema-grammar.ts';

const ajv = new Ajv2020({ strict: false, logger: false });
addFormats.default(ajv);

const QUOTE = 0x22;
const CLOSING = [QUOTE, 0x5d, 0x7d];

function accepts(automaton: GrammarAutomaton, text: string): boolean {
  let state = automaton.start;
  for (const byte of new TextEncoder().encode(text)) state = automaton.next(state, byte);
  return automaton.isAccepting(state);
}

/** A text of random bytes that the automaton allows; `undefined` if it is not at an end after so many. */
function walk(automaton: GrammarAutomaton, random: () => number): string | undefined {
  const bytes: number[] = [];
  let state = automaton.start;
  const pick = (from: readonly number[]): number =>
    from[Math.floor(random() * from.length)] as number;
  while (bytes.length < 600) {
    const allowed = Array.from({ length: 256 }, (_, byte) => byte).filter(
      (byte) => automaton.next(state, byte) !== DEAD,
    );
    if (automaton.isAccepting(state) && (allowed.length === 0 || random() < 0.3)) {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        Uint8Array.from(bytes),
      );
    }
    expect(allowed, `after ${String.fromCharCode(...bytes)}`).not.toEqual([]);
    const closing = allowed.filter((byte) => CLOSING.includes(byte));
    const byte = pick(closing.length > 0 && random() < 0.3 ? closing : allowed);
    bytes.push(byte);
    state = automaton.next(state, byte);
  }
  return undefined;
}

describe.each(EXAMPLES)('the schema %j', (schema, follows, other) => {
  const automaton = new GrammarAutomaton(schemaGrammar(schema));
  const validate = ajv.compile(schema as object | boolean);

  test('tells the texts that follow it from others', () => {
    expect(accepts(automaton, follows)).toBe(true);
    expect(validate(JSON.parse(follows))).toBe(true);
    expect(accepts(automaton, other)).toBe(false);
  });

  test('is followed by every text of its grammar', () => {
    const random = mulberry32(3);
    let texts = 0;
    for (let i = 0; i < 60; i++) {
      const text = walk(automaton, random);
      if (text === undefined) continue;
      texts++;
      expect(validate(JSON.parse(text)), text).toBe(true);
    }
    expect(texts).toBeGreaterThan(5);
  });
});

test.each(REFUSALS)('the schema %j is refused', (schema, message) => {
  expect(() => schemaGrammar(schema)).toThrow(RangeError);
  expect(() => schemaGrammar(schema)).toThrow(message);
});

test('properties come in the order of the schema, with white space or without', () => {
  const properties = { a: { type: 'integer' }, b: { type: 'integer' } };
  const automaton = new GrammarAutomaton(schemaGrammar({ type: 'object', properties }));
  for (const text of ['{"a":1,"b":2}', '{ "a": 1, "b": 2 }', '{\n  "a": 1,\n  "b": 2\n}', '{}']) {
    expect(accepts(automaton, text), text).toBe(true);
  }
  for (const text of ['{"b":1,"a":2}', '{"a":1,"a":2}', '{"c":1}', '{"a":1,}', '{  "a":1}']) {
    expect(accepts(automaton, text), text).toBe(false);
  }
});

test('strings are UTF-8 without halves of surrogate pairs, and with any escape', () => {
  const automaton = new GrammarAutomaton(schemaGrammar({ type: 'string', maxLength: 1 }));
  for (const text of ['"\\u00E9"', '"é"', '"\\/"', '"\\b"', '"😀"', '"\u{10ffff}"', '""']) {
    expect(accepts(automaton, text), text).toBe(true);
  }
  for (const text of ['"\\ud83d"', '"\n"', '"\\x"', '"\\u00g"', '"ab"']) {
    expect(accepts(automaton, text), text).toBe(false);
  }
  const after = (...bytes: readonly number[]): number =>
    [QUOTE, ...bytes].reduce((state, byte) => automaton.next(state, byte), automaton.start);
  for (const bytes of [
    [0x80],
    [0xc1],
    [0xe0, 0x80],
    [0xed, 0xa0],
    [0xf0, 0x80],
    [0xf4, 0x90],
    [0xf5],
  ]) {
    expect(after(...bytes)).toBe(DEAD);
  }
});

test('a pattern and choices are grammars, too', () => {
  const pattern = new GrammarAutomaton(patternGrammar('^(yes|no)!*$'));
  expect(accepts(pattern, 'no!!')).toBe(true);
  expect(accepts(pattern, 'nope')).toBe(false);
  const choice = new GrammarAutomaton(choiceGrammar(['red', 'reddish', 'grün']));
  for (const text of ['red', 'reddish', 'grün']) expect(accepts(choice, text)).toBe(true);
  expect(accepts(choice, 'redd')).toBe(false);
});
