import { describe, expect, test } from 'vitest';
import { GENERATE_OPTIONS } from '../../test/generate-options.ts';
import type { GenerateOptions, JSONSchema } from '../types/generate.ts';
import { checkGenerateOptions } from './check-generate-options.ts';

const WRONG: [options: unknown, Class: new (message: string) => Error, message: RegExp][] = [
  [null, TypeError, /The options must be an object, not null/],
  ['high', TypeError, /The options must be an object, not "high"/],
  [[], TypeError, /not an array/],
  [{ instructions: 5 }, TypeError, /instructions must be a string, not 5/],
  [{ currentDate: {} }, TypeError, /currentDate must be a string, not an object/],
  [{ reasoningEffort: 'max' }, RangeError, /reasoningEffort .* low, medium, high, not "max"/],
  [{ overflow: 'drop' }, RangeError, /overflow .* error, drop-oldest, not "drop"/],
  [{ tools: 'x' }, TypeError, /tools must be an array, not "x"/],
  [{ tools: null }, TypeError, /tools must be an array, not null/],
  [{ tools: [null] }, TypeError, /tools\[0\] must be an object, not null/],
  [{ tools: [{}] }, TypeError, /tools\[0\]\.name must be a non-empty string, not undefined/],
  [{ tools: [{ name: 'a', description: 1 }] }, TypeError, /tools\[0\]\.description .* string/],
  [{ tools: [{ name: 'a', parameters: 'b' }] }, TypeError, /tools\[0\]\.parameters .* object/],
  [{ tools: [{ name: 'a', execute: 'b' }] }, TypeError, /tools\[0\]\.execute .* function/],
  [{ responseFormat: null }, TypeError, /responseFormat must have the type 'json' and a schema/],
  [{ responseFormat: { type: 'json', schema: [] } }, TypeError, /responseFormat .* schema/],
  [{ tools: [{ name: 'a', strict: 1 }] }, TypeError, /tools\[0\]\.strict must be a boolean, not 1/],
  [{ toolChoice: 'any' }, RangeError, /toolChoice must be one of auto, none, required, not "any"/],
  [{ toolChoice: {} }, TypeError, /toolChoice\.name must be a non-empty string/],
  [{ toolChoice: null }, RangeError, /toolChoice .* not null/],
  [{ responseFormat: { type: 'regex' } }, TypeError, /the type 'regex' and a pattern/],
  [{ responseFormat: { type: 'choice', options: [] } }, TypeError, /'choice' and options/],
  [{ responseFormat: { type: 'choice', options: [1] } }, TypeError, /'choice' and options/],
  [{ responseFormat: { type: 'json', schema: {}, strict: 'no' } }, TypeError, /strict .* boolean/],
  [{ systemMessage: 'Hi' }, TypeError, /systemMessage must be an object or null; .*instructions/],
  [{ systemMessage: { identity: 1 } }, TypeError, /systemMessage\.identity .* string/],
  [{ systemMessage: { channels: ['x'] } }, RangeError, /systemMessage\.channels\[0\] .* "x"/],
  [{ systemMessage: { channels: [undefined] } }, RangeError, /channels\[0\]/],
  [{ builtInTools: [{ name: 'python' }], systemMessage: null }, RangeError, /systemMessage: null/],
  [
    { prefillText: 'It', systemMessage: { channels: ['analysis', 'commentary'] } },
    RangeError,
    /prefillText needs the channel final/,
  ],
  [
    {
      responseFormat: { type: 'choice', options: ['a'] },
      systemMessage: { channels: ['commentary'] },
    },
    RangeError,
    /responseFormat needs the channel final/,
  ],
  [{ builtInTools: [{}] }, TypeError, /builtInTools\[0\]\.name/],
  [
    { builtInTools: [{ name: 'my notes' }] },
    RangeError,
    /builtInTools\[0\]\.name must have neither spaces nor "<", not "my notes"/,
  ],
  [
    { builtInTools: [{ name: 'python', execute: 1 }] },
    TypeError,
    /builtInTools\[0\]\.execute .* function/,
  ],
  [{ tools: [{ name: 'a', toModelOutput: 1 }] }, TypeError, /tools\[0\]\.toModelOutput/],
  [{ maxTokens: '5' }, RangeError, /maxTokens must be a whole number above 0, not "5"/],
  [{ temperature: Number.NaN }, RangeError, /temperature must be from 0 to 100, not NaN/],
  [{ topP: 5n }, RangeError, /topP must be above 0 and up to 1, not 5/],
  [{ presencePenalty: 2.5 }, RangeError, /presencePenalty must be from -2 to 2, not 2.5/],
  [{ frequencyPenalty: '1' }, RangeError, /frequencyPenalty must be from -2 to 2, not "1"/],
  [{ logitBias: [1] }, TypeError, /logitBias must be an object, not an array/],
  [{ logitBias: { a: 1 } }, RangeError, /keys of logitBias must be ids of tokens, not "a"/],
  [{ logitBias: { '': 1 } }, RangeError, /keys of logitBias must be ids of tokens, not ""/],
  [{ logitBias: new Map([[-1, 1]]) }, RangeError, /keys of logitBias .* not -1/],
  [{ logitBias: { 5: 101 } }, RangeError, /logitBias .* -100 to 100, or -Infinity, not 101 for 5/],
  [{ logitBias: { 5: Number.NaN } }, RangeError, /logitBias .* not NaN for 5/],
  [{ reasoningBudget: -1 }, RangeError, /reasoningBudget must be a whole number from 0, not -1/],
  [{ prefillText: 5 }, TypeError, /prefillText must be a string, not 5/],
  [{ keepAnalysis: 'yes' }, TypeError, /keepAnalysis must be a boolean, not "yes"/],
  [{ loopGuard: null }, TypeError, /loopGuard must be a boolean, not null/],
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
    for (const options of [
      {},
      GENERATE_OPTIONS,
      { systemMessage: null },
      { logitBias: new Map([[1, -100]]) },
    ])
      checkGenerateOptions(options);
    checkGenerateOptions(
      Object.fromEntries(Object.keys(GENERATE_OPTIONS).map((name) => [name, undefined])),
    );
  });
});

