/** Seeded random text that stresses tokenizers, with characters from long-established Unicode blocks only. */

/** Creates a generator of numbers in [0, 1): mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const WHITE_SPACE =
  '\t\n\v\f\r \u0085\u00A0\u1680\u2003\u2028\u2029\u202F\u205F\u3000\uFEFF\u200B\u180E';
const CONTRACTIONS = "'\u2019\u017FsStTrReElLvVmMdD\u0130\u0131\u01C5\u02B0\u0301";
const DIGITS = '09½Ⅷ٣\u{1D7CE}²';
const PUNCTUATION = '//\n\r.,{"<|>';
// First and last code point of blocks without unassigned characters.
const RANGES = [
  [0x20, 0x7e],
  [0x20, 0x7e],
  [0x80, 0x24f],
  [0x3b1, 0x3c9],
  [0x410, 0x44f],
  [0x5d0, 0x5ea],
  [0x620, 0x64a],
  [0x904, 0x939],
  [0xe01, 0xe30],
  [0x3041, 0x3096],
  [0x4e00, 0x9fa5],
  [0xac00, 0xd7a3],
  [0xe000, 0xe100],
  [0x1f300, 0x1f5ff],
  [0x20000, 0x2a6d6],
] as const;

/** Returns a text of 1 to 60 characters, in runs of one kind. */
export function randomText(random: () => number): string {
  const below = (end: number): number => Math.floor(random() * end);
  const pick = (characters: string): string => {
    const list = [...characters];
    return list[below(list.length)]!;
  };
  const sets = [WHITE_SPACE, CONTRACTIONS, DIGITS, PUNCTUATION];
  const length = 1 + below(60);
  let kind = 0;
  let text = '';
  for (let i = 0; i < length; i++) {
    if (i === 0 || random() < 0.3) kind = below(sets.length + RANGES.length);
    const set = sets[kind];
    const [first, last] = RANGES[kind - sets.length] ?? [0, 0];
    text += set === undefined ? String.fromCodePoint(first + below(last - first + 1)) : pick(set);
  }
  return text;
}
