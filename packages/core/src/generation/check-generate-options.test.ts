import { describe, expect, test } from 'vitest';
import { checkGenerateOptions } from './check-generate-options.ts';

const WRONG: [options: unknown, Class: new (message: string) => Error, message: RegExp][] = [
  [null, TypeError, /The options must be an object, not null/],
  ['high', TypeError, /The options must be an object, not "high"/],
  [[], TypeError, /not an array/],
  [{ instructions: 5 }, TypeError, /instructions must be a string, not 5/],
  [{ currentDate: {} }, TypeError, /currentDate must be a string, not an object/],
  [{ reasoningEffort: 'max' }, RangeError, /reasoningEffort .* low, medium, high, not "max"/],
  [{ tools: 'x' }, TypeError, /tools must be an array, not "x"/],
  [{ tools: null }, TypeError, /tools must be an array, not null/],
  [{ tools: [null] }, TypeError, /tools\[0\] must be an object, not null/],
  [{ tools: [{}] }, TypeError, /tools\[0\]\.name must be a non-empty string, not undefined/],
  [{ tools: [{ name: 'a', description: 1 }] }, TypeError, /tools\[0\]\.description .* string/],
  [{ tools: [{ name: 'a', parameters: 'b' }] }, TypeError, /tools\[0\]\.parameters .* object/],
  [{ tools: [{ name: 'a', execute: 'b' }] }, TypeError, /tools\[0\]\.execute .* function/],
  [{ responseFormat: null }, TypeError, /responseFormat must have the type 'json' and a schema/],
  [{ responseFormat: { type: 'json', schema: [] } }, TypeError, /responseFormat .* schema/],
  [{ systemMessage: 'Hi' }, TypeError, /systemMessage must be an object or null; .*instructions/],
  [{ systemMessage: { identity: 1 } }, TypeError, /systemMessage\.identity .* string/],
  [{ systemMessage: { channels: ['x'] } }, RangeError, /systemMessage\.channels\[0\] .* "x"/],
  [{ systemMessage: { channels: [undefined] } }, RangeError, /channels\[0\]/],
  [{ systemMessage: { systemTools: [{}] } }, TypeError, /systemTools\[0\]\.name/],
  [{ maxTokens: '5' }, RangeError, /maxTokens must be a whole number above 0, not "5"/],
  [{ temperature: Number.NaN }, RangeError, /temperature must be from 0 to 100, not NaN/],
  [{ topP: 5n }, RangeError, /topP must be above 0 and up to 1, not 5/],
  [{ seed: Symbol('s') }, RangeError, /seed must be a whole number, not Symbol\(s\)/],
  [{ stop: 'end' }, TypeError, /stop must be an array of non-empty strings/],
  [{ signal: {} }, TypeError, /signal must be an AbortSignal, not an object/],
  [{ signal: null }, TypeError, /signal must be an AbortSignal, not null/],
];

describe('options of a generation', () => {
  test.each(WRONG)('are rejected: %o', (options, Class, message) => {
    expect(() => checkGenerateOptions(options)).toThrow(Class);
    expect(() => checkGenerateOptions(options)).toThrow(message);
  });

  test('are accepted if they are right, omitted or undefined', () => {
    const all = {
      instructions: 'Be brief.',
      reasoningEffort: 'low',
      tools: [{ name: 'now', description: 'Time', parameters: {}, execute: () => 1 }],
      responseFormat: { type: 'json', schema: {}, name: 'answer' },
      maxTokens: 1,
      temperature: 0,
      stop: ['end'],
      logprobs: 20,
      currentDate: '2025-08-05',
      systemMessage: {
        identity: '',
        knowledgeCutoff: null,
        channels: ['final'],
        systemTools: [{ name: 'python' }, { name: 'browser', tools: [{ name: 'search' }] }],
      },
      signal: new AbortController().signal,
    };
    for (const options of [{}, all, { systemMessage: null }]) checkGenerateOptions(options);
    checkGenerateOptions(Object.fromEntries(Object.keys(all).map((name) => [name, undefined])));
  });
});
