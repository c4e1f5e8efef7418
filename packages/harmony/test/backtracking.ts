/**
 * A backtracking matcher that counts its steps, for the syntax that `compileSplitPattern` writes: alternatives, groups,
 * lookaheads, classes, and greedy quantifiers. It tries what JavaScript engines try, in the same order.
 */

/** Continues with the rest of a pattern at a position; returns where the match ends, or -1. */
type Rest = (at: number) => number;

/** Matches a part of a pattern at a position, and then the rest. */
type Part = (at: number, rest: Rest) => number;

const ATOM = /\[(?:\\.|[^\]\\])*\]|\\[pP]\{[^}]*\}|\\u[\da-fA-F]{4}|\\.|[^()|]/suy;
const GROUP = /\((?:\?[:=!])/y;
const QUANTIFIER = /(?:([*+?])|\{(\d+)(,?)(\d*)\})/y;

/**
 * Splits a text as `text.match(pattern)` does.
 *
 * @returns The matches, and how often a character was compared or a repetition gave way.
 */
export function countSteps(
  { source }: RegExp,
  text: string,
): { readonly pieces: string[]; readonly steps: number } {
  let steps = 0;
  let next = 0;

  const take = (token: RegExp): RegExpExecArray | undefined => {
    token.lastIndex = next;
    const found = token.exec(source) ?? undefined;
    if (found) next = token.lastIndex;
    return found;
  };

  const alternatives = (): Part => {
    const all = [sequence()];
    while (source[next] === '|') {
      next++;
      all.push(sequence());
    }
    return (at, rest) => {
      for (const part of all) {
        const end = part(at, rest);
        if (end >= 0) return end;
      }
      return -1;
    };
  };

  const sequence = (): Part => {
    const parts: Part[] = [];
    while (next < source.length && !'|)'.includes(source[next] as string)) parts.push(item());
    return parts.reduceRight<Part>(
      (after, part) => (at, rest) => part(at, (end) => after(end, rest)),
      (at, rest) => rest(at),
    );
  };

  const item = (): Part => {
    const opening = take(GROUP)?.[0];
    const part = opening === undefined ? character() : group(opening);
    const [found, sign, least = '', comma, most = ''] = take(QUANTIFIER) ?? [];
    if (found === undefined) return part;
    const min = sign === undefined ? Number(least) : sign === '+' ? 1 : 0;
    const limit = most === '' && comma ? Infinity : Number(most || least);
    const max = sign === undefined ? limit : sign === '?' ? 1 : Infinity;
    return repeated(part, min, max);
  };

  const character = (): Part => {
    const one = new RegExp(take(ATOM)?.[0] ?? '', 'uy');
    return (at, rest) => {
      steps++;
      one.lastIndex = at;
      return one.test(text) && one.lastIndex > at ? rest(one.lastIndex) : -1;
    };
  };

  const group = (opening: string): Part => {
    const inner = alternatives();
    next++; // the closing parenthesis
    if (opening === '(?:') return inner;
    const isWanted = opening === '(?=';
    return (at, rest) => (inner(at, (end) => end) >= 0 === isWanted ? rest(at) : -1);
  };

  /** What repeats takes its first way each time: patterns in which it has several are refused. */
  const repeated = (part: Part, min: number, max: number): Part => {
    return (at, rest) => {
      const ends = [at];
      while (ends.length <= max) {
        const from = ends.at(-1) as number;
        const end = part(from, (reached) => reached);
        if (end <= from) break;
        ends.push(end);
      }
      for (let count = ends.length - 1; count >= min; count--) {
        steps++;
        const end = rest(ends[count] as number);
        if (end >= 0) return end;
      }
      return -1;
    };
  };

  const whole = alternatives();
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    const end = whole(at, (reached) => reached);
    if (end > at) pieces.push(text.slice(at, end));
    at = end > at ? end : at + String.fromCodePoint(text.codePointAt(at) as number).length;
  }
  return { pieces, steps };
}
