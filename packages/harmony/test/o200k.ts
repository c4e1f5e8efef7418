/** The tokenizer of the published gpt-oss models, built from the published ranks of o200k_base. */

import ranks from 'gpt-tokenizer/data/o200k_base.tiktoken?raw';
import { createTokenizer, type Tokenizer } from '../src/index.ts';

const SPECIAL_NAMES: Readonly<Record<number, string>> = {
  199998: '<|startoftext|>',
  199999: '<|endoftext|>',
  200002: '<|return|>',
  200003: '<|constrain|>',
  200005: '<|channel|>',
  200006: '<|start|>',
  200007: '<|end|>',
  200008: '<|message|>',
  200012: '<|call|>',
  200018: '<|endofprompt|>',
};

/** The Split pattern of o200k_base. */
export const O200K_PATTERN: string = [
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  '\\p{N}{1,3}',
  ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*',
  '\\s*[\\r\\n]+',
  '\\s+(?!\\S)',
  '\\s+',
].join('|');

/** Wraps a BPE model in the rest of a `tokenizer.json`. */
export function tokenizerFile(
  model: { vocab: Record<string, number>; merges: readonly unknown[]; ignore_merges?: boolean },
  specials: Readonly<Record<number, string>> = {},
): Record<string, unknown> {
  return {
    version: '1.0',
    added_tokens: Object.entries(specials).map(([id, content]) => ({
      id: Number(id),
      content,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: O200K_PATTERN }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    model: { type: 'BPE', dropout: null, fuse_unk: false, byte_fallback: false, ...model },
  };
}

/** Converts bytes to byte-level form: each byte as a visible character. */
export function byteLevel(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const hidden = byte < 33 ? byte : byte < 161 ? byte - 127 + 33 : 67;
    text += String.fromCharCode(isPrintable ? byte : 256 + hidden);
  }
  return text;
}

/** Builds o200k_harmony's `tokenizer.json`: every pair of tokens that forms a token is a merge, by the rank of that token. */
export function buildO200kFile(): Record<string, unknown> {
  const tokens: string[] = [];
  for (const line of ranks.trimEnd().split('\n')) {
    const [base64 = '', rank] = line.split(' ');
    tokens[Number(rank)] = byteLevel(Buffer.from(base64, 'base64'));
  }
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const merges: [string, string][] = [];
  for (const token of tokens) {
    const pairs: [number, number][] = [];
    for (let i = 1; i < token.length; i++) {
      const left = ids.get(token.slice(0, i));
      const right = ids.get(token.slice(i));
      if (left !== undefined && right !== undefined) pairs.push([left, right]);
    }
    pairs.sort(([a, b], [c, d]) => a - c || b - d);
    for (const [left, right] of pairs) merges.push([tokens[left]!, tokens[right]!]);
  }
  const specials: Record<number, string> = {};
  for (let id = 199998; id <= 200018; id++)
    specials[id] = SPECIAL_NAMES[id] ?? `<|reserved_${id}|>`;
  return tokenizerFile({ vocab: Object.fromEntries(ids), merges, ignore_merges: true }, specials);
}

/** Creates o200k_harmony's tokenizer. */
export function createO200kTokenizer(): Tokenizer {
  return createTokenizer(buildO200kFile());
}
