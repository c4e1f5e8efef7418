import { createTokenizer } from '@ossicle/harmony';
import { expect, test } from 'vitest';
import { readTestJson } from '../../../test/files.ts';
import type { GrammarMatcher } from '../../grammar/matcher.ts';
import { ContentGrammars } from './content-grammars.ts';
import { HarmonyVocabulary } from './harmony-vocabulary.ts';

const MB = 2 ** 20;

test('grammars are kept for later generations, the last used of them, within their bytes', async () => {
  const json = await readTestJson('demo/public/models/gpt-oss-nano/tokenizer.json');
  const tokenizer = createTokenizer(json);
  const grammars = new ContentGrammars(
    new HarmonyVocabulary(tokenizer, tokenizer.vocabularySize),
    4 * MB,
  );
  const grammarOf = (maxLength: number): GrammarMatcher =>
    grammars.of({ responseFormat: { type: 'json', schema: { type: 'string', maxLength } } }).final!;
  const letter = new TextEncoder().encode('é');
  const used = Array.from({ length: 12 }, (_, i) => {
    const matcher = grammarOf(5000 + i);
    matcher.accept(new TextEncoder().encode('"'));
    while (matcher.sizeBytes < MB / 2) {
      matcher.mask();
      matcher.accept(letter);
    }
    expect(grammars.sizeBytes).toBeLessThan(5.5 * MB); // with the one in use
    return matcher;
  });
  expect(grammarOf(5011)).toBe(used[11]);
  expect(grammarOf(5006)).toBe(used[6]);
  expect(grammars.sizeBytes).toBeGreaterThan(2.5 * MB);
  expect(grammars.sizeBytes).toBeLessThan(4 * MB);
  expect(grammarOf(5000)).not.toBe(used[0]);
});
