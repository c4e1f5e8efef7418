/**
 * Bounds the time that a regular expression can take. JavaScript engines backtrack: a hostile pattern such as `(a+)+b`
 * would keep them busy for years.
 */

/** The most ways, per character of the text, in which a pattern may be tried at one position. */
const MAX_WAYS = 1000;

/** The most characters that a pattern may have once its repetitions are written out. */
const MAX_SIZE = 10_000;

/** An upper bound of the ways to match a part of a pattern at one position of n characters: `ways` · n^`degree`. */
interface Cost {
  readonly ways: number;
  readonly degree: number;
  /** The characters of the part, with its repetitions written out. */
  readonly size: number;
}

/** One part of a sequence. */
interface Item extends Cost {
  readonly kind: 'character' | 'group' | 'lookaround';
  readonly isOptional: boolean;
}

const ONE: Cost = { ways: 1, degree: 0, size: 1 };
const NOTHING: Cost = { ways: 0, degree: 0, size: 0 };
const ENDLESS: Cost = { ways: Infinity, degree: Infinity, size: 1 };

const product = (a: Cost, b: Cost): Cost => ({
  ways: a.ways * b.ways,
  degree: a.degree + b.degree,
  size: a.size + b.size,
});

const sum = (a: Cost, b: Cost): Cost => ({
  ways: a.ways + b.ways,
  degree: Math.max(a.degree, b.degree),
  size: a.size + b.size,
});

/** The time of one attempt to match. */
export interface AttemptCost {
  /**
   * How it grows with the length of the text: `constant`, not counting what is matched; `linear` if one unlimited
   * repetition stands before something that may then fail to match; `unbounded` if more do, or if something is repeated
   * that itself varies.
   */
  readonly growth: 'constant' | 'linear' | 'unbounded';
  /** An upper bound of the ways that an attempt tries, per character of the text for `linear`. */
  readonly ways: number;
}

/**
 * Bounds the time of one attempt to match.
 *
 * @param source - The source of a valid regular expression with the flag `u`, without backreferences.
 */
export function attemptCost(source: string): AttemptCost {
  const { ways, degree, size } = new CostReader(source).alternatives(true);
  if (degree > 1 || ways > MAX_WAYS || size > MAX_SIZE) return { growth: 'unbounded', ways };
  return { growth: degree === 1 ? 'linear' : 'constant', ways };
}

const GROUP = /\((?:\?(?::|<?[=!]))?/y;
const CHARACTER = /\[(?:\\.|[^\]\\])*\]|\\[pP]\{[^}]*\}|\\u[\da-fA-F]{4}|\\.|[^()|]/suy;
const QUANTIFIER = /(?:([*+?])|\{(\d+)(,?)(\d*)\})\??/y;

class CostReader {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  /** @param isWhole - Whether the pattern ends after the alternatives, so that nothing can make them try again. */
  alternatives(isWhole: boolean): Cost {
    let cost = NOTHING;
    for (;;) {
      const items = this.#sequence();
      cost = sum(cost, isWhole ? wholeCost(items) : items.reduce<Cost>(product, ONE));
      if (this.#source[this.#at] !== '|') return cost;
      this.#at++;
    }
  }

  #sequence(): Item[] {
    const items: Item[] = [];
    while (this.#at < this.#source.length && !'|)'.includes(this.#source[this.#at] as string)) {
      items.push(this.#item());
    }
    return items;
  }

  #item(): Item {
    const opening = this.#match(GROUP)?.[0];
    if (opening === undefined) {
      this.#match(CHARACTER);
      return { kind: 'character', ...this.#repeat(ONE) };
    }
    const inner = this.alternatives(false);
    this.#at++; // the closing parenthesis
    const kind = /[=!]$/.test(opening) ? 'lookaround' : 'group';
    return { kind, ...this.#repeat(inner) };
  }

  /** The cost of something with the quantifier that follows it. */
  #repeat(once: Cost): Cost & { readonly isOptional: boolean } {
    const [found, sign, digits = '', comma, moreDigits = ''] = this.#match(QUANTIFIER) ?? [];
    if (found === undefined) return { ...once, isOptional: false };
    const least = sign === undefined ? Number(digits) : sign === '+' ? 1 : 0;
    const limit = moreDigits === '' && comma ? Infinity : Number(moreDigits || digits);
    const most = sign === undefined ? limit : sign === '?' ? 1 : Infinity;
    return { ...repeated(once, least, most), isOptional: least === 0 };
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#source);
    if (!match) return undefined;
    this.#at = pattern.lastIndex;
    return match;
  }
}

function repeated(once: Cost, least: number, most: number): Cost {
  const { ways, degree } = once;
  const size = once.size * Math.max(1, most === Infinity ? least : most);
  if (ways === 1 && degree === 0) {
    return most === Infinity
      ? { ways: 1, degree: 1, size }
      : { ways: most - least + 1, degree, size };
  }
  if (most === Infinity) return ENDLESS;
  return { ways: (most - least + 1) * ways ** most, degree: degree * most, size };
}

/** The cost of a sequence after which the match succeeds: what is reached only to succeed is not tried again. */
function wholeCost(items: readonly Item[]): Cost {
  let end = items.length;
  while (end > 0 && items[end - 1]?.isOptional && items[end - 1]?.kind !== 'lookaround') end--;
  const free = (item: Item): Cost =>
    item.kind === 'character' ? { ...ONE, size: item.size } : item;
  const needed = items.slice(0, end).map((item, i) => (i === end - 1 ? free(item) : item));
  return items.slice(end).map(free).reduce(sum, needed.reduce<Cost>(product, ONE));
}
