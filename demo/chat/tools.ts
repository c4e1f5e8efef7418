// The tools that the page offers to the model. They run in the page and make no requests.
import type { ToolDefinition } from 'ossicle';
import { calculate } from './calculate.ts';

/** Metres, kilograms, litres or seconds per unit: one table for each kind of quantity. */
const UNITS: readonly Readonly<Record<string, number>>[] = [
  {
    ...{
      mm: 0.001,
      cm: 0.01,
      m: 1,
      km: 1000,
      inch: 0.0254,
      foot: 0.3048,
      yard: 0.9144,
      mile: 1609.344,
    },
    ...{
      meter: 1,
      metre: 1,
      kilometer: 1000,
      kilometre: 1000,
      centimeter: 0.01,
      inches: 0.0254,
      feet: 0.3048,
    },
  },
  {
    g: 0.001,
    gram: 0.001,
    kg: 1,
    kilogram: 1,
    ounce: 0.028349523125,
    pound: 0.45359237,
    ton: 1000,
  },
  {
    ml: 0.001,
    l: 1,
    liter: 1,
    litre: 1,
    gallon: 3.785411784,
    pint: 0.473176473,
    cup: 0.2365882365,
  },
  { second: 1, minute: 60, hour: 3600, day: 86400, week: 604800 },
];

function convertUnits(value: number, from: string, to: string): number {
  const direction = `${from} ${to}`.toLowerCase();
  if (/^c\w* f\w*$/.test(direction)) return Number(((value * 9) / 5 + 32).toPrecision(6));
  if (/^f\w* c\w*$/.test(direction) && !/^f(oo|ee)t/.test(direction))
    return Number((((value - 32) * 5) / 9).toPrecision(6));
  const singular = (unit: string): string =>
    unit
      .trim()
      .toLowerCase()
      .replace(/(?<=..)s$/, '');
  const find = (kind: Readonly<Record<string, number>>, unit: string): number | undefined =>
    kind[unit.trim().toLowerCase()] ?? kind[singular(unit)];
  for (const kind of UNITS) {
    const [numerator, denominator] = [find(kind, from), find(kind, to)];
    if (numerator !== undefined && denominator !== undefined)
      return Number(((value * numerator) / denominator).toPrecision(6));
  }
  throw new RangeError(`No conversion from ${from} to ${to}.`);
}

function timeIn(city: string): string {
  const wanted = city.trim().replaceAll(' ', '_').toLowerCase();
  const timeZone = Intl.supportedValuesOf('timeZone').find(
    (zone) => zone.split('/').at(-1)?.toLowerCase() === wanted,
  );
  if (timeZone === undefined) throw new RangeError(`No time zone is named after ${city}.`);
  return new Date().toLocaleTimeString('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' });
}

const argument = (input: unknown, name: string): unknown =>
  typeof input === 'object' && input !== null ? Reflect.get(input, name) : undefined;

const number = (input: unknown, name: string): number => {
  const value = Number(argument(input, name));
  if (Number.isNaN(value)) throw new TypeError(`The argument ${name} must be a number.`);
  return value;
};

const text = (input: unknown, name: string): string => {
  const value = argument(input, name);
  if (typeof value !== 'string') throw new TypeError(`The argument ${name} must be a string.`);
  return value;
};

/** The tools, as `generate()` offers them to the model and runs them. The model sees the message of a thrown error. */
export const pageTools: readonly ToolDefinition[] = [
  {
    name: 'get_time',
    description: 'Gets the current time in a city.',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string', description: 'The city.' } },
      required: ['city'],
    },
    // With the city: gpt-oss-nano otherwise spells it from memory, which it does badly.
    execute: (input) => {
      const city = text(input, 'city');
      return { city, time: timeIn(city) };
    },
  },
  {
    name: 'calculator',
    description: 'Evaluates an arithmetic expression.',
    parameters: {
      type: 'object',
      properties: { expression: { type: 'string', description: 'The expression, e.g. 2+2' } },
      required: ['expression'],
    },
    execute: (input) => ({ result: calculate(text(input, 'expression')) }),
  },
  {
    name: 'convert_units',
    description: 'Converts a value between units.',
    parameters: {
      type: 'object',
      properties: { value: { type: 'number' }, from: { type: 'string' }, to: { type: 'string' } },
      required: ['value', 'from', 'to'],
    },
    execute: (input) => ({
      result: convertUnits(number(input, 'value'), text(input, 'from'), text(input, 'to')),
    }),
  },
];
