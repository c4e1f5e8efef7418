import { type Grammar, RULE_END } from './grammar.ts';
import { LAST, type Regex, shortSighted } from './regex.ts';
import { canFollow, next } from './regex-automaton.ts';

/** The state in which no text goes on. */
export const DEAD = 0;

/** Where a text may stand: at a node, inside its expression, with the nodes that its rules return to. */
interface Position {
  readonly node: number;
  /** What is left of the node's expression. */
  readonly regex: Regex;
  /** The code point that has begun, packed: see {@link pack}; 0 between code points. */
  readonly partial: number;
  readonly stack: number;
}

/** Kinds of code points that have begun: in UTF-8, after a backslash, in the digits after `\u`. */
const [UTF8, ESCAPE, HEX] = [1, 2, 3];

/** The code points of escapes, by the byte after the backslash. */
const ESCAPES: Readonly<Record<number, number>> = Object.fromEntries(
  Object.entries({ '"': 0x22, '\\': 0x5c, '/': 0x2f, b: 8, f: 12, n: 10, r: 13, t: 9 }).map(
    ([character, code]) => [character.charCodeAt(0), code],
  ),
);

/** The least code point that UTF-8 writes in so many bytes. */
const LEAST_OF_LENGTH = [0, 0, 0x80, 0x800, 0x10000];

interface State {
  readonly positions: readonly number[];
  readonly isAccepting: boolean;
  /** The state after each byte; -1 if it is not known yet. */
  readonly next: Int32Array;
}

/** Bytes of a state on the heap, with its key, and of each of its positions; of a position or a stack, with its key. */
const [STATE_BYTES, REFERENCE_BYTES, ENTRY_BYTES] = [1500, 16, 250];

/** The texts of a grammar as an automaton over bytes, whose states are made when they are first reached. */
export class GrammarAutomaton {
  readonly #grammar: Grammar;
  readonly #states: State[] = [];
  readonly #stateIds = new Map<string, number>();
  readonly #positions: Position[] = [];
  readonly #positionIds = new Map<string, number>();
  /** Nodes to return to, each above another stack; the first is empty. */
  readonly #stacks: { readonly node: number; readonly below: number }[] = [{ node: -1, below: -1 }];
  readonly #stackIds = new Map<string, number>();
  /** How many positions all states have together. */
  #references = 0;
  /** The state at the beginning of a text, until states are forgotten. */
  readonly start: number;

  constructor(grammar: Grammar) {
    this.#grammar = grammar;
    this.#stateOf(new Set(), false);
    this.start = this.#collect((found) => found.enter(grammar.starts[0] as number, 0));
  }

  /** About how many bytes the automaton takes on the heap. */
  get sizeBytes(): number {
    const entries = this.#positions.length + this.#stacks.length;
    return (
      STATE_BYTES * this.#states.length + REFERENCE_BYTES * this.#references + ENTRY_BYTES * entries
    );
  }

