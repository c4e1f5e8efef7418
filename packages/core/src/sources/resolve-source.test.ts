import { expect, test } from 'vitest';
import { resolveSource } from './resolve-source.ts';

test.each(['gpt-oss-20b', 'a/b/c', 'models/x/', '', 'owner/name@'])(
  '%j is not a valid source, and the error shows a valid one',
  (given) => {
    expect(() => resolveSource(given)).toThrow(TypeError);
    expect(() => resolveSource(given)).toThrow('owner/name');
  },
);

test('sources resolve to plain data for a worker, with absolute addresses', () => {
  const files = [new File(['1'], 'a'), new File(['2'], 'b')];
  expect(resolveSource(new Set(files))).toEqual(files);
  expect(resolveSource(new URL('https://example.com/m'))).toBe('https://example.com/m/');
  expect(() => resolveSource('./models/nano')).toThrow(TypeError); // Node has no base address
  Object.assign(globalThis, { location: { href: 'https://example.com/app/index.html?x' } });
  try {
    expect(resolveSource('./models/nano')).toBe('https://example.com/app/models/nano/');
    expect(resolveSource('../nano/')).toBe('https://example.com/nano/');
    expect(resolveSource('/nano')).toBe('https://example.com/nano/');
  } finally {
    Reflect.deleteProperty(globalThis, 'location');
  }
});

test('imported models are named by what they claim to be', () => {
  expect(resolveSource('import:owner/name')).toBe('import:owner/name');
  expect(resolveSource('import:https://example.com/m')).toBe('import:https://example.com/m/');
  expect(resolveSource('import:import:owner/name@v2')).toBe('import:owner/name@v2');
  expect(() => resolveSource('import:nonsense')).toThrow('owner/name');
  expect(() => resolveSource('import:')).toThrow('owner/name');
});

test.each(['javascript:alert(1)', 'data:text/plain,x', 'blob:https://example.com/1'])(
  '%s has no folder',
  (source) => {
    expect(() => resolveSource(source)).toThrow(/is not an address that can be resolved here/);
  },
);

test.each([null, 5, {}, ['config.json'], [null]])('%j is not a source', (source) => {
  const resolve = () => resolveSource(source as unknown as File[]);
  expect(resolve).toThrow(TypeError);
  expect(resolve).toThrow(/must be a string, a URL, files/);
});

test.each([
  'https://ann:s3cret@example.com/m/',
  'https:ann:s3cret@example.com/m',
  'https://ann:s3cret@exa mple.com/m',
  './m?key=s3cret',
  'm?key=s3cret',
])('%s is refused without its secrets', (source) => {
  expect(() => resolveSource(source)).toThrow(TypeError);
  expect(() => resolveSource(source)).not.toThrow(/s3cret/);
});
