import { expect, test } from 'vitest';
import { calculate } from './calculate.ts';
import { pageTools } from './tools.ts';

const run = (name: string, input: unknown): unknown =>
  pageTools
    .find((tool) => tool.name === name)
    ?.execute?.(input, { signal: new AbortController().signal, toolCallId: 'call' });

test.each([
  ['2+2', 4],
  ['1 + 2 * 3', 7],
  ['(1 + 2) * 3', 9],
  ['8 / 4 / 2', 1],
  ['10 - 4 - 3', 3],
  ['-2^2', -4],
  ['2^3^2', 512],
  ['2^-1', 0.5],
  ['7 × 6 ÷ 2', 21],
  ['.5 + 1.25', 1.75],
])('%s is calculated', (expression, value) => {
  expect(calculate(expression)).toBe(value);
});

test.each(['', '2 +', '(1', '1)', 'alert(1)', '2 2', 'a + b'])(
  '"%s" is not an arithmetic expression',
  (expression) => {
    expect(() => calculate(expression)).toThrow(RangeError);
  },
);

test.each([
  [{ value: 10, from: 'km', to: 'miles' }, 6.21371],
  [{ value: 3, from: 'feet', to: 'meters' }, 0.9144],
  [{ value: 100, from: 'celsius', to: 'fahrenheit' }, 212],
  [{ value: 212, from: 'fahrenheit', to: 'celsius' }, 100],
  [{ value: 2, from: 'feet', to: 'centimeters' }, 60.96],
  [{ value: 5, from: 'kg', to: 'pounds' }, 11.0231],
])('units are converted: %j', (input, result) => {
  expect(run('convert_units', input)).toEqual({ result });
});

test('the clock knows the time in cities that time zones are named after', () => {
  const inCity = (city: string) => run('get_time', { city });
  for (const city of ['Tokyo', 'New York'])
    expect(inCity(city)).toEqual({ city, time: expect.stringMatching(/^\d\d:\d\d$/) });
  expect(() => inCity('Atlantis')).toThrow('Atlantis');
});

test.each([
  ['calculator', undefined],
  ['calculator', { expression: 3 }],
  ['convert_units', { value: 1, from: 'km', to: 'kg' }],
  ['convert_units', { from: 'km', to: 'm' }],
])('%s, called with %j, says what is wrong', (name, input) => {
  expect(() => run(name, input)).toThrow(/./);
});