describe('a schema', () => {
  const nested = (depth: number): object => {
    let schema: object = { type: 'string' };
    for (let i = 0; i < depth; i++) schema = { type: 'array', items: schema };
    return schema;
  };
  const cyclic: Record<string, unknown> = { type: 'object' };
  cyclic.properties = { self: cyclic };
  let doubled: object = { type: 'string' };
  for (let i = 0; i < 40; i++) doubled = { type: 'object', properties: { a: doubled, b: doubled } };

  test.each<[string, object, RegExp]>([
    ['that contains itself', cyclic, /more than 128 deep/],
    ['that is nested too deeply', nested(20_000), /more than 128 deep/],
    ['that has too many parts', doubled, /more than 100000 values/],
  ])('%s is refused, and its place is named', (_, schema, message) => {
    const places: [string, GenerateOptions][] = [
      ['tools[0].parameters', { tools: [{ name: 'f', parameters: schema as JSONSchema }] }],
      [
        'builtInTools[0].tools[0].parameters',
        {
          builtInTools: [{ name: 'n', tools: [{ name: 'f', parameters: schema as JSONSchema }] }],
        },
      ],
      ['responseFormat.schema', { responseFormat: { type: 'json', schema: schema as JSONSchema } }],
    ];
    for (const [place, options] of places) {
      const check = (): void => checkGenerateOptions(options);
      expect(check).toThrow(RangeError);
      expect(check).toThrow(message);
      expect(check).toThrow(place);
    }
  });

  test('of 100 levels is accepted', () => {
    const parameters = nested(100) as JSONSchema;
    expect(() => checkGenerateOptions({ tools: [{ name: 'f', parameters }] })).not.toThrow();
  });
});
