import { describe, expect, test } from 'vitest';
import { createRandom } from '../../../test/random.ts';
import { LoopGuard } from './loop-guard.ts';

/** How many tokens are read until a loop is found; `undefined` if none is. */
function loopAfter(tokens: readonly number[]): number | undefined {
  const guard = new LoopGuard();
  const at = tokens.findIndex((token) => guard.push(token));
  return at < 0 ? undefined : at + 1;
}

function randomTokens(count: number, seed: number, vocabulary = 201_088): number[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => random.integer(vocabulary));
}

function repeat(tokens: readonly number[], length: number): number[] {
  return Array.from({ length }, (_, i) => tokens[i % tokens.length]!);
}

/** Lines of an answer as tokens: a number for each word and sign. */
function tokensOf(text: string): number[] {
  const ids = new Map<string, number>();
  return [...text.matchAll(/\w+|[^\w ]/g)].map(([word]) => {
    if (!ids.has(word)) ids.set(word, ids.size);
    return ids.get(word)!;
  });
}

const line = (text: string, count: number): string => `${text}\n`.repeat(count);

describe('a loop', () => {
  test.each([1, 2, 7, 100, 255, 256])(
    'of %d tokens is found once it has gone on for 2,048, after any beginning',
    (length) => {
      const beginning = randomTokens(777, length);
      const cycle = randomTokens(length, length + 1000);
      expect(loopAfter([...beginning, ...repeat(cycle, 5000)])).toBe(777 + 2048);
    },
  );

  test('that has its token twice is found', () => {
    expect(loopAfter(repeat([5, 6, 5, 7, 5, 6], 5000))).toBe(2048);
  });

  test('is no longer one after a single other token', () => {
    const cycle = randomTokens(9, 1);
    const tokens = [...repeat(cycle, 2047), 1, ...repeat(cycle, 2047), 2, ...repeat(cycle, 2047)];
    expect(loopAfter(tokens)).toBeUndefined();
  });
});

describe('what is no loop', () => {
  test.each<[string, readonly number[]]>([
    ['many different tokens', randomTokens(20_000, 3)],
    ['text of few tokens', randomTokens(20_000, 4, 2)],
    ['a cycle of 257 tokens', repeat(randomTokens(257, 5), 5000)],
    ['a table with empty cells', tokensOf(line('| | | | |', 200))],
    ['a rule', tokensOf('-'.repeat(1000))],
    ['a 30 x 30 matrix of zeros', tokensOf(line(`[${'0, '.repeat(29)}0],`, 30))],
    ['code with a repeated line', tokensOf(line('  self.layers.append(Linear(512, 512))', 100))],
    ['a log of one message', tokensOf(line('ok: retrying in 5 seconds', 250))],
    [
      'a long list with numbers',
      tokensOf(Array.from({ length: 1000 }, (_, i) => `${i}. the same item\n`).join('')),
    ],
    [
      'a test for each case',
      tokensOf(
        Array.from({ length: 300 }, (_, i) => `assert add(${i}, ${i + 1}) == ${2 * i + 1}\n`).join(
          '',
        ),
      ),
    ],
  ])('is %s', (_, tokens) => {
    expect(loopAfter(tokens)).toBeUndefined();
  });
});