  /** Whether the text may end in a state. */
  isAccepting(state: number): boolean {
    return (this.#states[state] as State).isAccepting;
  }

  /** Forgets all states but one, which gets a new number. */
  forget(state: number): number {
    const { positions: ids, isAccepting } = this.#states[state] as State;
    const positions = ids.map((id) => this.#positions[id] as Position);
    const stacks = this.#stacks.slice();
    const used = new Set<number>();
    for (const { stack } of positions) {
      for (let at = stack; at > 0 && !used.has(at); at = stacks[at]!.below) used.add(at);
    }
    for (const list of [this.#states, this.#positions]) list.length = 0;
    for (const map of [this.#stateIds, this.#positionIds, this.#stackIds]) map.clear();
    this.#stacks.length = 1;
    this.#references = 0;
    this.#stateOf(new Set(), false);
    const moved = new Map([[0, 0]]);
    // A stack has a higher number than those below it.
    for (const at of [...used].sort((a, b) => a - b)) {
      const { node, below } = stacks[at]!;
      moved.set(at, this.#stackId(node, moved.get(below)!));
    }
    const kept = positions.map((position) =>
      this.#positionId({ ...position, stack: moved.get(position.stack)! }),
    );
    return this.#stateOf(new Set(kept), isAccepting);
  }

  /** A state in which the same tokens of up to so many bytes may come; many states share one. */
  shared(state: number, length: number): number {
    const { positions, isAccepting } = this.#states[state] as State;
    const ids = positions.map((id) => {
      const position = this.#positions[id] as Position;
      const regex = shortSighted(position.regex, length);
      return regex === position.regex ? id : this.#positionId({ ...position, regex });
    });
    return this.#stateOf(new Set(ids), isAccepting);
  }

  /** The state after a byte; {@link DEAD} if the byte is not allowed. */
  next(state: number, byte: number): number {
    const known = this.#states[state] as State;
    const found = known.next[byte] as number;
    if (found >= 0) return found;
    const made = this.#collect((positions) => {
      for (const position of known.positions) positions.take(position, byte);
    });
    known.next[byte] = made;
    return made;
  }

  /** The state of the positions that `fill` finds. */
  #collect(fill: (found: Positions) => void): number {
    const found = new Positions(this.#grammar, {
      position: (position) => this.#positionId(position),
      at: (id) => this.#positions[id] as Position,
      push: (node, below) => this.#stackId(node, below),
      pop: (stack) => this.#stacks[stack]!,
    });
    fill(found);
    return this.#stateOf(found.ids, found.isAccepting);
  }

  #stateOf(ids: ReadonlySet<number>, isAccepting: boolean): number {
    const positions = [...ids].sort((a, b) => a - b);
    const key = `${isAccepting} ${positions}`;
    return intern(this.#stateIds, key, this.#states, () => {
      this.#references += positions.length;
      const next = new Int32Array(256).fill(positions.length > 0 ? -1 : DEAD);
      return { positions, isAccepting, next };
    });
  }

  #positionId(position: Position): number {
    const { node, regex, partial, stack } = position;
    const key = `${node} ${regex.id} ${partial} ${stack}`;
    return intern(this.#positionIds, key, this.#positions, () => position);
  }

  #stackId(node: number, below: number): number {
    return intern(this.#stackIds, `${node} ${below}`, this.#stacks, () => ({ node, below }));
  }
}

function intern<T>(ids: Map<string, number>, key: string, list: T[], make: () => T): number {
  const found = ids.get(key);
  if (found !== undefined) return found;
  const id = list.push(make()) - 1;
  ids.set(key, id);
  return id;
}

/** What {@link Positions} need of the automaton: numbers for positions and stacks. */
interface Numbers {
  readonly position: (position: Position) => number;
  readonly at: (id: number) => Position;
  readonly push: (node: number, below: number) => number;
  readonly pop: (stack: number) => { readonly node: number; readonly below: number };
}

/** Collects the positions of one state. */
class Positions {
  readonly ids: Set<number> = new Set<number>();
  isAccepting = false;
  readonly #grammar: Grammar;
  readonly #numbers: Numbers;
  readonly #entered = new Set<string>();

  constructor(grammar: Grammar, numbers: Numbers) {
    this.#grammar = grammar;
    this.#numbers = numbers;
  }

