import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  anyValue,
  changed,
  fuzz,
  isArgumentError,
  jsonValue,
  outcome,
} from '../../core/test/fuzz.ts';
import { createNanoTokenizer } from '../test/golden.ts';
import { byteLevel, tokenizerFile } from '../test/o200k.ts';
import { renderConversation } from './render.ts';
import { createTokenizer } from './tokenizer/tokenizer.ts';

const vocab = Object.fromEntries(
  Array.from({ length: 256 }, (_, byte) => [byteLevel(Uint8Array.of(byte)), byte]),
);
const file = tokenizerFile(
  { vocab: { ...vocab, ab: 256, abc: 257 }, merges: [['a', 'b'], 'ab c'] },
  { 258: '<|start|>', 259: '<|end|>' },
);
const pattern = fc
  .array(
    fc.constantFrom(
      'a',
      '.',
      '\\s',
      '\\p{L}',
      '[^a]',
      '(',
      ')',
      '(?:',
      '(?i:',
      '(?=',
      '*',
      '+',
      '?',
      '{2,}',
      '{9}',
      '|',
      '\\',
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));
const tokenizerJson = fc
  .tuple(changed(file, jsonValue), fc.option(pattern, { freq: 2, nil: undefined }))
  .map(([json, regex]) => {
    const split = (json as typeof file | null)?.pre_tokenizer as
      | { pretokenizers?: { pattern?: { Regex?: unknown } }[] }
      | undefined;
    const place = split?.pretokenizers?.[0]?.pattern;
    if (regex !== undefined && typeof place === 'object' && place !== null) place.Regex = regex;
    return json;
  });
const text = `${'abcab  c\r\n💖'.repeat(20)}${'a'.repeat(300)}\ud800`;

test('any tokenizer.json makes a tokenizer that returns the text it is given, or is an Error that names it', () =>
  fuzz('tokenizer.json', tokenizerJson, async (json) => {
    const tokenizer = await outcome(
      () => createTokenizer(json),
      (error) => error instanceof Error && error.message.startsWith('tokenizer.json: '),
    );
    if (!tokenizer) return;
    expect(tokenizer.vocabularySize).toBeLessThanOrEqual(2 ** 20);
    const ids = tokenizer.encode(text);
    expect(ids.length).toBeLessThanOrEqual(3 * text.length);
    expect(tokenizer.decode(ids)).toBe(text.replace('\ud800', '\ufffd'));
  }));

const nano = createNanoTokenizer();
const parameters = {
  type: 'object',
  properties: {
    a: { type: ['string', 'null'], enum: ['x'], default: 1 },
    b: { $ref: '#/$defs/B' },
  },
  required: ['a'],
  $defs: { B: { anyOf: [{ $ref: '#/properties/b' }, { type: 'array', items: { oneOf: [{}] } }] } },
};
const conversation = {
  messages: [
    { role: 'developer', content: 'Be brief.' },
    { role: 'user', content: 'What is <|end|>?', name: 'me' },
    { role: 'assistant', channel: 'analysis', content: 'Hm', tokens: nano.encode('Hm') },
    { role: 'assistant', content: '{}', recipient: 'functions.now', contentType: 'json' },
    { role: 'tool', name: 'functions.now', content: '5' },
    { role: 'assistant', content: 'Five.', channel: 'final' },
  ],
  options: {
    instructions: 'Answer.',
    reasoningEffort: 'low',
    tools: [{ name: 'now', description: 'The\ntime', parameters }],
    systemTools: [
      { name: 'python', description: 'Runs' },
      { name: 'browser', tools: [{ name: 'open' }] },
    ],
    responseFormat: { type: 'json', schema: { description: 'd', type: 'object' }, name: 'r' },
    currentDate: '2025-08-05',
    knowledgeCutoff: null,
    channels: ['final'],
    keepAnalysis: false,
    omitSystemMessage: false,
  },
};
const given = changed(conversation, anyValue).filter(
  (value) => typeof value === 'object' && value !== null,
) as fc.Arbitrary<typeof conversation>;

test('any conversation is rendered as ids of the vocabulary, or is a TypeError or RangeError', () =>
  fuzz('conversation', given, async ({ messages, options }) => {
    const ids = await outcome(
      () => renderConversation(nano, messages as never, options as never),
      isArgumentError,
    );
    if (!ids) return;
    expect(ids.every((id) => Number.isInteger(id) && id >= 0 && id < nano.vocabularySize)).toBe(
      true,
    );
    expect(ids.length).toBeLessThan(1_000_000);
  }));
