import { type Constraint, FREE } from '../constraint/constraint.ts';

/** What a budget knows of the answer so far. */
export interface Reasoning {
  /** Whether the message that is open is reasoning: analysis that calls no tool. */
  readonly isReasoning: boolean;
  /** Tokens of such messages, without control tokens and headers. */
  readonly reasoningTokens: number;
}

/**
 * Ends reasoning once it has a number of tokens: closes its message, and begins the next one.
 *
 * @param next - The tokens that do so: for the message that uses up the budget, and for each later one, where the last of
 * these are used again.
 */
export function reasoningBudget(
  budget: number,
  answer: Reasoning,
  next: readonly (readonly number[])[],
): Constraint {
  let closed = 0;
  let forced: readonly number[] = [];
  return {
    next() {
      if (forced.length === 0 && answer.isReasoning && answer.reasoningTokens >= budget) {
        forced = next[Math.min(closed++, next.length - 1)] ?? [];
      }
      return forced.length > 0 ? { kind: 'force', tokens: forced } : FREE;
    },
    push() {
      forced = forced.slice(1);
    },
  };
}
