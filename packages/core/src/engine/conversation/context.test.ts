import { expect, test } from 'vitest';
import type { Runtime } from '../../model/runtime.ts';
import { Context } from './context.ts';

test('a context records an answer of any length', () => {
  const config = { slidingLayers: [] };
  const context = new Context({ config, shape: {}, gpu: {} } as unknown as Runtime);
  const answer = Array.from({ length: 2 ** 20 }, (_, i) => i % 7);
  context.recordDecode(answer, answer.length);
  expect(context.tokens).toHaveLength(2 ** 20);
  expect(context.tokens.at(-1)).toBe(answer.at(-1));
  expect(context.evaluated).toBe(2 ** 20);
});
