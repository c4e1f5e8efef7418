import { attemptCost } from './pattern-cost.ts';

/**
 * Translates the regular expression of a `tokenizer.json`, written for the Rust engines behind published tokenizers, to
 * JavaScript. The two differ in `\s` (JavaScript includes U+FEFF and lacks U+0085), in `.`, and in `(?i:…)`, which some
 * supported JavaScript engines lack.
 */

const ESCAPES: Readonly<Record<string, string>> = {
  s: '\\p{White_Space}',
  S: '\\P{White_Space}',
  d: '\\p{Nd}',
  D: '\\P{Nd}',
  r: '\\r',
  n: '\\n',
  t: '\\t',
  f: '\\f',
  v: '\\v',
};

const SYNTAX_CHARACTERS = '^$\\.*+?()[]{}|/-';

// Non-ASCII characters that fold to an ASCII letter: long s and the Kelvin sign.
const FOLDED: Readonly<Record<string, string>> = { s: '\\u017F', k: '\\u212A' };

function unsupported(pattern: string, index: number, what: string): Error {
  return new Error(
    `tokenizer.json: the Split pattern has ${what} at character ${index}, which this tokenizer does not support: ${pattern}`,
  );
}

/**
 * Compiles a Split pattern.
 *
 * @param pattern - The `Regex` of a `Split` pre-tokenizer.
 * @returns A regular expression with the flags `gu`.
 * @throws Error if the pattern uses syntax that is not supported, or can take too long to match.
 */
export function compileSplitPattern(pattern: string): RegExp {
  let source = '';
  let inClass = false;
  let ignoreCase = false;
  const outerIgnoreCase: boolean[] = [];

  for (let index = 0; index < pattern.length; ) {
    const rest = pattern.slice(index);
    const character = rest[0] ?? '';
    const property = /^\\[pP](?:\{\^?[\w=]+\}|[A-Z])/.exec(rest);
    if (property) {
      if (property[0].includes('^')) throw unsupported(pattern, index, property[0]);
      source += property[0].length === 3 ? `\\${rest[1]}{${rest[2]}}` : property[0];
      index += property[0].length;
    } else if (character === '\\') {
      const escaped = rest[1] ?? '';
      if (SYNTAX_CHARACTERS.includes(escaped) && escaped !== '') {
        source += escaped === '-' && !inClass ? '-' : `\\${escaped}`;
      } else if (/^[A-Za-z0-9]?$/.test(escaped)) {
        const translated = ESCAPES[escaped];
        if (translated === undefined) throw unsupported(pattern, index, `\\${escaped}`);
        source += translated;
      } else {
        source += escaped;
      }
      index += 2;
    } else if (inClass) {
      if (character === '[' || rest.startsWith('&&')) throw unsupported(pattern, index, character);
      if (ignoreCase && (/^[A-Za-z]-/.test(rest) || /^-[A-Za-z]/.test(rest))) {
        throw unsupported(pattern, index, 'a case-insensitive range');
      }
      if (character === ']') inClass = false;
      source += ignoreCase && /[A-Za-z]/.test(character) ? bothCases(character) : character;
      index += 1;
    } else if (character === '[') {
      inClass = true;
      const negated = rest[1] === '^';
      source += negated ? '[^' : '[';
      index += negated ? 2 : 1;
    } else if (character === '(') {
      outerIgnoreCase.push(ignoreCase);
      const opening = /^\((?:\?i:|\?:|\?=|\?!|\?<=|\?<!|(?!\?))/.exec(rest)?.[0];
      if (opening === undefined) throw unsupported(pattern, index, rest.slice(0, 4));
      ignoreCase ||= opening === '(?i:';
      source += opening === '(?i:' || opening === '(' ? '(?:' : opening;
      index += opening.length;
    } else if (character === ')') {
      ignoreCase = outerIgnoreCase.pop() ?? false;
      source += ')';
      index += 1;
    } else if (character === '^' || character === '$') {
      throw unsupported(pattern, index, character);
    } else {
      const isLetter = /[A-Za-z]/.test(character);
      source +=
        character === '.'
          ? '[^\\n]'
          : ignoreCase && isLetter
            ? `[${bothCases(character)}]`
            : character;
      index += 1;
    }
  }

  let compiled: RegExp;
  try {
    compiled = new RegExp(source, 'gu');
  } catch (cause) {
    throw new Error(`tokenizer.json: the Split pattern cannot be used in JavaScript: ${pattern}`, {
      cause,
    });
  }
  const { growth } = attemptCost(source);
  // Windows, see matchesOf(), do not show what is before them.
  const isAffordable = growth === 'constant' || (growth === 'linear' && !/\(\?<[=!]/.test(source));
  if (isAffordable) return compiled;
  throw new Error(`tokenizer.json: the Split pattern can take too long to match: ${pattern}`);
}

/** The pattern of o200k, the tokenizer of gpt-oss. It never tries in vain for longer than what it then matches. */
const O200K = [
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  '\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
].join('|');

/** The most characters that an attempt to match may see, for patterns whose attempts take time proportional to them. */
const WINDOW = 4096;

/** The most ways in which such an attempt may be tried at {@link WINDOW} characters: those of o200k. More see fewer. */
const WINDOW_WAYS = 40;

/**
 * The most characters of a text to show to a pattern at once, so that its attempts at all positions take bounded time.
 * Matches of more than half of them are cut.
 */
export function splitWindow(pattern: string, compiled: RegExp): number {
  const { growth, ways } = attemptCost(compiled.source);
  if (pattern === O200K || growth === 'constant') return Infinity;
  return Math.floor((WINDOW * WINDOW_WAYS) / Math.max(ways, WINDOW_WAYS));
}

/** A match of a pattern in a text. */
interface Match {
  readonly index: number;
  readonly text: string;
}

/** Finds the matches of a pattern that sees at most `window` characters at once. */
export function* matchesOf(text: string, pattern: RegExp, window: number): Generator<Match, void> {
  for (let start = 0; start < text.length; ) {
    const end = wholeCharacters(text, start + window);
    const half = end < text.length ? window / 2 : Infinity;
    let next = end < text.length ? wholeCharacters(text, start + half) : end;
    for (const { index, 0: match } of text.slice(start, end).matchAll(pattern)) {
      if (index >= half) break; // the next window shows more of it
      yield { index: start + index, text: match };
      next = Math.max(next, start + index + match.length);
    }
    start = next;
  }
}

/** The end of the text, or the last place up to `end` that is not inside a surrogate pair. */
function wholeCharacters(text: string, end: number): number {
  if (end >= text.length) return text.length;
  return /[\uD800-\uDBFF][\uDC00-\uDFFF]/.test(text.slice(end - 1, end + 1)) ? end - 1 : end;
}

function bothCases(letter: string): string {
  const lower = letter.toLowerCase();
  return lower + letter.toUpperCase() + (FOLDED[lower] ?? '');
}
