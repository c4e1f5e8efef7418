import { expect, test } from 'vitest';
import { SHAPE_20B } from '../../test/kernel-shape.ts';
import { attentionCost, denseCost, expertCost } from './cost.ts';
import type { DenseMatrix, ExpertMatrix } from './matrix.ts';

const DENSE = { format: 'int8', columns: 2880 } as DenseMatrix;
const EXPERTS = { experts: 32, rows: 5760, columns: 2880 } as ExpertMatrix;

test('a dense product reads every row and its scales once, whatever the tokens', () => {
  const bytes = 201_088 * (2880 + 4 * 45); // two f16 to 64 columns
  expect(denseCost(DENSE, 201_088, 1)).toEqual({ bytes, flops: 2 * 201_088 * 2880 });
  expect(denseCost(DENSE, 201_088, 3)).toEqual({ bytes, flops: 6 * 201_088 * 2880 });
  expect(denseCost({ ...DENSE, format: 'bf16' }, 64, 1).bytes).toBe(64 * 2880 * 2);
});

test('a token reads four experts, two nearly twice as many, a chunk nearly all', () => {
  const part = { experts: 32 } as ExpertMatrix['parts'][number];
  const expert = 5760 * (1440 + 4 * 23); // blocks, scales of 4 blocks in a u32
  const cost = (tokens: number) => expertCost(EXPERTS, part, tokens, 4);
  expect(cost(1).bytes).toBeCloseTo(4 * expert, 3);
  expect(cost(2).bytes).toBeCloseTo(7.5 * expert, 3);
  expect(cost(512).bytes / (32 * expert)).toBeCloseTo(1, 6);
  expect(cost(1).flops).toBe(2 * 5760 * 2880 * 4);
  expect(cost(512).flops).toBe(512 * cost(1).flops);
  const half = expertCost(EXPERTS, { ...part, experts: 16 }, 1, 4);
  expect(half.bytes).toBeCloseTo(2 * expert, 3);
  expect(half.flops).toBe(cost(1).flops / 2);
});

test('attention reads the keys that its layer sees, and multiplies those of each token', () => {
  const key = 2 * 8 * 64 * 2; // keys and values, heads, dimensions, f16
  const cost = (isSliding: boolean, tokens: number, depth: number) =>
    attentionCost(SHAPE_20B, isSliding, tokens, depth);
  expect(cost(false, 1, 1023)).toEqual({ bytes: 1024 * key, flops: 4 * 1024 * 4096, keys: 1024 });
  expect(cost(true, 1, 1023)).toEqual({ bytes: 128 * key, flops: 4 * 128 * 4096, keys: 128 });
  expect(cost(false, 3, 10)).toEqual({
    bytes: 13 * key,
    flops: 4 * (11 + 12 + 13) * 4096,
    keys: 13,
  });
  expect(cost(true, 3, 126).flops).toBe(4 * (127 + 128 + 128) * 4096);
});
