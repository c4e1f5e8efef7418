import { describe, expect, test } from 'vitest';
import { createToolNames } from './tool-names.ts';

test('tool names become identifiers', () => {
  const names = ['add', 'get-weather', 'a b.c', '2fast', 'naïve!', '$x', '', '…'];
  const { identifiers } = createToolNames(names.map((name) => ({ name })));
  expect(identifiers).toEqual(['add', 'get_weather', 'a_b_c', '_2fast', 'nave', '$x', '_', '__2']);
});

test('identifiers map back to names, with or without the namespace', () => {
  const toolNames = createToolNames([{ name: 'get-weather' }, { name: 'add' }]);
  expect(toolNames.nameOf('functions.get_weather')).toBe('get-weather');
  expect(toolNames.nameOf('get_weather')).toBe('get-weather');
  expect(toolNames.nameOf('functions.get-weather')).toBe('get-weather');
  expect(toolNames.nameOf('add')).toBe('add');
  expect(toolNames.nameOf('browser.add')).toBeUndefined();
  expect(toolNames.nameOf('toString')).toBeUndefined();
});

test('a name that already is an identifier stays as it is; duplicates get a number', () => {
  const toolNames = createToolNames([{ name: 'a-b' }, { name: 'a.b' }, { name: 'a_b' }]);
  expect(toolNames.identifiers).toEqual(['a_b_2', 'a_b_3', 'a_b']);
  expect(toolNames.nameOf('a_b')).toBe('a_b');
  expect(toolNames.identifierOf('a.b')).toBe('a_b_3');
  expect(toolNames.identifierOf('functions.a-b')).toBe('a_b_2');
});

test('an unknown name becomes an identifier too', () => {
  expect(createToolNames([]).identifierOf('functions.x y')).toBe('x_y');
});

test('two tools with the same name are rejected', () => {
  expect(() => createToolNames([{ name: 'a' }, { name: 'a' }])).toThrow(RangeError);
});

describe('built-in tools', () => {
  const browser = { name: 'browser', tools: [{ name: 'search' }] };
  const python = { name: 'python', description: 'Runs code.' };

  test('belong to the namespace that their name begins with', () => {
    const toolNames = createToolNames([{ name: 'add' }], [browser, python]);
    expect(toolNames.namespaceOf('browser.search')).toBe(browser);
    expect(toolNames.namespaceOf('python')).toBe(python);
    expect(toolNames.nameOf('python')).toBeUndefined();
    for (const recipient of ['browsers.search', 'functions.python', 'functions.add', 'add', '']) {
      expect(toolNames.namespaceOf(recipient)).toBeUndefined();
    }
  });

  test.each(['python', 'browser', 'browser.search', 'browser.'])(
    'share no name with a function: %s',
    (name) => {
      const create = () => createToolNames([{ name: 'add' }, { name }], [browser, python]);
      expect(create).toThrow(RangeError);
      expect(create).toThrow(`The tool ${JSON.stringify(name)} `);
      expect(create).toThrow(`the built-in "${name.split('.')[0]}"`);
    },
  );

  test.each(['pythonic', 'browser_search', 'my.python'])('leave a function alone: %s', (name) => {
    expect(createToolNames([{ name }], [browser, python]).nameOf(name)).toBe(name);
  });

  test.each([
    ['functions.add', undefined, true],
    ['functions.add', 'code', true],
    ['functions.unknown', 'code', true],
    ['add', 'code', true],
    ['browser.search', undefined, true],
    ['browser.search', 'code', true],
    ['python', undefined, false],
    ['python', 'code', false],
    ['python', 'json', false],
    ['unknown', undefined, true],
    ['unknown', 'json', true],
    ['unknown', 'code', false],
  ])('a call to %s of type %s is JSON: %s', (recipient, contentType, isJson) => {
    const toolNames = createToolNames([{ name: 'add' }], [browser, python]);
    expect(toolNames.isJsonCall(recipient, contentType)).toBe(isJson);
  });

  test('without being declared take code if the call says so', () => {
    const toolNames = createToolNames([]);
    expect(toolNames.isJsonCall('python', 'code')).toBe(false);
    expect(toolNames.isJsonCall('browser.search')).toBe(true);
  });
});
