import { describe, expect, test } from 'vitest';
import { renderConversation, renderSchemaType } from '../src/index.ts';
import { createNanoTokenizer, readConversationGoldens, readSchemaGoldens } from './golden.ts';
import { encodeMarked } from './prompt-reader.ts';

const tokenizer = createNanoTokenizer();

describe("as by OpenAI's renderer, to the byte,", () => {
  test.each(readSchemaGoldens())('schema %# is rendered', ({ schema, type }) => {
    expect(renderSchemaType(schema)).toBe(type);
  });

  test.each(readConversationGoldens())(
    'a conversation is rendered in which $what',
    ({ messages, options, text }) => {
      const ids = renderConversation(tokenizer, messages, options);
      expect(tokenizer.decode(ids)).toBe(text);
      const isControl = (id: number): boolean => tokenizer.isSpecial(id);
      expect(ids.filter(isControl)).toEqual(encodeMarked(tokenizer, text).filter(isControl));
    },
  );
});
