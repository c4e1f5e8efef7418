import { expect, test } from 'vitest';
import { attentionCost } from '../../packages/core/src/kernels/cost.ts';
import { SHAPE_20B } from '../../packages/core/test/kernel-shape.ts';
import { dispatchCost } from './kernel-cost.ts';

const dispatch = (label: string) => ({ pipeline: { label } as GPUComputePipeline });
const token = { isSliding: false, tokens: 1, depth: 0 };

test('a product costs what the engine says, and attention what it sees at its depth', () => {
  const cost = { flops: 6, bytes: 7 };
  expect(dispatchCost(SHAPE_20B, { ...dispatch('linear'), cost }, token)).toBe(cost);
  const attend = { ...dispatch('attend'), cost: { ...cost, keys: 8192 } };
  expect(dispatchCost(SHAPE_20B, attend, { ...token, isSliding: true, depth: 1023 })).toEqual(
    attentionCost(SHAPE_20B, true, 1, 1023),
  );
});

test('what the engine leaves out costs the bytes that it reads', () => {
  const bytes = (kernel: string, tokens = 1) =>
    dispatchCost(SHAPE_20B, dispatch(kernel), { ...token, tokens, depth: 1023 }).bytes;
  expect(bytes('embed', 3)).toBe(3 * (2880 + 4 * 45));
  expect(bytes('router')).toBe(2 * 32 * 2880 + 4 * 2880);
  expect(bytes('attend_reduce')).toBe(4 * 64 * 8 * 66); // 8 splits of 64 sums and two statistics
  expect(bytes('sample_strips')).toBe(4 * 201_088);
});

test('an unknown kernel is an error', () => {
  expect(() => dispatchCost(SHAPE_20B, dispatch('teleport'), token)).toThrow('teleport');
});
