import { expect, test } from 'vitest';
import { isKey } from './keys.ts';

const pressed = { key: 'Escape', shiftKey: false, isComposing: false, keyCode: 27 };

test.each([
  ['alone', {}, true],
  ['with Shift, which is another shortcut', { shiftKey: true }, false],
  ['during a composition', { isComposing: true }, false],
  ['that ends a composition, as Safari tells it', { keyCode: 229 }, false],
  ['of another name', { key: 'Enter' }, false],
])('a key %s', (_name, change, isMeant) => {
  expect(isKey({ ...pressed, ...change }, 'Escape')).toBe(isMeant);
});
