import { expect, test } from 'vitest';
import type { KernelShape } from '../../packages/core/src/kernels/shape.ts';
import { SHAPE_20B } from '../../packages/core/test/kernel-shape.ts';
import { distinctExperts, kernelCost, type Operation } from './kernel-cost.ts';

test('a token reads every row of an 8-bit matrix and its scales once', () => {
  const { bytes, flops } = cost({ kernel: 'linear', part: 'unembedding.weight' });
  const scales = 201_088 * 4 * 45; // two f16 to 64 columns
  expect(bytes).toBe(201_088 * 2880 + scales + 4 * 2880);
  expect(flops).toBe(2 * 201_088 * 2880);
});

test('published weights are twice as large', () => {
  const operation = { kernel: 'qkv', part: 'attn.qkv.weight' };
  const { bytes } = cost(operation, { ...SHAPE_20B, dense: 'bf16' });
  expect(bytes).toBe(5120 * 2880 * 2 + 4 * 2880);
});

test('a token reads four experts, a chunk nearly all of them', () => {
  expect(distinctExperts(32, 4, 1)).toBeCloseTo(4, 12);
  expect(distinctExperts(32, 4, 2)).toBeCloseTo(7.5, 12);
  expect(distinctExperts(32, 4, 512)).toBeCloseTo(32, 6);
  const expert = 5760 * (1440 + 4 * 23 + 4); // blocks, scales of 4 blocks in a u32, bias
  const one = cost({ kernel: 'expert_swiglu', part: 'mlp.mlp1' });
  expect(one.bytes).toBeCloseTo(4 * expert + 4 * 2880, 3);
  expect(one.flops).toBe(2 * 5760 * 2880 * 4);
  const chunk = cost({ kernel: 'expert_swiglu_tiled', part: 'mlp.mlp1', tokens: 512 });
  expect(chunk.bytes / (32 * expert + 512 * 4 * 2880)).toBeCloseTo(1, 6);
  expect(chunk.flops).toBe(512 * one.flops);
});

test('attention reads the keys that a layer sees', () => {
  const attend = { kernel: 'attend', part: 'attn', depth: 1023 };
  const key = 2 * 8 * 64 * 2; // keys and values, heads, dimensions, f16
  expect(cost(attend).bytes).toBe(1024 * key + 4 * 64 * 64);
  expect(cost(attend).flops).toBe(4 * 1024 * 64 * 64);
  expect(cost({ ...attend, isSliding: true }).bytes).toBe(128 * key + 4 * 64 * 64);
  const chunk = cost({ kernel: 'attend_tiled', part: 'attn', tokens: 3, depth: 10 });
  expect(chunk.bytes).toBe(13 * key + 3 * 4 * 64 * 64);
  expect(chunk.flops).toBe(4 * (11 + 12 + 13) * 64 * 64);
});

test('an unknown kernel is an error', () => {
  expect(() => cost({ kernel: 'teleport', part: '' })).toThrow('teleport');
});

function cost(
  { kernel, part, isSliding = false, tokens = 1, depth = 0 }: Partial<Operation>,
  shape: KernelShape = SHAPE_20B,
) {
  return kernelCost(shape, { kernel: kernel ?? '', part: part ?? '', isSliding, tokens, depth });
}
