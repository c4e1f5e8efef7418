import {
  and,
  concat,
  EMPTY,
  EPSILON,
  literal,
  optional,
  or,
  type Regex,
  repeat,
  set,
} from './regex.ts';

/** Digits before and after the point of a number that has bounds, so that it is what it says in binary, too. */
const MAX_INTEGER_DIGITS = 21;
const MAX_FRACTION_DIGITS = 10;

/** Bounds from here on hold for all numbers with so few digits. */
const FAR = 1e21;

const DIGIT = set([0x30, 0x39]);
const NOT_ZERO = set([0x31, 0x39]);
const DIGITS = repeat(DIGIT);
const POINT = literal('.');
const MINUS = literal('-');

/** Whole numbers as JSON has them, without an exponent. */
export const INTEGER: Regex = concat(
  optional(MINUS),
  or(literal('0'), concat(NOT_ZERO, repeat(DIGIT, 0, 99))),
);

/** Numbers as JSON has them; none is too large for JavaScript. */
export const NUMBER: Regex = concat(
  INTEGER,
  optional(concat(POINT, repeat(DIGIT, 1, 100))),
  optional(
    concat(
      set([0x45, 0x45, 0x65, 0x65]),
      optional(set([0x2b, 0x2b, 0x2d, 0x2d])),
      repeat(DIGIT, 1, 2),
    ),
  ),
);

const UNSIGNED = or(literal('0'), concat(NOT_ZERO, DIGITS));
const FRACTION = concat(POINT, repeat(DIGIT, 1));
const BOUNDED = concat(
  optional(MINUS),
  or(literal('0'), concat(NOT_ZERO, repeat(DIGIT, 0, MAX_INTEGER_DIGITS - 1))),
  optional(concat(POINT, repeat(DIGIT, 1, MAX_FRACTION_DIGITS))),
);

/** Numbers without an exponent that are at least, or above, a bound. */
export function atLeast(bound: number, isExclusive: boolean): Regex {
  if (bound <= -FAR) return BOUNDED;
  if (bound >= FAR) return EMPTY;
  const all = concat(UNSIGNED, optional(FRACTION));
  const matching =
    bound < 0 ? or(concat(MINUS, below(-bound, isExclusive)), all) : above(bound, isExclusive);
  return and(BOUNDED, matching);
}

/** Numbers without an exponent that are at most, or below, a bound. */
export function atMost(bound: number, isExclusive: boolean): Regex {
  if (bound >= FAR) return BOUNDED;
  if (bound <= -FAR) return EMPTY;
  const negative = concat(MINUS, bound < 0 ? above(-bound, isExclusive) : above(0, true));
  return and(BOUNDED, bound < 0 ? negative : or(negative, below(bound, isExclusive)));
}

/** Unsigned numbers from a bound on. */
function above(bound: number, isExclusive: boolean): Regex {
  const [whole, fraction] = decimal(bound);
  const larger = concat(wholeAbove(whole), optional(FRACTION));
  const same = concat(literal(whole), fractionAbove(fraction, isExclusive));
  return or(larger, same);
}

/** Unsigned numbers up to a bound. */
function below(bound: number, isExclusive: boolean): Regex {
  const [whole, fraction] = decimal(bound);
  const smaller = concat(wholeBelow(whole), optional(FRACTION));
  const same = concat(literal(whole), fractionBelow(fraction, isExclusive));
  return or(smaller, same);
}

function wholeAbove(whole: string): Regex {
  const longer = concat(NOT_ZERO, repeat(DIGIT, whole.length));
  return or(
    longer,
    ...steps(whole).map(([same, digit, left]) =>
      concat(literal(same), digitsFrom(digit + 1, 9), repeat(DIGIT, left, left)),
    ),
  );
}

function wholeBelow(whole: string): Regex {
  if (whole === '0') return EMPTY;
  const shorter =
    whole.length === 1
      ? EMPTY
      : or(literal('0'), concat(NOT_ZERO, repeat(DIGIT, 0, whole.length - 2)));
  const first = whole.length === 1 ? 0 : 1; // no leading zero
  return or(
    shorter,
    ...steps(whole).map(([same, digit, left]) =>
      concat(
        literal(same),
        digitsFrom(same === '' ? first : 0, digit - 1),
        repeat(DIGIT, left, left),
      ),
    ),
  );
}

/** What follows the whole part of a number that is at least, or above, the one with these digits. */
function fractionAbove(digits: string, isExclusive: boolean): Regex {
  const larger = steps(digits).map(([same, digit]) =>
    concat(POINT, literal(same), digitsFrom(digit + 1, 9), DIGITS),
  );
  const more = concat(
    digits === '' ? POINT : concat(POINT, literal(digits)),
    DIGITS,
    NOT_ZERO,
    DIGITS,
  );
  const exact =
    digits === ''
      ? or(EPSILON, concat(POINT, repeat(literal('0'), 1)))
      : concat(POINT, literal(digits), repeat(literal('0')));
  return or(...larger, more, isExclusive ? EMPTY : exact);
}

/** What follows the whole part of a number that is at most, or below, the one with these digits. */
function fractionBelow(digits: string, isExclusive: boolean): Regex {
  const zeros = repeat(literal('0'));
  if (digits === '') return isExclusive ? EMPTY : or(EPSILON, concat(POINT, literal('0'), zeros));
  const smaller = steps(digits).flatMap(([same, digit]) => [
    concat(POINT, literal(same), digitsFrom(0, digit - 1), DIGITS),
    same === '' ? EPSILON : concat(POINT, literal(same)), // fewer digits: the last one is not zero
  ]);
  return or(...smaller, isExclusive ? EMPTY : concat(POINT, literal(digits), zeros));
}

/** For each digit: those before it, itself, and how many follow. */
function steps(digits: string): (readonly [same: string, digit: number, left: number])[] {
  return Array.from(
    digits,
    (digit, i) => [digits.slice(0, i), Number(digit), digits.length - i - 1] as const,
  );
}

function digitsFrom(first: number, last: number): Regex {
  return first > last ? EMPTY : set([0x30 + first, 0x30 + last]);
}

/** The digits before and after the point of an unsigned number below {@link FAR}, without zeros at the end. */
function decimal(value: number): readonly [whole: string, fraction: string] {
  const [mantissa = '', exponent = '0'] = String(value).split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const shift = Number(exponent); // negative, as larger numbers are far
  if (shift === 0) return [whole, fraction];
  return ['0', '0'.repeat(-shift - whole.length) + whole + fraction];
}
