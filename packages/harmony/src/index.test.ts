import { expect, expectTypeOf, test } from 'vitest';
import * as harmony from './index.ts';

test('the package exports what it documents', () => {
  expect(Object.keys(harmony).sort()).toEqual([
    'createParser',
    'createTokenizer',
    'createToolNames',
    'parseToolArguments',
    'renderConversation',
    'renderMessages',
    'renderSchemaType',
    'specialTokens',
    'stopTokens',
  ]);
});

test('messages of the parser can be rendered again', () => {
  type Parsed = harmony.HarmonyParser['messages'];
  expectTypeOf<Parsed>().toExtend<Parameters<typeof harmony.renderConversation>[1]>();
});
