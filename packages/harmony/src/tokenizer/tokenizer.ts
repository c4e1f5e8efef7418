import { MergeTable } from './byte-pair-encoding.ts';
import { compileSplitPattern, matchesOf, splitWindow } from './split-pattern.ts';

/** Converts text to token ids and back, exactly as in training. */
export interface Tokenizer {
  /** One more than the highest token id that has text. The model's own vocabulary may be larger. */
  readonly vocabularySize: number;
  /**
   * Encodes ordinary text. Special tokens are never recognised: `<|start|>` becomes the tokens of its characters. Lone
   * surrogates become U+FFFD.
   */
  encode(text: string): number[];
  /** Decodes ids. Invalid UTF-8 and ids without text become U+FFFD; special tokens become their names. */
  decode(ids: ArrayLike<number>): string;
  /** Creates a decoder for tokens that arrive one by one. */
  createDecoder(): TokenDecoder;
  /** The id of a special token, such as `<|start|>`; `undefined` if the vocabulary has none of that name. */
  tokenId(specialTokenName: string): number | undefined;
  /** Whether an id is not ordinary text: it is a special token, or not in the vocabulary. */
  isSpecial(id: number): boolean;
  /** The bytes of an ordinary token, which may be parts of characters; none for other ids. */
  tokenBytes(id: number): Uint8Array;
  /** The id of the ordinary token with these bytes; `undefined` if there is none. */
  ordinaryId(bytes: Uint8Array): number | undefined;
}

/** Decodes a stream of tokens. A character that spans several tokens is returned once it is complete. */
export interface TokenDecoder {
  /** Adds the next token and returns the text that it completes, possibly none. */
  push(id: number): string;
  /** Ends the text: an incomplete character becomes U+FFFD. The decoder can then be reused. */
  flush(): string;
}

const REPLACEMENT = Uint8Array.of(0xef, 0xbf, 0xbd);

// Tables are indexed by id, so ids are limited: to five times the vocabulary of gpt-oss.
const MAX_ID = 2 ** 20;

/**
 * Creates a tokenizer from a `tokenizer.json` with a byte-level BPE model, such as that of gpt-oss.
 *
 * @param tokenizerJson - The parsed file.
 * @throws Error naming the field, if the file is malformed or needs a feature that is not supported.
 */
export function createTokenizer(tokenizerJson: unknown): Tokenizer {
  const file = objectAt(tokenizerJson, 'the file');
  if (file.normalizer != null) throw unexpected('normalizer', file.normalizer, 'null');
  const pattern = readSplitPattern(file.pre_tokenizer);
  const model = objectAt(file.model, 'model');
  checkModel(model);
  return new BpeTokenizer(
    readVocabulary(model.vocab, readAddedTokens(file.added_tokens)),
    pattern,
    arrayAt(model.merges, 'model.merges'),
    model.ignore_merges === true,
  );
}

interface Vocabulary {
  /** Ordinary tokens, by their byte-level text. */
  readonly ids: ReadonlyMap<string, number>;
  readonly specials: ReadonlyMap<string, number>;
  readonly size: number;
}

class BpeTokenizer implements Tokenizer {
  readonly vocabularySize: number;
  readonly #pattern: RegExp;
  /** See {@link splitWindow}. */
  readonly #window: number;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #specials: ReadonlyMap<string, number>;
  readonly #merges: MergeTable;
  readonly #ignoreMerges: boolean;
  readonly #byteIds = new Int32Array(256);
  // The bytes of a token are #bytes[#offsets[id] .. #offsets[id + 1]); #isOrdinary is 1 for an ordinary token.
  readonly #bytes: Uint8Array;
  readonly #offsets: Int32Array;
  readonly #isOrdinary: Uint8Array;
  readonly #encoder = new TextEncoder();
  #buffer = new Uint8Array(256);

