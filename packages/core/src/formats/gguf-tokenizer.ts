import { formatInvalid } from '../errors.ts';
import type { ByteSource, SourceFile } from '../sources/byte-source.ts';
import { type GgufArray, type GgufValue, invalid, readIntegers, readTexts } from './gguf.ts';
import type { Json } from './json-file.ts';

/** The published vocabulary has 201,088 tokens and 446,189 merges. */
const MAX_TOKENS = 2 ** 20;
const MAX_MERGES = 2 ** 21;

/** llama.cpp's token types. */
const NORMAL = 1;
const UNUSED = 5;

/** The texts of o200k_harmony's special tokens, which count as special whatever type a file gives them. */
const SPECIAL_TEXT = /^<\|[a-z\d_]+\|>$/;

const CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";

/** How o200k splits text, from the published tokenizer.json: the metadata only names the pattern. */
const O200K_PATTERN: string = [
  `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+${CONTRACTION}`,
  `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*${CONTRACTION}`,
  '\\p{N}{1,3}',
  ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*',
  '\\s*[\\r\\n]+',
  '\\s+(?!\\S)',
  '\\s+',
].join('|');

/** Names of o200k's pattern in the metadata. */
const O200K_NAMES: readonly unknown[] = ['gpt-4o', 'o200k'];

/**
 * Makes a tokenizer.json from a GGUF file's metadata; `undefined` if it has no tokens.
 *
 * @param file - Of a split file, the first part.
 * @throws {@link OssicleError} `format-invalid` if it is not a byte-level BPE with o200k's pattern, or is incomplete.
 */
export async function ggufTokenizer(
  source: ByteSource,
  file: SourceFile,
  metadata: ReadonlyMap<string, GgufValue>,
  signal?: AbortSignal,
): Promise<Json | undefined> {
  const { path } = file;
  const find = (name: string): GgufArray | undefined => {
    const value = metadata.get(`tokenizer.ggml.${name}`);
    if (value === undefined || typeof value === 'object') return value;
    throw invalid(path, `tokenizer.ggml.${name} is not an array`);
  };
  const tokenArray = find('tokens');
  if (!tokenArray) return undefined;
  const [model, pre] = [metadata.get('tokenizer.ggml.model'), metadata.get('tokenizer.ggml.pre')];
  if (model !== 'gpt2' || !O200K_NAMES.includes(pre)) {
    throw formatInvalid(
      `${path} has a tokenizer of the kind ${shown(model)} with the pattern ${shown(pre)}; ossicle knows "gpt2" with "gpt-4o". ` +
        "Put the model's tokenizer.json beside it.",
    );
  }
  const [typeArray, mergeArray] = [find('token_type'), find('merges')];
  if (!typeArray || !mergeArray) throw invalid(path, 'its tokenizer has no token_type or merges');
  if (tokenArray.length > MAX_TOKENS || mergeArray.length > MAX_MERGES) {
    throw invalid(
      path,
      `its tokenizer has ${tokenArray.length} tokens and ${mergeArray.length} merges`,
    );
  }
  if (typeArray.length !== tokenArray.length) {
    throw invalid(path, `it has ${tokenArray.length} tokens, but ${typeArray.length} token types`);
  }
  const types = await readIntegers(source, file, typeArray, signal);
  const tokens = await readTexts(source, file, tokenArray, signal);
  const merges = await readTexts(source, file, mergeArray, signal);

  const vocabulary: [string, number][] = [];
  const specials: { id: number; content: string }[] = [];
  tokens.forEach((content, id) => {
    if (SPECIAL_TEXT.test(content)) specials.push({ id, content });
    else if (types[id] === NORMAL) vocabulary.push([content, id]);
    else if (types[id] !== UNUSED) specials.push({ id, content });
  });
  return {
    added_tokens: specials,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: O200K_PATTERN }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
      ],
    },
    model: {
      type: 'BPE',
      ignore_merges: true, // as published: a piece that is a token needs no merges
      vocab: Object.fromEntries(vocabulary),
      merges,
    },
  };
}

function shown(value: GgufValue | undefined): string {
  return typeof value === 'string' ? JSON.stringify(value) : 'of no name';
}
