import {
  ANY,
  concat,
  END,
  EPSILON,
  ended,
  LAST,
  or,
  type Ranges,
  type Regex,
  repeat,
  START,
  set,
} from './regex.ts';

/** More repetitions than these are refused. */
const MAX_REPEATS = 100_000;

const DIGITS: Ranges = [0x30, 0x39];
const WORD: Ranges = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
const SPACE: Ranges = [
  0x09, 0x0d, 0x20, 0x20, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f,
  0x202f, 0x205f, 0x205f, 0x3000, 0x3000, 0xfeff, 0xfeff,
];
const LINE_ENDS: Ranges = [0x0a, 0x0a, 0x0d, 0x0d, 0x2028, 0x2029];
const CLASSES: Readonly<Record<string, Ranges>> = {
  d: DIGITS,
  w: WORD,
  s: SPACE,
  D: complement(DIGITS),
  W: complement(WORD),
  S: complement(SPACE),
};
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, '0': 0 };

/**
 * Parses a pattern of ECMAScript, with the flag `u`. It matches texts that it is found in, unless `^` and `$` anchor it.
 *
 * @throws RangeError if the pattern is not valid, or has what is not regular: lookaround, back references, `\b`.
 */
export function parsePattern(pattern: string): Regex {
  try {
    new RegExp(pattern, 'u');
  } catch (error) {
    throw new RangeError(`The pattern ${JSON.stringify(pattern)} is not valid`, { cause: error });
  }
  const found = new PatternParser(pattern).parse();
  const before = or(concat(set([START, START]), repeat(ANY)), EPSILON);
  const after = or(concat(repeat(ANY), set([END, END])), EPSILON);
  return ended(concat(before, found, after));
}

/** The code points that a set lacks. */
function complement(ranges: Ranges): Ranges {
  const edges = [0, ...ranges.map((code, i) => code + (i % 2 === 0 ? -1 : 1)), LAST];
  return edges.flatMap((first, i) => {
    const last = edges[i + 1] as number;
    return i % 2 === 0 && first <= last ? [first, last] : [];
  });
}

/** The code points that any of several sets have. */
function union(sets: readonly Ranges[]): Ranges {
  const pairs = sets
    .flatMap((ranges) => ranges.flatMap((first, i) => (i % 2 ? [] : [[first, ranges[i + 1]!]])))
    .sort(([a], [b]) => a! - b!);
  const all: number[] = [];
  for (const [first, last] of pairs as [number, number][]) {
    if (all.length > 0 && first <= all.at(-1)! + 1) all.push(Math.max(all.pop()!, last));
    else all.push(first, last);
  }
  return all;
}

const properties = new Map<string, Ranges>();

/** The code points that an escape such as `\p{L}` matches, as the browser knows them. */
function propertyRanges(written: string): Ranges {
  const found = properties.get(written);
  if (found) return found;
  const regex = new RegExp(`^${written}$`, 'u');
  const ranges: number[] = [];
  for (let code = 0; code <= LAST; code++) {
    if (!regex.test(String.fromCodePoint(code))) continue;
    if (ranges.at(-1) === code - 1) ranges[ranges.length - 1] = code;
    else ranges.push(code, code);
  }
  properties.set(written, ranges);
  return ranges;
}