  constructor(
    vocabulary: Vocabulary,
    pattern: string,
    merges: readonly unknown[],
    ignoreMerges: boolean,
  ) {
    this.vocabularySize = vocabulary.size;
    this.#pattern = compileSplitPattern(pattern);
    this.#window = splitWindow(pattern, this.#pattern);
    this.#ids = vocabulary.ids;
    this.#specials = vocabulary.specials;
    this.#ignoreMerges = ignoreMerges;
    this.#merges = readMerges(merges, vocabulary.ids);
    for (let byte = 0; byte < 256; byte++) {
      const id = this.#ids.get(BYTE_TO_CHARACTER[byte]!);
      if (id === undefined)
        throw new Error(`tokenizer.json: model.vocab has no token for the byte ${byte}.`);
      this.#byteIds[byte] = id;
    }

    this.#isOrdinary = new Uint8Array(this.vocabularySize);
    this.#offsets = new Int32Array(this.vocabularySize + 1);
    const names = [...this.#specials].map(([name, id]) => ({
      id,
      bytes: this.#encoder.encode(name),
    }));
    for (const { id, bytes } of names) this.#offsets[id + 1] = bytes.length;
    for (const [text, id] of this.#ids) {
      this.#isOrdinary[id] = 1;
      this.#offsets[id + 1] = text.length;
    }
    for (let id = 0; id < this.vocabularySize; id++) this.#offsets[id + 1]! += this.#offsets[id]!;
    this.#bytes = new Uint8Array(this.#offsets[this.vocabularySize]!);
    for (const { id, bytes } of names) this.#bytes.set(bytes, this.#offsets[id]!);
    for (const [text, id] of this.#ids) {
      const offset = this.#offsets[id]!;
      for (let i = 0; i < text.length; i++) {
        const byte = CHARACTER_TO_BYTE[text.charCodeAt(i)];
        if (byte === undefined || byte < 0) {
          throw new Error(
            `tokenizer.json: the token ${JSON.stringify(text)} (${id}) is not in byte-level form.`,
          );
        }
        this.#bytes[offset + i] = byte;
      }
    }
  }

  encode(text: string): number[] {
    const output: number[] = [];
    let end = 0;
    for (const { index, text: piece } of matchesOf(text, this.#pattern, this.#window)) {
      if (index > end) this.#encodePiece(text.slice(end, index), output);
      if (piece !== '') this.#encodePiece(piece, output);
      end = index + piece.length;
    }
    if (end < text.length) this.#encodePiece(text.slice(end), output);
    return output;
  }

  decode(ids: ArrayLike<number>): string {
    let length = 0;
    for (let i = 0; i < ids.length; i++) length += this.#bytesOf(ids[i]!).length;
    const bytes = new Uint8Array(length);
    let offset = 0;
    for (let i = 0; i < ids.length; i++) {
      const token = this.#bytesOf(ids[i]!);
      bytes.set(token, offset);
      offset += token.length;
    }
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  }

  createDecoder(): TokenDecoder {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    return {
      push: (id) => decoder.decode(this.#bytesOf(id), { stream: true }),
      flush: () => decoder.decode(),
    };
  }

  tokenId(specialTokenName: string): number | undefined {
    return this.#specials.get(specialTokenName);
  }

  isSpecial(id: number): boolean {
    return this.#isOrdinary[id] !== 1;
  }

  tokenBytes(id: number): Uint8Array {
    return this.isSpecial(id) ? new Uint8Array(0) : this.#bytesOf(id).slice();
  }

  ordinaryId(bytes: Uint8Array): number | undefined {
    return this.#ids.get(Array.from(bytes, (byte) => BYTE_TO_CHARACTER[byte]).join(''));
  }

  #bytesOf(id: number): Uint8Array {
    const start = this.#offsets[id];
    const end = this.#offsets[id + 1];
    if (start === undefined || end === undefined || start === end) return REPLACEMENT;
    return this.#bytes.subarray(start, end);
  }

  #encodePiece(piece: string, output: number[]): void {
    if (this.#buffer.length < 3 * piece.length) this.#buffer = new Uint8Array(4 * piece.length);
    const { written } = this.#encoder.encodeInto(piece, this.#buffer);
    const bytes = this.#buffer.subarray(0, written);
    if (this.#ignoreMerges) {
      let text = '';
      for (let i = 0; i < written; i++) text += BYTE_TO_CHARACTER[bytes[i]!];
      const id = this.#ids.get(text);
      if (id !== undefined) {
        output.push(id);
        return;
      }
    }
    this.#merges.encode(bytes, this.#byteIds, output);
  }
}

// Byte-level form writes each byte as one visible character: printable Latin-1 as itself, the rest from U+0100 on.
const BYTE_TO_CHARACTER: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte).map(
  (byte, _, bytes) =>
    String.fromCharCode(
      isPrintable(byte) ? byte : 256 + bytes.filter((b) => b < byte && !isPrintable(b)).length,
    ),
);

const CHARACTER_TO_BYTE = new Int16Array(512).fill(-1);
BYTE_TO_CHARACTER.forEach((character, byte) => {
  CHARACTER_TO_BYTE[character.charCodeAt(0)] = byte;
});

