// The tools that the page offers to the model. They run here and ask nobody else.
import type { ToolDefinition } from 'ossicle';
import { calculate } from './calculate.ts';

interface PageTool extends ToolDefinition {
  readonly run: (input: Readonly<Record<string, unknown>>) => unknown;
}

/** Metres, kilograms, litres, metres per second or seconds in one unit; each kind of quantity by itself. */
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

const text = (value: unknown): string => {
  if (typeof value !== 'string') throw new TypeError('The arguments do not fit the tool.');
  return value;
};

const TOOLS: readonly PageTool[] = [
  {
    name: 'get_time',
    description: 'Gets the current time in a city.',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string', description: 'The city.' } },
      required: ['city'],
    },
    run: ({ city }) => ({ time: timeIn(text(city)) }),
  },
  {
    name: 'calculator',
    description: 'Evaluates an arithmetic expression.',
    parameters: {
      type: 'object',
      properties: { expression: { type: 'string', description: 'The expression, e.g. 2+2' } },
      required: ['expression'],
    },
    run: ({ expression }) => ({ result: calculate(text(expression)) }),
  },
  {
    name: 'convert_units',
    description: 'Converts a value between units.',
    parameters: {
      type: 'object',
      properties: { value: { type: 'number' }, from: { type: 'string' }, to: { type: 'string' } },
      required: ['value', 'from', 'to'],
    },
    run: ({ value, from, to }) => ({ result: convertUnits(Number(value), text(from), text(to)) }),
  },
];

/** What the model is told about the tools. */
export const toolDefinitions: readonly ToolDefinition[] = TOOLS.map(({ run: _, ...tool }) => tool);

/** Runs a tool; a failure is an answer too: `{ error }`. */
export function runTool(name: string, input: unknown): unknown {
  try {
    const tool = TOOLS.find((candidate) => candidate.name === name);
    if (tool === undefined) throw new RangeError(`There is no tool named ${name}.`);
    if (typeof input !== 'object' || input === null)
      throw new TypeError('The arguments are not JSON.');
    return tool.run(input as Record<string, unknown>);
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
