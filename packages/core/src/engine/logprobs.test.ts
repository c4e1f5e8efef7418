import { expect, test } from 'vitest';
import { tokenLogprobs } from './logprobs.ts';

const letter = (id: number): string => String.fromCharCode(97 + id);

test('log probabilities are ln softmax, of the token and of the likeliest ones', () => {
  const logits = Float32Array.of(Math.log(1), Math.log(4), Math.log(2), Math.log(3));
  const { id, text, logprob, top } = tokenLogprobs(logits, 0, 3, letter);
  expect({ id, text }).toEqual({ id: 0, text: 'a' });
  expect(logprob).toBeCloseTo(Math.log(0.1), 6);
  expect(top.map((entry) => entry.text)).toEqual(['b', 'd', 'c']);
  top.forEach((entry, i) => {
    expect(entry.logprob).toBeCloseTo(Math.log([0.4, 0.3, 0.2][i]!), 6);
  });
});

test('equals come in the order of their ids, and no more are listed than there are', () => {
  const { top } = tokenLogprobs(Float32Array.of(1, 2, 1, 2), 1, 20, letter);
  expect(top.map(({ id }) => id)).toEqual([1, 3, 0, 2]);
  expect(tokenLogprobs(Float32Array.of(1, 2, 1, 2), 1, 3, letter).top.map(({ id }) => id)).toEqual([
    1, 3, 0,
  ]);
  expect(tokenLogprobs(Float32Array.of(1, 2), 1, 0, letter).top).toEqual([]);
});

test('logits as large as float32 allows do not overflow', () => {
  const { logprob } = tokenLogprobs(Float32Array.of(3e38, -3e38, 3e38), 0, 0, letter);
  expect(logprob).toBeCloseTo(Math.log(0.5), 6);
});
