import { describe, expect, test } from 'vitest';
import { type Reasoning, reasoningBudget } from './reasoning-budget.ts';

const NEXT = [90, 91];
const ANSWER = [90, 91, 92];

/** The tokens forced for an answer that reasons in messages of endless tokens, up to `count` of them. */
function forcedIn(count: number, budget: number): number[][] {
  const answer = { isReasoning: true, reasoningTokens: 0 };
  const constraint = reasoningBudget(budget, answer, [NEXT, ANSWER]);
  const forced: number[][] = [];
  while (forced.length < count) {
    const guide = constraint.next();
    expect(constraint.next(), 'the same until a token comes').toEqual(guide);
    if (guide.kind !== 'force') {
      constraint.push(answer.reasoningTokens++);
      continue;
    }
    forced.push([...guide.tokens]);
    for (const [i, token] of guide.tokens.entries()) {
      expect(constraint.next()).toEqual({ kind: 'force', tokens: guide.tokens.slice(i) });
      constraint.push(token);
      answer.isReasoning = false;
    }
    expect(constraint.next().kind).toBe('free');
    for (const token of [7, 8]) constraint.push(token); // the header of more reasoning
    answer.isReasoning = true;
  }
  expect(answer.reasoningTokens).toBe(budget);
  return forced;
}

describe('a reasoning budget', () => {
  test.each([0, 1, 25])(
    'of %d closes the message that uses it up, and each later one',
    (budget) => {
      expect(forcedIn(3, budget)).toEqual([NEXT, ANSWER, ANSWER]);
    },
  );

  test('leaves everything else free', () => {
    const answer: Reasoning = { isReasoning: false, reasoningTokens: 100 };
    expect(reasoningBudget(5, answer, [NEXT]).next()).toEqual({ kind: 'free' });
  });
});
