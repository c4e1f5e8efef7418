import { expect, expectTypeOf, test } from 'vitest';
import * as harmony from './index.ts';

test('exports exactly the documented names', () => {
  expect(Object.keys(harmony).sort()).toEqual([
    'createHeaderGrammar',
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

test('parsed messages can be rendered again', () => {
  type Parsed = harmony.HarmonyParser['messages'];
  expectTypeOf<Parsed>().toExtend<Parameters<typeof harmony.renderConversation>[1]>();
});

test('built-in tools can be declared with the exported types', () => {
  type SystemTools = readonly harmony.ToolNamespace[];
  expectTypeOf<SystemTools>().toExtend<harmony.ConversationOptions['systemTools']>();
  expectTypeOf<SystemTools>().toExtend<Parameters<typeof harmony.createToolNames>[1]>();
});