  /** Adds the positions at a node, and at those that can follow it without a text. */
  enter(node: number, stack: number): void {
    const key = `${node} ${stack}`;
    if (this.#entered.has(key)) return;
    this.#entered.add(key);
    const found = this.#grammar.nodes[node]!;
    if (found.kind === 'choice') {
      for (const target of found.targets) this.enter(target, stack);
    } else if (found.kind === 'call') {
      const isLast = found.next === RULE_END;
      const above = isLast ? stack : this.#numbers.push(found.next, stack);
      this.enter(this.#grammar.starts[found.rule] as number, above);
    } else if (found.kind !== 'end') {
      this.#stand({ node, regex: found.regex, partial: 0, stack });
    } else if (stack === 0) {
      this.isAccepting = true;
    } else {
      const { node: back, below } = this.#numbers.pop(stack);
      this.enter(back, below);
    }
  }

  /** Adds the positions after a byte at a position. */
  take(id: number, byte: number): void {
    const position = this.#numbers.at(id);
    const { kind, next: after } = this.#grammar.nodes[position.node] as {
      kind: 'text' | 'quoted';
      next: number;
    };
    const { partial, regex, stack } = position;
    const begun = unpack(partial);
    if (begun.kind === UTF8) {
      if (byte >> 6 === 2) {
        const value = (begun.value << 6) | (byte & 0x3f);
        this.#continue(position, UTF8, begun.left - 1, value, begun.length);
      }
    } else if (begun.kind === ESCAPE) {
      const code = ESCAPES[byte];
      if (code !== undefined) this.#complete(position, code);
      else if (byte === 0x75) this.#continue(position, HEX, 4, 0, 0);
    } else if (begun.kind === HEX) {
      const digit = Number.parseInt(String.fromCharCode(byte), 16);
      if (!Number.isNaN(digit)) {
        this.#continue(position, HEX, begun.left - 1, begun.value * 16 + digit, 0);
      }
    } else if (kind === 'quoted' && byte === 0x22) {
      if (regex.isNullable) this.enter(after, stack);
    } else if (kind === 'quoted' && byte === 0x5c) {
      this.#add({ ...position, partial: pack(ESCAPE, 0, 0, 0) }, 0, 0xffff); // what \uXXXX can write
    } else if (kind === 'quoted' && byte < 0x20) {
      // control characters must be escaped
    } else if (byte < 0x80) {
      this.#complete(position, byte);
    } else if (byte >= 0xc2 && byte <= 0xf4) {
      const length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
      this.#continue(position, UTF8, length - 1, byte & (0x7f >> length), length);
    }
  }

  #continue(position: Position, kind: number, left: number, value: number, length: number): void {
    const bits = left * (kind === HEX ? 4 : 6);
    const first = Math.max(value * 2 ** bits, LEAST_OF_LENGTH[length] as number);
    const last = Math.min(value * 2 ** bits + 2 ** bits - 1, LAST);
    if (first > last) return;
    if (left > 0) this.#add({ ...position, partial: pack(kind, left, value, length) }, first, last);
    else if (value < 0xd800 || value > 0xdfff) this.#complete(position, value);
  }

  #complete(position: Position, code: number): void {
    const regex = next(position.regex, code);
    if (regex) this.#stand({ ...position, regex, partial: 0 });
  }

  /** Adds a position between code points. */
  #stand(position: Position): void {
    const { node, regex, stack } = position;
    const found = this.#grammar.nodes[node]!;
    if (found.kind === 'quoted') {
      this.ids.add(this.#numbers.position(position)); // its quote can end it
    } else if (found.kind === 'text') {
      this.#add(position, 0, LAST);
      if (regex.isNullable) this.enter(found.next, stack);
    }
  }

  /** Adds a position if a code point of a range can come. */
  #add(position: Position, first: number, last: number): void {
    if (canFollow(position.regex, first, last)) this.ids.add(this.#numbers.position(position));
  }
}

/** A code point that has begun: its kind, the bytes or digits left, its bits so far, the bytes of its UTF-8. */
function pack(kind: number, left: number, value: number, length: number): number {
  return kind + 4 * (left + 8 * (length + 8 * value));
}

function unpack(partial: number): { kind: number; left: number; value: number; length: number } {
  return {
    kind: partial & 3,
    left: (partial >> 2) & 7,
    length: (partial >> 5) & 7,
    value: partial >> 8,
  };
}
