import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createNanoTokenizer, readNanoConversations } from '../../test/golden.ts';
import { byteLevel, tokenizerFile } from '../../test/o200k.ts';
import { encodeMarked } from '../../test/prompt-reader.ts';
import { createTokenizer } from './tokenizer.ts';

/** A vocabulary of the 256 bytes and some words, with merges that build each word from left to right. */
function vocabularyOf(words: readonly string[]): {
  vocab: Record<string, number>;
  merges: string[][];
} {
  const vocab: Record<string, number> = {};
  for (let byte = 0; byte < 256; byte++) vocab[byteLevel(Uint8Array.of(byte))] = byte;
  const merges: string[][] = [];
  for (const word of words) {
    for (let end = 2; end <= word.length; end++) {
      if (vocab[word.slice(0, end)] !== undefined) continue;
      vocab[word.slice(0, end)] = Object.keys(vocab).length;
      merges.push([word.slice(0, end - 1), word[end - 1]!]);
    }
  }
  return { vocab, merges };
}

const nano = createNanoTokenizer();

describe('encoding', () => {
  test('gives the ids that the embedded model was trained on', () => {
    for (const { prompt, prompt_ids: ids } of readNanoConversations()) {
      expect(encodeMarked(nano, prompt)).toEqual(ids);
      expect(nano.decode(ids)).toBe(prompt);
    }
  });

  test('merges the pair of the lowest rank first, the leftmost among equals', () => {
    const { vocab, merges } = vocabularyOf(['bc', 'ab', 'aa']);
    const tokenizer = createTokenizer(tokenizerFile({ vocab, merges }));
    const texts = (text: string): string[] =>
      tokenizer.encode(text).map((id) => tokenizer.decode([id]));
    expect(texts('abc')).toEqual(['a', 'bc']);
    expect(texts('aaa')).toEqual(['aa', 'a']);
    expect(texts('aaab')).toEqual(['aa', 'ab']);
  });

  test('matches a whole piece to a token only if the file ignores merges', () => {
    const { vocab, merges } = vocabularyOf(['bc']);
    vocab.abc = 257;
    const model = { vocab, merges };
    const [a, , c] = 'abc'.split('').map((letter) => vocab[letter]!);
    expect(createTokenizer(tokenizerFile(model)).encode('abc')).toEqual([a, vocab.bc]);
    expect(createTokenizer(tokenizerFile({ ...model, ignore_merges: true })).encode('abc')).toEqual(
      [257],
    );
    expect(c).toBe(99);
  });

  test('reads merges as pairs and as text', () => {
    const { vocab, merges } = vocabularyOf(['abcd', 'Ġab']);
    const pairs = createTokenizer(tokenizerFile({ vocab, merges }));
    const texts = createTokenizer(
      tokenizerFile({ vocab, merges: merges.map((pair) => pair.join(' ')) }),
    );
    expect(pairs.encode('abcd abd').map((id) => pairs.decode([id]))).toEqual([
      'abcd',
      ' ',
      'ab',
      'd',
    ]);
    expect(texts.encode('abcd abd')).toEqual(pairs.encode('abcd abd'));
  });

  test('never recognises special tokens in text', () => {
    const names = fc.constantFrom(
      '<|start|>',
      '<|end|>',
      '<|channel|>',
      '<|',
      '|>',
      'start',
      '<|startoftext|>',
    );
    const text = fc.array(fc.oneof(names, fc.string({ unit: 'binary' })), { maxLength: 8 });
    fc.assert(
      fc.property(text, (parts) => {
        expect(nano.encode(parts.join('')).some((id) => nano.isSpecial(id))).toBe(false);
      }),
      { numRuns: 2000, seed: 1 },
    );
  });

  test('does not reach a special token that the vocabulary lists too', () => {
    const { vocab, merges } = vocabularyOf([]);
    vocab['..'] = 256;
    const file = tokenizerFile({ vocab, merges, ignore_merges: true }, { 256: '..' });
    expect(createTokenizer(file).encode('..')).toEqual([46, 46]);
  });

  test('is undone by decoding', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(nano.decode(nano.encode(text))).toBe(text);
      }),
      { numRuns: 2000, seed: 2 },
    );
  });

  test('encodes lone surrogates as U+FFFD', () => {
    expect(nano.encode('a\uD800b')).toEqual(nano.encode('a\uFFFDb'));
  });

  test('splits at white space as Unicode defines it, not JavaScript', () => {
    const [nextLine, mark] = [
      byteLevel(Uint8Array.of(0xc2, 0x85)),
      byteLevel(Uint8Array.of(0xef, 0xbb, 0xbf)),
    ];
    const { vocab, merges } = vocabularyOf([nextLine, `!${nextLine}`, `!${mark}`]);
    const tokenizer = createTokenizer(tokenizerFile({ vocab, merges, ignore_merges: true }));
    expect(tokenizer.encode('!\u0085')).toEqual([vocab['!'], vocab[nextLine]]);
    expect(tokenizer.encode('!\uFEFF')).toEqual([vocab[`!${mark}`]]);
  });

  test('handles long pieces', () => {
    for (const text of ['a'.repeat(200_000), ' '.repeat(200_000), 'ab'.repeat(100_000)]) {
      expect(nano.decode(nano.encode(text))).toBe(text);
    }
  });
});

