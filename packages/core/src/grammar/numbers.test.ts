import { describe, expect, test } from 'vitest';
import { createRandom } from '../../test/random.ts';
import { atLeast, atMost, INTEGER, NUMBER } from './numbers.ts';
import { and, literal, type Regex } from './regex.ts';
import { isEmpty } from './regex-automaton.ts';

const matches = (regex: Regex, text: string): boolean => !isEmpty(and(regex, literal(text)));

/** A number without an exponent in units of 10^-10: exact, unlike a number. */
function units(text: string): bigint {
  const [whole = '', fraction = ''] = text.split('.');
  return BigInt(whole + fraction.padEnd(10, '0'));
}

const BOUNDS = [
  0,
  1,
  7,
  9,
  10,
  42,
  99,
  100,
  1000,
  0.5,
  0.05,
  1.25,
  12.345,
  99.99,
  1e-7,
  2 ** 53 - 1,
  1e20,
];

describe('numbers within a bound', () => {
  const random = createRandom(5);
  const digits = (most: number): string =>
    Array.from({ length: random.integer(most + 1) }, () => random.integer(10)).join('');
  const written = (bound: number): string =>
    Math.abs(bound) < 1e-6 ? bound.toFixed(7) : String(bound);
  const around = (bound: number): string[] => {
    const exact = written(bound);
    return [exact, `${exact}${exact.includes('.') ? '' : '.'}001`, exact.slice(0, -1), `${exact}0`];
  };

  test.each(BOUNDS.flatMap((bound) => (bound === 0 ? [0] : [bound, -bound])))('of %d', (bound) => {
    const exact = units(written(bound));
    const texts = Array.from({ length: 80 }, () => {
      const fraction = digits(3);
      return `${random.integer(2) ? '-' : ''}${digits(4)}${fraction && `.${fraction}`}`;
    });
    texts.push(
      '5',
      '-5',
      `${'9'.repeat(21)}`,
      `-${'9'.repeat(21)}`,
      ...around(Math.abs(bound)).flatMap((text) => [text, `-${text}`]),
    );
    let [inside, outside] = [0, 0];
    for (const text of texts) {
      if (!/^-?(0|[1-9]\d{0,20})(\.\d{1,10})?$/.test(text)) continue;
      if (Number(text) === 0 && text.startsWith('-')) continue; // either is right
      const value = units(text);
      for (const isExclusive of [false, true]) {
        const isAbove = isExclusive ? value > exact : value >= exact;
        const isBelow = isExclusive ? value < exact : value <= exact;
        expect(matches(atLeast(bound, isExclusive), text), `${text} from ${bound}`).toBe(isAbove);
        expect(matches(atMost(bound, isExclusive), text), `${text} to ${bound}`).toBe(isBelow);
        if (isAbove) inside++;
        else outside++;
      }
    }
    expect(Math.min(inside, outside)).toBeGreaterThan(1);
  });
});

test.each(['0', '-1', '10', '123456789'])('%s is a whole number', (text) => {
  expect(matches(INTEGER, text)).toBe(true);
  expect(matches(NUMBER, text)).toBe(true);
});

test.each(['1.5', '-0.25', '1e5', '2.5E-10'])('%s is a number, but not a whole one', (text) => {
  expect(matches(INTEGER, text)).toBe(false);
  expect(matches(NUMBER, text)).toBe(true);
});

test.each(['', '-', '01', '+1', '1.', '.5', '1e', '1e999', 'NaN'])('%j is no number', (text) => {
  expect(matches(NUMBER, text)).toBe(false);
});
