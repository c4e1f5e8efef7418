import { expect, test, vi } from 'vitest';

vi.mock('../element.ts', () => ({}));
const { parseVerdict } = await import('./policy-checker.ts');

test.each([
  ['{"violation":1,"policy_category":"email","rationale":"Has one."}', [true, 'email', 'Has one.']],
  ['```json\n{"violation": 0, "policy_category": "none"}\n```', [false, 'none', '']],
])('a verdict is read from %s', (answer, [isViolation, category, rationale]) => {
  expect(parseVerdict(answer)).toEqual({ isViolation, category, rationale });
});

test.each(['', 'It is fine.', '{"violation":2}', '{"violation":', '[]', 'null'])(
  '%j is no verdict',
  (answer) => {
    expect(parseVerdict(answer)).toBeUndefined();
  },
);