describe('decoding', () => {
  const emoji = nano.encode('💖');

  test('turns special tokens into their names, and unknown ids into U+FFFD', () => {
    expect(nano.decode([nano.tokenId('<|start|>')!, 97, -1, 1e7, Number.NaN])).toBe(
      `<|start|>${nano.decode([97])}\uFFFD\uFFFD\uFFFD`,
    );
  });

  test('turns invalid UTF-8 into U+FFFD', () => {
    expect(nano.decode([emoji[0]!, ...nano.encode('a')])).toBe('\uFFFDa');
  });

  test('keeps a byte order mark', () => {
    expect(nano.decode(nano.encode('\uFEFFa'))).toBe('\uFEFFa');
    const decoder = nano.createDecoder();
    expect(
      nano
        .encode('\uFEFFa')
        .map((id) => decoder.push(id))
        .join(''),
    ).toBe('\uFEFFa');
  });

  test('as a stream gives the same text, each character once it is complete', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: nano.vocabularySize + 3 })), (ids) => {
        const decoder = nano.createDecoder();
        const text = ids.map((id) => decoder.push(id)).join('') + decoder.flush();
        expect(text).toBe(nano.decode(ids));
      }),
      { numRuns: 2000, seed: 3 },
    );
    const decoder = nano.createDecoder();
    const pieces = emoji.map((id) => decoder.push(id));
    expect(pieces).toEqual([...emoji.slice(1).map(() => ''), '💖']);
  });

  test('as a stream starts afresh after a flush', () => {
    const decoder = nano.createDecoder();
    decoder.push(emoji[0]!);
    expect(decoder.flush()).toBe('\uFFFD');
    expect(decoder.push(nano.encode('a')[0]!)).toBe('a');
    expect(decoder.flush()).toBe('');
  });
});

describe('special tokens', () => {
  test('are found by name', () => {
    expect(nano.tokenId('<|start|>')).toBe(1587);
    expect(nano.tokenId('<|nothing|>')).toBeUndefined();
    expect(nano.tokenId('a')).toBeUndefined();
    expect(nano.vocabularySize).toBe(1600);
  });

  test('include ids that are not tokens', () => {
    for (const id of [1587, 1600, -1, 0.5]) expect(nano.isSpecial(id)).toBe(true);
    expect(nano.isSpecial(97)).toBe(false);
  });
});

