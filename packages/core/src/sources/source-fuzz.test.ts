import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyValue, fuzz } from '../../test/fuzz.ts';
import type { ModelSource } from '../types/load.ts';
import { openSource } from './open-source.ts';
import { resolveSource } from './resolve-source.ts';

const part = fc.constantFrom(
  ...[
    'import:',
    'https://',
    'http:',
    '//',
    '/',
    './',
    '../',
    'a',
    'b.gguf',
    '@',
    'main',
    ' via ',
    '?',
    '#',
  ],
  ...[
    'huggingface.co',
    'blob',
    'tree',
    'resolve',
    '%',
    '%2e',
    '%00',
    ':',
    ' ',
    '\n',
    '\\',
    '\u0000',
    '[',
    '💖',
    '\ud800',
  ],
  ...['file:', 'data:', 'blob:', 'javascript:', 'user:word@', 'https://huggingface.co/a/b/', '..'],
);
const text = fc.oneof(
  fc.array(part, { maxLength: 10 }).map((parts) => parts.join('')),
  fc.string(),
);

test('any source is resolved to one that resolves to itself and can be opened, or is a TypeError', () =>
  fuzz('source', fc.oneof({ weight: 4, arbitrary: text }, anyValue), async (source) => {
    let resolved: ReturnType<typeof resolveSource>;
    try {
      resolved = resolveSource(source as ModelSource);
    } catch (error) {
      expect(error).toBeInstanceOf(TypeError);
      return;
    }
    if (typeof resolved !== 'string') return;
    expect(resolveSource(resolved)).toBe(resolved);
    expect(typeof (await openSource(resolved)).id).toBe('string');
  }));