/** Parses a pattern that `RegExp` accepts. */
class PatternParser {
  readonly #pattern: string;
  readonly #characters: readonly string[];
  #at = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
    this.#characters = Array.from(pattern);
  }

  parse(): Regex {
    const choices: Regex[] = [];
    do choices.push(this.#sequence());
    while (this.#skip('|'));
    return or(...choices);
  }

  #sequence(): Regex {
    const parts: Regex[] = [];
    while (this.#at < this.#characters.length && !this.#sees('|') && !this.#sees(')')) {
      parts.push(this.#quantified());
    }
    return concat(...parts);
  }

  #quantified(): Regex {
    const atom = this.#atom();
    if (this.#skip('*')) return this.#greedy(repeat(atom));
    if (this.#skip('+')) return this.#greedy(repeat(atom, 1));
    if (this.#skip('?')) return this.#greedy(repeat(atom, 0, 1));
    if (!this.#skip('{')) return atom;
    const [min, max = min] = this.#until('}').split(',');
    const most = max === '' ? Infinity : Number(max);
    if (Number(min) > MAX_REPEATS || (most !== Infinity && most > MAX_REPEATS)) {
      throw this.#refusal(`more than ${MAX_REPEATS} repetitions`);
    }
    return this.#greedy(repeat(atom, Number(min), most));
  }

  /** Whether a quantifier is lazy makes no difference to what is matched. */
  #greedy(regex: Regex): Regex {
    this.#skip('?');
    return regex;
  }

  #atom(): Regex {
    const character = this.#take();
    if (character === '^') return set([START, START]);
    if (character === '$') return set([END, END]);
    if (character === '.') return set(complement(LINE_ENDS));
    if (character === '[') return set(this.#class());
    if (character === '(') return this.#group();
    if (character === '\\') return set(this.#escape(false));
    return set([character.codePointAt(0)!, character.codePointAt(0)!]);
  }

  #group(): Regex {
    if (this.#skip('?')) {
      const kind = this.#take();
      if (kind === '<' && !this.#sees('=') && !this.#sees('!')) this.#until('>');
      else if (kind !== ':')
        throw this.#refusal(kind === '<' ? 'lookbehind' : 'lookahead or flags');
    }
    const inner = this.parse();
    this.#take(); // the parenthesis
    return inner;
  }

  #class(): Ranges {
    const isNegated = this.#skip('^');
    const sets: Ranges[] = [];
    while (!this.#skip(']')) {
      const first = this.#classAtom();
      const isRange = this.#sees('-') && this.#characters[this.#at + 1] !== ']';
      if (!isRange) {
        sets.push(first);
        continue;
      }
      this.#take();
      sets.push([first[0]!, this.#classAtom()[0]!]);
    }
    const ranges = union(sets);
    return isNegated ? complement(ranges) : ranges;
  }

  #classAtom(): Ranges {
    const character = this.#take();
    if (character === '\\') return this.#escape(true);
    return [character.codePointAt(0)!, character.codePointAt(0)!];
  }

  #escape(isInClass: boolean): Ranges {
    const character = this.#take();
    const ranges = CLASSES[character];
    if (ranges) return ranges;
    if (character === 'p' || character === 'P') {
      this.#take();
      return propertyRanges(`\\${character}{${this.#until('}')}}`);
    }
    const code = this.#escapedCode(character, isInClass);
    return [code, code];
  }

  #escapedCode(character: string, isInClass: boolean): number {
    if (character === 'b' && isInClass) return 8;
    if (character === 'b' || character === 'B') throw this.#refusal('a word boundary');
    if (/[1-9k]/.test(character)) throw this.#refusal('a back reference');
    if (character === 'c') return this.#take().charCodeAt(0) % 32;
    if (character === 'x') return Number.parseInt(this.#take() + this.#take(), 16);
    if (character === 'u') return this.#unicodeEscape();
    return CONTROLS[character] ?? character.codePointAt(0)!;
  }

  #unicodeEscape(): number {
    if (this.#skip('{')) return Number.parseInt(this.#until('}'), 16);
    const high = this.#fourDigits();
    const isPair = high >= 0xd800 && high < 0xdc00 && this.#sees('\\');
    if (!isPair || this.#characters[this.#at + 1] !== 'u') return high;
    this.#at += 2;
    return 0x10000 + (high - 0xd800) * 0x400 + (this.#fourDigits() - 0xdc00);
  }

  #fourDigits(): number {
    this.#at += 4;
    return Number.parseInt(this.#characters.slice(this.#at - 4, this.#at).join(''), 16);
  }

  #sees(character: string): boolean {
    return this.#characters[this.#at] === character;
  }

  #skip(character: string): boolean {
    if (!this.#sees(character)) return false;
    this.#at++;
    return true;
  }

  #take(): string {
    return this.#characters[this.#at++] as string;
  }

  #until(end: string): string {
    const from = this.#at;
    while (this.#take() !== end);
    return this.#characters.slice(from, this.#at - 1).join('');
  }

  #refusal(feature: string): RangeError {
    return new RangeError(
      `The pattern ${JSON.stringify(this.#pattern)} has ${feature}, which cannot be enforced`,
    );
  }
}
