/**
 * Regular expressions over code points, matched by derivatives (Brzozowski 1964; Owens, Reppy and Turon 2009), which
 * makes intersection and complement as simple as union. Equal expressions are one object, so that an automaton of them is
 * finite.
 */
export type Regex = Readonly<
  { id: number; isNullable: boolean } & (
    | { kind: 'set'; ranges: Ranges }
    | { kind: 'empty' | 'epsilon' }
    | { kind: 'concat'; first: Regex; rest: Regex }
    | { kind: 'or' | 'and'; parts: readonly Regex[] }
    | { kind: 'not' | 'ended'; part: Regex }
    | { kind: 'repeat'; part: Regex; min: number; max: number }
    | { kind: 'multiple'; modulus: number; remainder: number }
  )
>;

/** Sorted, disjoint ranges of code points: first and last of each, one after the other. */
export type Ranges = readonly number[];

type Shape = Regex extends infer R
  ? R extends Regex
    ? Omit<R, 'id' | 'isNullable'>
    : never
  : never;

/** The last code point. */
export const LAST = 0x10ffff;

/** What `^` and `$` match in {@link ended} expressions: code points beyond Unicode. */
export const START = 0x110000;
export const END = 0x110001;

/** Expressions are forgotten when there are more than these: equal ones may then be different objects, which costs time. */
const MAX_KNOWN = 500_000;

let known = new Map<string, Regex>();
let lastId = 0;

function intern(key: string, isNullable: boolean, shape: Shape): Regex {
  const found = known.get(key);
  if (found) return found;
  const regex = { ...shape, id: ++lastId, isNullable } as Regex;
  if (known.size >= MAX_KNOWN) known = new Map();
  known.set(key, regex);
  return regex;
}

/** Matches nothing. */
export const EMPTY: Regex = intern('empty', false, { kind: 'empty' });

/** Matches the empty text. */
export const EPSILON: Regex = intern('epsilon', true, { kind: 'epsilon' });

/** Matches one code point of a set. */
export function set(ranges: Ranges): Regex {
  return ranges.length === 0 ? EMPTY : intern(`[${ranges}]`, false, { kind: 'set', ranges });
}

/** Matches one code point, whichever it is. */
export const ANY: Regex = set([0, LAST]);

/** Matches a text. */
export function literal(text: string): Regex {
  return concat(...Array.from(text, (character) => set(oneOf(character))));
}

/** The only text that an expression matches, if it is plain to see. */
export function textOf(regex: Regex): string | undefined {
  const codes: number[] = [];
  for (let left = regex; left !== EPSILON; ) {
    const [first, rest] = left.kind === 'concat' ? [left.first, left.rest] : [left, EPSILON];
    if (first.kind !== 'set' || first.ranges.length !== 2 || first.ranges[0] !== first.ranges[1]) {
      return undefined;
    }
    codes.push(first.ranges[0] as number);
    left = rest;
  }
  return String.fromCodePoint(...codes);
}

/** The range of one character. */
function oneOf(character: string): Ranges {
  const code = character.codePointAt(0) as number;
  return [code, code];
}

/** Matches expressions one after the other. */
export function concat(...parts: readonly Regex[]): Regex {
  return parts.reduceRight((rest, first) => {
    if (first === EMPTY || rest === EMPTY) return EMPTY;
    if (first === EPSILON) return rest;
    if (rest === EPSILON) return first;
    if (first.kind === 'concat') return concat(first.first, concat(first.rest, rest));
    const isNullable = first.isNullable && rest.isNullable;
    return intern(`${first.id}.${rest.id}`, isNullable, { kind: 'concat', first, rest });
  }, EPSILON);
}

/** Matches what any of the expressions matches. */
export function or(...all: readonly Regex[]): Regex {
  return join('or', all, EMPTY, ALL);
}

/** Matches what all the expressions match. */
export function and(...all: readonly Regex[]): Regex {
  return join('and', all, ALL, EMPTY);
}

/** Matches every text that the expression does not match. */
export function not(part: Regex): Regex {
  if (part.kind === 'not') return part.part;
  if (part === EMPTY) return ALL;
  return intern(`!${part.id}`, !part.isNullable, { kind: 'not', part });
}

/** Matches every text. */
export const ALL: Regex = intern('all', true, { kind: 'not', part: EMPTY });

/** Matches an expression so many times. */
export function repeat(part: Regex, min = 0, max: number = Infinity): Regex {
  if (max === 0 || part === EPSILON) return EPSILON;
  if (part === EMPTY) return min === 0 ? EPSILON : EMPTY;
  if (min === 1 && max === 1) return part;
  if (part === ANY && min === 0 && max === Infinity) return ALL;
  const least = part.isNullable ? 0 : min;
  return intern(`${part.id}{${least},${max}}`, least === 0, {
    kind: 'repeat',
    part,
    min: least,
    max,
  });
}

