import { literal, type Regex, textOf } from './regex.ts';
import { isEmpty } from './regex-automaton.ts';

/** A node of a grammar: what may come, and the node after it. */
export type Node =
  | { readonly kind: 'text' | 'quoted'; readonly regex: Regex; readonly next: number }
  | { readonly kind: 'choice'; readonly targets: readonly number[] }
  | { readonly kind: 'call'; readonly rule: number; readonly next: number }
  | { readonly kind: 'end' };

/** The node at which a rule ends. */
export const RULE_END = 0;

/** A grammar: a network of nodes, in which rules call each other. */
export interface Grammar {
  readonly nodes: readonly Node[];
  /** The first node of each rule; that of the first rule is where a text begins. */
  readonly starts: readonly number[];
}

/** Builds a {@link Grammar}, each part before the one that precedes it in the text. */
export class GrammarBuilder {
  readonly #nodes: Node[] = [{ kind: 'end' }];
  readonly #starts: number[] = [];

  /** Adds a rule that is defined later; returns its number. */
  addRule(): number {
    return this.#starts.push(-1) - 1;
  }

  /** Defines a rule by the node that it begins with; it must lead to {@link RULE_END}. */
  define(rule: number, start: number): void {
    this.#starts[rule] = start;
  }

  /** A text, then `next`. */
  literal(text: string, next: number): number {
    return this.text(literal(text), next);
  }

  /** A text that an expression matches, then `next`. */
  text(regex: Regex, next: number): number {
    return this.#add({ kind: 'text', regex, next });
  }

  /**
   * A JSON string from after its first quote, whose value an expression matches; then `next`. Of one value, only the usual
   * way to write it: then the text is forced.
   */
  quoted(regex: Regex, next: number): number {
    const text = textOf(regex);
    if (text !== undefined) return this.literal(JSON.stringify(text).slice(1), next);
    return this.#add({ kind: 'quoted', regex, next });
  }

  /** Any of several nodes. */
  choice(targets: readonly number[]): number {
    return targets.length === 1 ? (targets[0] as number) : this.#add({ kind: 'choice', targets });
  }

  /** A node that `make` builds from itself, so that it can come again. */
  loop(make: (again: number) => number): number {
    const again = this.#add({ kind: 'choice', targets: [] });
    this.#nodes[again] = { kind: 'choice', targets: [make(again)] };
    return again;
  }

  /** A rule, then `next`. */
  call(rule: number, next: number): number {
    return this.#add({ kind: 'call', rule, next });
  }

  /**
   * The grammar, without the choices that lead to no text.
   *
   * @throws RangeError if it has no text.
   */
  build(): Grammar {
    const reachEnd = this.#productive();
    if (!reachEnd.has(this.#starts[0] as number)) throw new RangeError('No text follows it');
    const nodes = this.#nodes.map((node): Node => {
      if (node.kind !== 'choice') return node;
      return { kind: 'choice', targets: node.targets.filter((target) => reachEnd.has(target)) };
    });
    return { nodes, starts: this.#starts };
  }

  #add(node: Node): number {
    return this.#nodes.push(node) - 1;
  }

  /** The nodes from which the end of their rule can be reached. */
  #productive(): Set<number> {
    const found = new Set([RULE_END]);
    for (let before = 0; before < found.size; ) {
      before = found.size;
      for (const [i, node] of this.#nodes.entries()) {
        const isFound =
          node.kind === 'choice'
            ? node.targets.some((target) => found.has(target))
            : node.kind === 'call'
              ? found.has(this.#starts[node.rule] as number) && found.has(node.next)
              : node.kind !== 'end' && found.has(node.next) && !isEmpty(node.regex);
        if (isFound) found.add(i);
      }
    }
    return found;
  }
}