function isPrintable(byte: number): boolean {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

function readSplitPattern(preTokenizer: unknown): string {
  const place = 'pre_tokenizer.pretokenizers';
  const sequence = objectAt(preTokenizer, 'pre_tokenizer');
  expectAll(sequence, 'pre_tokenizer', { type: 'Sequence' });
  const steps = arrayAt(sequence.pretokenizers, place);
  if (steps.length !== 2) throw unexpected(`${place}.length`, steps.length, '2');
  const split = objectAt(steps[0], `${place}[0]`);
  expectAll(split, `${place}[0]`, { type: 'Split', behavior: 'Isolated', invert: false });
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
  expectAll(objectAt(steps[1], `${place}[1]`), `${place}[1]`, byteLevel);
  const { Regex: regex } = objectAt(split.pattern, `${place}[0].pattern`);
  if (typeof regex !== 'string') {
    throw unexpected(`${place}[0].pattern.Regex`, regex, 'a regular expression');
  }
  return regex;
}

function checkModel(model: Readonly<Record<string, unknown>>): void {
  if (model.type !== 'BPE') throw unexpected('model.type', model.type, '"BPE"');
  if (model.byte_fallback === true) throw unexpected('model.byte_fallback', true, 'false');
  for (const key of ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix']) {
    const value = model[key];
    if (value != null && value !== '' && value !== 0)
      throw unexpected(`model.${key}`, value, 'null');
  }
}

function readAddedTokens(addedTokens: unknown): Map<string, number> {
  const specials = new Map<string, number>();
  arrayAt(addedTokens ?? [], 'added_tokens').forEach((entry, index) => {
    const { id, content } = objectAt(entry, `added_tokens[${index}]`);
    if (typeof content !== 'string' || content === '') {
      throw unexpected(`added_tokens[${index}].content`, content, 'a non-empty string');
    }
    specials.set(content, idAt(id, `added_tokens[${index}].id`));
  });
  return specials;
}

function readVocabulary(vocab: unknown, specials: ReadonlyMap<string, number>): Vocabulary {
  const ids = new Map<string, number>();
  const seen = new Set<number>(specials.values());
  if (seen.size !== specials.size)
    throw new Error('tokenizer.json: two added_tokens have the same id.');
  let size = 0;
  for (const id of seen) size = Math.max(size, id + 1);
  const entries = objectAt(vocab, 'model.vocab');
  for (const text of Object.keys(entries)) {
    const id = idAt(entries[text], `model.vocab[${JSON.stringify(text)}]`);
    // The vocabulary may list an added token too, under the same id; ordinary text must never encode to it.
    if (specials.get(text) === id) continue;
    if (seen.has(id))
      throw new Error(
        `tokenizer.json: two tokens have the id ${id}; one is ${JSON.stringify(text)}.`,
      );
    seen.add(id);
    ids.set(text, id);
    size = Math.max(size, id + 1);
  }
  return { ids, specials, size };
}

function readMerges(merges: readonly unknown[], ids: ReadonlyMap<string, number>): MergeTable {
  const table = new MergeTable(merges.length);
  // A published file has 446,189 merges: this loop takes most of the time to create a tokenizer.
  for (let index = 0; index < merges.length; index++) {
    const merge = merges[index];
    const parts: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
    const left: unknown = Array.isArray(parts) && parts.length === 2 ? parts[0] : undefined;
    const right: unknown = Array.isArray(parts) ? parts[1] : undefined;
    if (typeof left !== 'string' || typeof right !== 'string') {
      throw unexpected(`model.merges[${index}]`, merge, 'two tokens');
    }
    const leftId = ids.get(left);
    const rightId = ids.get(right);
    const mergedId = ids.get(left + right);
    if (leftId === undefined || rightId === undefined || mergedId === undefined) {
      throw unexpected(`model.merges[${index}]`, merge, 'tokens of model.vocab');
    }
    table.add(leftId, rightId, mergedId);
  }
  return table;
}

function expectAll(
  value: Readonly<Record<string, unknown>>,
  place: string,
  expected: Readonly<Record<string, unknown>>,
): void {
  for (const [key, wanted] of Object.entries(expected)) {
    if (value[key] !== wanted)
      throw unexpected(`${place}.${key}`, value[key], JSON.stringify(wanted));
  }
}

function objectAt(value: unknown, place: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unexpected(place, value, 'an object');
  }
  return value as Readonly<Record<string, unknown>>;
}

function arrayAt(value: unknown, place: string): readonly unknown[] {
  if (!Array.isArray(value)) throw unexpected(place, value, 'an array');
  return value;
}

function idAt(value: unknown, place: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= MAX_ID) {
    throw unexpected(place, value, `an integer in [0, ${MAX_ID})`);
  }
  return value;
}

function unexpected(place: string, value: unknown, expected: string): Error {
  return new Error(
    `tokenizer.json: ${place} is ${shown(value)}; this tokenizer needs ${expected}.`,
  );
}

/** A JSON value in a message: cut short. */
function shown(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value) ?? 'undefined';
  } catch {
    text = 'a value nested too deeply';
  }
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
