import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseToolArguments } from './tool-arguments.ts';

describe('arguments', () => {
  test.each([
    ['{"a": 1}', { a: 1 }],
    [' {"a": [1, "]"]}\n', { a: [1, ']'] }],
    ['5', 5],
    ['"x"', 'x'],
    ['null', null],
  ])('are JSON: %s', (text, input) => {
    expect(parseToolArguments(text)).toEqual({ input, repaired: false, truncated: false });
  });

  test('may be absent', () => {
    expect(parseToolArguments('')).toEqual({ input: {}, repaired: false, truncated: false });
  });

  test.each([
    ['{"a": 1} and more', { a: 1 }],
    ['{"a": "}"}}', { a: '}' }],
    ['[1][2]', [1]],
    ['```json\n{"a": 1}\n```', { a: 1 }],
  ])('may be followed by text: %s', (text, input) => {
    expect(parseToolArguments(text)).toEqual({ input, repaired: true, truncated: false });
  });

  test.each([
    ['{"a": {"b": [1, 2', { a: { b: [1, 2] } }],
    ['{"a": "x', { a: 'x' }],
    ['{"a": "x\\', { a: 'x' }],
    ['{"a": "x\\\\', { a: 'x\\' }],
    ['{"a": "x\\u00', { a: 'x' }],
    ['{"a": "x\\u00e9', { a: 'xé' }],
    ['{"a": 1, "b', { a: 1 }],
    ['{"a": 1, "b":', { a: 1 }],
    ['{"a": 1, "b": tr', { a: 1 }],
    ['{"a": {"b": 1}, "c": [{"d": 2}, {"e":', { a: { b: 1 }, c: [{ d: 2 }, {}] }],
    ['{', {}],
    ['[', []],
  ])('may be cut off, which is reported: %s', (text, input) => {
    expect(parseToolArguments(text)).toEqual({ input, repaired: true, truncated: true });
  });

  test.each(['ls -la [a-z]', 'city: Rome', '{city: "Rome"}', '{]', '}', '```', '{"a" "b"}'])(
    'may not be JSON at all: %s',
    (text) => {
      const parsed = parseToolArguments(text);
      if (text === '```') expect(parsed).toEqual({ input: {}, repaired: true, truncated: true });
      else expect(parsed).toEqual({ invalid: true, text });
    },
  );

  test('are repaired from any prefix of an object', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(), (value, cut) => {
        const json = JSON.stringify(value);
        const parsed = parseToolArguments(json.slice(0, 1 + (cut % json.length)));
        expect(parsed.invalid).toBeUndefined();
        expect(typeof parsed.input).toBe('object');
        expect('truncated' in parsed && parsed.truncated).toBe(
          1 + (cut % json.length) < json.length,
        );
      }),
      { numRuns: 2000, seed: 3 },
    );
  });

  test('may be any text, parsed without an error in time proportional to its length', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseToolArguments(text);
        parseToolArguments(`{${text}`);
      }),
      { numRuns: 2000, seed: 4 },
    );
    for (const part of ['[', '{"a":', '[1,', '"\\']) parseToolArguments(`[${part.repeat(100_000)}`);
  });
});
