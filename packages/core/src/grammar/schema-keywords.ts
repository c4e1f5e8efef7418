import { formatPattern } from './formats.ts';
import { atLeast, atMost, INTEGER } from './numbers.ts';
import { parsePattern } from './parse-pattern.ts';
import {
  ALL,
  ANY,
  and,
  concat,
  literal,
  multipleOf,
  optional,
  type Regex,
  repeat,
} from './regex.ts';
import { schemaError } from './schema-error.ts';

/** Longer strings and arrays than this cannot be limited. */
const MAX_LENGTH = 100_000;

const TYPES = ['string', 'number', 'integer', 'boolean', 'null', 'object', 'array'];

/** The keywords of a schema. */
export type Fields = Readonly<Record<string, unknown>>;

/** The types of the values that a schema allows. */
export function typesOf(
  place: string,
  { type = TYPES.filter((name) => name !== 'integer') }: Fields,
): string[] {
  const types = [type].flat();
  for (const name of types) {
    if (!TYPES.includes(name as string))
      throw schemaError(place, `has the type ${JSON.stringify(name)}.`);
  }
  return types.filter((name) => name !== 'integer' || !types.includes('number')) as string[];
}

/** What the strings of a schema match: its pattern, format and lengths. */
export function stringRegex(place: string, fields: Fields): Regex {
  const { min, max } = limits(place, fields, 'minLength', 'maxLength');
  const length = min === 0 && max === Infinity ? ALL : repeat(ANY, min, max);
  const pattern = typeof fields.pattern === 'string' ? patternAt(place, fields.pattern) : ALL;
  const format = typeof fields.format === 'string' ? (formatPattern(fields.format) ?? ALL) : ALL;
  return and(length, pattern, format);
}

/** {@link parsePattern}, whose errors name the place. */
export function patternAt(place: string, pattern: string): Regex {
  try {
    return parsePattern(pattern);
  } catch (error) {
    throw schemaError(place, `cannot be enforced. ${(error as Error).message}`);
  }
}

/** What the numbers of a schema match, of all that `all` matches: its bounds and divisor. */
export function numberRegex(place: string, fields: Fields, all: Regex): Regex {
  const bound = (name: string): number | undefined => {
    const value = fields[name];
    if (value === undefined || typeof value === 'number') return value;
    throw schemaError(place, `has the ${name} ${JSON.stringify(value)}; it must be a number.`);
  };
  const parts = [all];
  const [minimum, maximum] = [bound('minimum'), bound('maximum')];
  const [above, below] = [bound('exclusiveMinimum'), bound('exclusiveMaximum')];
  if (minimum !== undefined) parts.push(atLeast(minimum, false));
  if (maximum !== undefined) parts.push(atMost(maximum, false));
  if (above !== undefined) parts.push(atLeast(above, true));
  if (below !== undefined) parts.push(atMost(below, true));
  const divisor = bound('multipleOf');
  if (divisor !== undefined) {
    if (!Number.isInteger(divisor) || divisor <= 0 || divisor > MAX_LENGTH) {
      throw schemaError(
        place,
        `has multipleOf ${divisor}; only whole numbers up to ${MAX_LENGTH} can be enforced.`,
      );
    }
    parts.push(
      and(INTEGER, concat(optional(literal('-')), and(multipleOf(divisor), repeat(ANY, 1, 15)))),
    );
  }
  return and(...parts);
}

/** The least and the most that two keywords allow. */
export function limits(
  place: string,
  fields: Fields,
  least: string,
  most: string,
): { min: number; max: number } {
  const limit = (name: string, fallback: number): number => {
    const value = fields[name] ?? fallback;
    if (typeof value !== 'number' || value < 0)
      throw schemaError(place, `has the ${name} ${JSON.stringify(value)}.`);
    if (value !== Infinity && value > MAX_LENGTH) {
      throw schemaError(place, `has the ${name} ${value}; at most ${MAX_LENGTH} can be enforced.`);
    }
    return value;
  };
  return { min: limit(least, 0), max: limit(most, Infinity) };
}

/** The list of a keyword; empty if it is absent. */
export function listAt(place: string, fields: Fields, name: string): readonly unknown[] {
  const list = fields[name] ?? [];
  if (!Array.isArray(list)) throw schemaError(place, `has ${name}, which is not a list.`);
  return list;
}