describe('an unsupported file', () => {
  const good = (): ReturnType<typeof tokenizerFile> =>
    tokenizerFile(vocabularyOf(['ab']), { 300: '<|x|>' });
  const withPattern = (Regex: unknown): object => {
    const file = structuredClone(good()) as { pre_tokenizer: { pretokenizers: object[] } };
    Object.assign(file.pre_tokenizer.pretokenizers[0]!, { pattern: { Regex } });
    return file;
  };
  const withModel = (model: object): object => ({
    ...good(),
    model: { ...(good().model as object), ...model },
  });

  test('is rejected with the name of the field', () => {
    const { vocab } = vocabularyOf([]);
    const cases: [unknown, string][] = [
      [null, 'the file'],
      [[], 'the file'],
      [{ ...good(), normalizer: { type: 'NFC' } }, 'normalizer'],
      [{ ...good(), pre_tokenizer: { type: 'ByteLevel' } }, 'pre_tokenizer.type'],
      [{ ...good(), added_tokens: [{ id: -1, content: 'x' }] }, 'added_tokens[0].id'],
      [{ ...good(), added_tokens: [{ id: 1e9, content: 'x' }] }, 'added_tokens[0].id'],
      [{ ...good(), added_tokens: [{ id: 300 }] }, 'added_tokens[0].content'],
      [{ ...good(), added_tokens: [{ id: 97, content: 'x' }] }, 'the id 97'],
      [withModel({ type: 'WordPiece' }), 'model.type'],
      [withModel({ byte_fallback: true }), 'model.byte_fallback'],
      [withModel({ end_of_word_suffix: '</w>' }), 'model.end_of_word_suffix'],
      [withModel({ vocab: { a: 0 }, merges: [] }), 'the byte 0'],
      [withModel({ vocab: { ...vocab, 漢: 256 }, merges: [] }), 'byte-level form'],
      [withModel({ merges: [['a', 'z']] }), 'model.merges[0]'],
      [withModel({ merges: ['a b c'] }), 'model.merges[0]'],
      [withModel({ merges: [['a', 'b'], 7] }), 'model.merges[1]'],
      [withPattern(undefined), 'pretokenizers[0].pattern.Regex'],
      [withPattern('\\p{L}++'), 'cannot be used in JavaScript'],
      [withPattern('[a&&b]'), '&'],
      [withPattern('(?>a)'), '(?>a'],
      [withPattern('\\h+'), '\\h'],
      [withPattern('^a'), '^'],
      [withPattern('(?i:[a-z])'), 'case-insensitive range'],
    ];
    for (const [file, place] of cases) {
      expect(() => createTokenizer(file), place).toThrow(/tokenizer\.json/);
      expect(() => createTokenizer(file)).toThrow(
        expect.objectContaining({ message: expect.stringContaining(place) }),
      );
    }
  });

  test('is named in a short message, whatever its depth', () => {
    const normalizer = JSON.parse('['.repeat(20_000) + ']'.repeat(20_000));
    expect(() => createTokenizer({ ...good(), normalizer })).toThrow(
      'tokenizer.json: normalizer is a value nested too deeply; this tokenizer needs null.',
    );
  });
});

describe('the bytes of a token', () => {
  test('are parts of characters too, and lead back to its id', () => {
    const ids = nano.encode('a 💖');
    const bytes = ids.map((id) => [...nano.tokenBytes(id)]);
    expect(bytes.flat()).toEqual([...new TextEncoder().encode('a 💖')]);
    expect(bytes.map((each) => nano.ordinaryId(Uint8Array.from(each)))).toEqual(ids);
  });

  test('are those of ordinary tokens only', () => {
    for (const id of [nano.tokenId('<|start|>')!, -1, 1e9]) {
      expect(nano.tokenBytes(id)).toHaveLength(0);
    }
    for (const text of ['<|start|>', '', 'no such token']) {
      expect(nano.ordinaryId(new TextEncoder().encode(text))).toBeUndefined();
    }
  });

  test('are a copy', () => {
    const [id = 0] = nano.encode('a');
    nano.tokenBytes(id).fill(0);
    expect(nano.decode([id])).toBe('a');
  });
});

test('a vocabulary may have 200,000 special tokens', () => {
  const { vocab, merges } = vocabularyOf([]);
  const specials = Array.from({ length: 200_000 }, (_, i) => [256 + i, `<|${i}|>`]);
  const file = tokenizerFile({ vocab, merges }, Object.fromEntries(specials));
  expect(createTokenizer(file).vocabularySize).toBe(200_256);
});
