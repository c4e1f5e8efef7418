import { expect, test } from 'vitest';
import { createToolNames } from './tool-names.ts';

test('names of tools become identifiers', () => {
  const names = ['add', 'get-weather', 'a b.c', '2fast', 'naïve!', '$x', '', '…'];
  const { identifiers } = createToolNames(names.map((name) => ({ name })));
  expect(identifiers).toEqual(['add', 'get_weather', 'a_b_c', '_2fast', 'nave', '$x', '_', '__2']);
});

test('identifiers lead back to the names, with or without the namespace', () => {
  const toolNames = createToolNames([{ name: 'get-weather' }, { name: 'add' }]);
  expect(toolNames.nameOf('functions.get_weather')).toBe('get-weather');
  expect(toolNames.nameOf('get_weather')).toBe('get-weather');
  expect(toolNames.nameOf('functions.get-weather')).toBe('get-weather');
  expect(toolNames.nameOf('add')).toBe('add');
  expect(toolNames.nameOf('browser.add')).toBeUndefined();
  expect(toolNames.nameOf('toString')).toBeUndefined();
});

test('a name that is an identifier keeps it, others get a number', () => {
  const toolNames = createToolNames([{ name: 'a-b' }, { name: 'a.b' }, { name: 'a_b' }]);
  expect(toolNames.identifiers).toEqual(['a_b_2', 'a_b_3', 'a_b']);
  expect(toolNames.nameOf('a_b')).toBe('a_b');
  expect(toolNames.identifierOf('a.b')).toBe('a_b_3');
  expect(toolNames.identifierOf('functions.a-b')).toBe('a_b_2');
});

test('a name that no tool has becomes an identifier all the same', () => {
  expect(createToolNames([]).identifierOf('functions.x y')).toBe('x_y');
});

test('two tools of one name are refused', () => {
  expect(() => createToolNames([{ name: 'a' }, { name: 'a' }])).toThrow(RangeError);
});
