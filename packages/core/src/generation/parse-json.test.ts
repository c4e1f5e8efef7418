import { expect, test } from 'vitest';
import { parseJson } from './parse-json.ts';

test.each([
  ['{"a": 1}', { a: 1 }],
  [' [1, 2]\n', [1, 2]],
  ['```json\n{"a": 1}\n```', { a: 1 }],
  ['\n```\n{\n  "a": "```"\n}\n```\n', { a: '```' }],
  ['```json\n5```', 5],
  ['Here it is: {"a": 1}', undefined],
  ['```json\n{"a": 1}', undefined],
  ['', undefined],
])('%j is read as %j', (text, json) => {
  expect(parseJson(text)).toEqual(json);
});
