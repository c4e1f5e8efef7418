import { ALL, cuts, derivative, EMPTY, LAST, type Regex } from './regex.ts';

/** More states than these are too many to tell whether an expression matches anything. */
const MAX_STATES = 50_000;

/** Code points that no text has: halves of surrogate pairs. */
const SURROGATES = [0xd800, 0xdfff] as const;

/** What follows an expression: the first code point of each range, and the expression after one of the range. */
interface Row {
  readonly starts: readonly number[];
  readonly targets: readonly Regex[];
}

const rows = new WeakMap<Regex, Row>();
const matchesNothing = new WeakMap<Regex, boolean>();

/** The expression after a code point; `undefined` if no text that it matches begins so. */
export function next(regex: Regex, code: number): Regex | undefined {
  const { starts, targets } = rowOf(regex);
  const target = targets[rangeOf(starts, code)] as Regex;
  return isEmpty(target) ? undefined : target;
}

/** Whether a text that the expression matches may begin with a code point of a range. */
export function canFollow(regex: Regex, first: number, last: number): boolean {
  const { starts, targets } = rowOf(regex);
  for (let i = rangeOf(starts, first); i < starts.length && (starts[i] as number) <= last; i++) {
    const from = Math.max(first, starts[i] as number);
    const to = Math.min(last, (starts[i + 1] ?? LAST + 1) - 1);
    const isText = from < SURROGATES[0] || to > SURROGATES[1];
    if (isText && !isEmpty(targets[i] as Regex)) return true;
  }
  return false;
}

/**
 * Whether an expression matches nothing.
 *
 * @throws RangeError if that takes too many states to find out.
 */
export function isEmpty(regex: Regex): boolean {
  if (regex.isNullable || regex === ALL) return false;
  const found = matchesNothing.get(regex);
  if (found !== undefined) return found;
  const seen = new Set<Regex>([regex]);
  for (const state of seen) {
    if (state.isNullable || matchesNothing.get(state) === false) {
      matchesNothing.set(regex, false);
      return false;
    }
    for (const target of rowOf(state).targets) if (target !== EMPTY) seen.add(target);
    if (seen.size > MAX_STATES) {
      throw new RangeError(`A pattern or a length limit needs more than ${MAX_STATES} states.`);
    }
  }
  for (const state of seen) matchesNothing.set(state, true);
  return true;
}

function rowOf(regex: Regex): Row {
  const found = rows.get(regex);
  if (found) return found;
  const starts: number[] = [];
  const targets: Regex[] = [];
  for (const start of cuts(regex)) {
    const target = derivative(regex, start);
    if (target === targets.at(-1)) continue;
    starts.push(start);
    targets.push(target);
  }
  const row = { starts, targets };
  rows.set(regex, row);
  return row;
}

/** The index of the range that a code point lies in. */
function rangeOf(starts: readonly number[], code: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] as number) <= code) low = middle;
    else high = middle - 1;
  }
  return low;
}