/**
 * An expression whose texts have the same beginnings of up to so many code points. A repetition at its start is counted no further,
 * so that many expressions share one. Elsewhere, counts stay: within intersections and complements, they matter from afar.
 */
export function shortSighted(regex: Regex, length: number): Regex {
  if (regex.kind === 'concat') return concat(shortSighted(regex.first, length), regex.rest);
  if (regex.kind !== 'repeat') return regex;
  const { part, min, max } = regex;
  return repeat(part, Math.min(min, length + 1), max > length ? Infinity : max);
}

/** Matches an expression or nothing. */
export function optional(part: Regex): Regex {
  return or(part, EPSILON);
}

/** Matches the texts that the expression matches between {@link START} and {@link END}. */
export function ended(part: Regex): Regex {
  return toEnded(derivative(part, START));
}

/** Matches decimal digits whose value is a multiple of a number. */
export function multipleOf(modulus: number, remainder = 0): Regex {
  const isNullable = remainder === 0;
  return intern(`%${modulus},${remainder}`, isNullable, { kind: 'multiple', modulus, remainder });
}

function toEnded(part: Regex): Regex {
  const isNullable = derivative(part, END).isNullable;
  return part === EMPTY ? EMPTY : intern(`$${part.id}`, isNullable, { kind: 'ended', part });
}

function join(kind: 'or' | 'and', all: readonly Regex[], unit: Regex, zero: Regex): Regex {
  const flat = all.flatMap((part) => (part.kind === kind ? part.parts : [part]));
  const parts = [...new Set(flat)].filter((part) => part !== unit).sort((a, b) => a.id - b.id);
  if (parts.includes(zero)) return zero;
  if (parts.length === 0) return unit;
  if (parts.length === 1) return parts[0] as Regex;
  const isNullable =
    kind === 'or' ? parts.some((part) => part.isNullable) : parts.every((part) => part.isNullable);
  return intern(`${kind}(${parts.map(({ id }) => id)})`, isNullable, { kind, parts });
}

/** Matches what may follow a code point in the texts of an expression. */
export function derivative(regex: Regex, code: number): Regex {
  switch (regex.kind) {
    case 'empty':
    case 'epsilon':
      return EMPTY;
    case 'set':
      return includes(regex.ranges, code) ? EPSILON : EMPTY;
    case 'concat': {
      const first = concat(derivative(regex.first, code), regex.rest);
      return regex.first.isNullable ? or(first, derivative(regex.rest, code)) : first;
    }
    case 'or':
      return or(...regex.parts.map((part) => derivative(part, code)));
    case 'and':
      return and(...regex.parts.map((part) => derivative(part, code)));
    case 'not':
      return not(derivative(regex.part, code));
    case 'ended':
      return toEnded(derivative(regex.part, code));
    case 'repeat': {
      const { part, min, max } = regex;
      return concat(derivative(part, code), repeat(part, Math.max(0, min - 1), max - 1));
    }
    case 'multiple': {
      const digit = code - 0x30;
      if (digit < 0 || digit > 9) return EMPTY;
      return multipleOf(regex.modulus, (10 * regex.remainder + digit) % regex.modulus);
    }
  }
}

function includes(ranges: Ranges, code: number): boolean {
  let low = 0;
  let high = ranges.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[2 * middle + 1] as number) < code) low = middle + 1;
    else high = middle;
  }
  return low < ranges.length / 2 && (ranges[2 * low] as number) <= code;
}

const cutsOf = new WeakMap<Regex, readonly number[]>();

/** Where the code points begin between which derivatives may differ, in order. */
export function cuts(regex: Regex): readonly number[] {
  const found = cutsOf.get(regex);
  if (found) return found;
  const made = makeCuts(regex);
  cutsOf.set(regex, made);
  return made;
}

function makeCuts(regex: Regex): readonly number[] {
  switch (regex.kind) {
    case 'empty':
    case 'epsilon':
      return [0];
    case 'set':
      return merge([[0], regex.ranges.map((code, i) => code + (i % 2))]);
    case 'concat':
      return regex.first.isNullable
        ? merge([cuts(regex.first), cuts(regex.rest)])
        : cuts(regex.first);
    case 'or':
    case 'and':
      return merge(regex.parts.map(cuts));
    case 'not':
    case 'ended':
    case 'repeat':
      return cuts(regex.part);
    case 'multiple':
      return [0, ...Array.from({ length: 11 }, (_, digit) => 0x30 + digit)];
  }
}

function merge(lists: readonly (readonly number[])[]): number[] {
  const all = new Set(lists.flat().filter((code) => code <= LAST));
  return [...all].sort((a, b) => a - b);
}
