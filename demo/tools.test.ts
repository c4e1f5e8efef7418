import { expect, test } from 'vitest';
import { calculate } from './calculate.ts';
import { runTool, toolDefinitions } from './tools.ts';

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
  '"%s" is refused as no arithmetic expression',
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
  expect(runTool('convert_units', input)).toEqual({ result });
});

test('the clock knows the time in cities that name a time zone', () => {
  const inCity = (city: string) => runTool('get_time', { city });
  expect(inCity('Tokyo')).toEqual({ time: expect.stringMatching(/^\d\d:\d\d$/) });
  expect(inCity('New York')).toEqual({ time: expect.stringMatching(/^\d\d:\d\d$/) });
  expect(inCity('Atlantis')).toEqual({ error: expect.stringContaining('Atlantis') });
});

test('a tool that is called wrongly answers with an error instead of failing', () => {
  for (const [name, input] of [
    ['unknown', {}],
    ['calculator', undefined],
    ['calculator', { expression: 3 }],
    ['convert_units', { value: 1, from: 'km', to: 'kg' }],
  ] as const)
    expect(runTool(name, input)).toEqual({ error: expect.any(String) });
});

test('the model is told the schema of each tool and nothing of how it runs', () => {
  for (const tool of toolDefinitions)
    expect(Object.keys(tool)).toEqual(['name', 'description', 'parameters']);
});
