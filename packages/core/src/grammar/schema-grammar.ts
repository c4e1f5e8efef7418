import { type Grammar, GrammarBuilder, RULE_END } from './grammar.ts';
import { parsePattern } from './parse-pattern.ts';
import { and, concat, EMPTY, literal, not, optional, or, type Regex, repeat } from './regex.ts';
import { isEmpty } from './regex-automaton.ts';
import { schemaError } from './schema-error.ts';
import { SchemaReader } from './schema-reader.ts';
import type { ArrayShape, ObjectShape, SchemaRef, Shape } from './schema-shapes.ts';

/** More patterns of property names than these would need too many combinations. */
const MAX_PATTERNS = 6;

/** White space between the parts of a value: none, a space, or a line break with an indent. */
const SPACE: Regex = optional(or(literal(' '), concat(literal('\n'), repeat(literal(' '), 0, 40))));

/**
 * A grammar of the JSON texts that follow a schema. Properties come in the order of the schema. Properties that it does
 * not name come only if it says so by `additionalProperties` or `patternProperties`, or if it names none at all.
 *
 * @param schema - JSON Schema, draft 2020-12.
 * @throws RangeError if it is not a schema, has what cannot be enforced, or no text follows it; with the place.
 */
export function schemaGrammar(schema: unknown): Grammar {
  const compiler = new SchemaCompiler(new SchemaReader(schema));
  return compiler.compile();
}

/** A grammar of the texts that a pattern of ECMAScript matches, as with the flag `u`. */
export function patternGrammar(pattern: string): Grammar {
  return textGrammar(parsePattern(pattern));
}

/** A grammar of some texts. */
export function choiceGrammar(choices: readonly string[]): Grammar {
  return textGrammar(or(...choices.map(literal)));
}

function textGrammar(regex: Regex): Grammar {
  const builder = new GrammarBuilder();
  builder.define(builder.addRule(), builder.text(regex, RULE_END));
  return builder.build();
}

class SchemaCompiler {
  readonly #reader: SchemaReader;
  readonly #builder = new GrammarBuilder();
  /** The rules of schemas, and of schemas that must all be followed, by their ids. */
  readonly #rules = new Map<string, number>();
  readonly #open: { readonly rule: number; readonly refs: readonly SchemaRef[] }[] = [];

  constructor(reader: SchemaReader) {
    this.#reader = reader;
  }

  compile(): Grammar {
    this.#ruleOf([this.#reader.root]);
    for (let next = this.#open.pop(); next; next = this.#open.pop()) {
      const { rule, refs } = next;
      const shapes = this.#reader.shapesOfAll(refs);
      this.#builder.define(rule, this.#builder.choice(shapes.map((shape) => this.#value(shape))));
    }
    try {
      return this.#builder.build();
    } catch (error) {
      throw schemaError('#', `cannot be followed. ${(error as Error).message}.`);
    }
  }

  /** The rule of the values that all of several schemas allow. */
  #ruleOf(refs: readonly SchemaRef[]): number {
    const unique = [...new Set(refs)].sort((a, b) => a.id - b.id);
    const key = unique.map(({ id }) => id).join(' ');
    const found = this.#rules.get(key);
    if (found !== undefined) return found;
    const rule = this.#builder.addRule();
    this.#rules.set(key, rule);
    this.#open.push({ rule, refs: unique });
    return rule;
  }

  #value(shape: Shape): number {
    if (shape.type === 'object') return this.#object(shape);
    if (shape.type === 'array') return this.#array(shape);
    if (shape.type !== 'string') return this.#builder.text(shape.regex, RULE_END);
    return this.#builder.literal('"', this.#builder.quoted(shape.regex, RULE_END));
  }

  /** The node of a separator before the next part, if parts have come before it. */
  #separated(isFirst: boolean, next: number): number {
    return this.#builder.text(isFirst ? SPACE : concat(literal(','), SPACE), next);
  }

  #array({ clauses, min, max }: ArrayShape): number {
    const builder = this.#builder;
    const close = builder.text(concat(SPACE, literal(']')), RULE_END);
    const prefix = Math.max(0, ...clauses.map((clause) => clause.prefix.length));
    const schemasAt = (index: number): SchemaRef[] =>
      clauses.flatMap((clause) => clause.prefix[index] ?? clause.items ?? []);
    /** From here on, all items have the same schema, and their number does not matter. */
    const same = Math.max(prefix, min, 1);
    const item = (index: number, next: number): number =>
      this.#separated(index === 0, builder.call(this.#ruleOf(schemasAt(index)), next));
    let after =
      max === Infinity
        ? builder.loop((again) => builder.choice([close, item(same, again)]))
        : close;
    for (let index = (max === Infinity ? same : max) - 1; index >= 0; index--) {
      const more = item(index, after);
      after = index < min ? more : builder.choice([close, more]);
    }
    return builder.literal('[', after);
  }

  #object(shape: ObjectShape): number {
    const builder = this.#builder;
    const close = builder.text(concat(SPACE, literal('}')), RULE_END);
    const names = this.#namesOf(shape);
    const extras = this.#extras(shape, names);
    const isImpossible = [...shape.required].some((name) => !names.includes(name));
    if (isImpossible) return builder.choice([]);
    const isCounted = shape.min > 0 || shape.max < Infinity;
    const made = new Map<string, number>();
    /** The node before the property at an index, after so many others; only none or some matter unless they are counted. */
    const from = (index: number, count: number): number => {
      const key = `${index} ${count}`;
      const found = made.get(key);
      if (found !== undefined) return found;
      const after = isCounted ? count + 1 : 1;
      let node: number;
      if (index === names.length) {
        node = this.#tail(shape, extras, count, close);
      } else {
        const name = names[index]!;
        const property = this.#property(
          count === 0,
          literal(name),
          this.#schemasOf(shape, name),
          from(index + 1, after),
        );
        const isRequired = shape.required.has(name);
        const isPossible = count < shape.max;
        node = builder.choice([
          ...(isPossible ? [property] : []),
          ...(isRequired ? [] : [from(index + 1, count)]),
        ]);
      }
      made.set(key, node);
      return node;
    };
    return builder.literal('{', from(0, 0));
  }

  /** The end of an object, with any properties that it does not name. As they may repeat, they do not count for `min`. */
  #tail(shape: ObjectShape, extras: readonly Extra[], count: number, close: number): number {
    const builder = this.#builder;
    const extra = (isFirst: boolean, next: number): number[] =>
      extras.map(({ names, schemas }) => this.#property(isFirst, names, schemas, next));
    if (count < shape.min) return builder.choice([]);
    if (extras.length === 0 || count >= shape.max) return close;
    if (shape.max === Infinity) {
      const loop = builder.loop((again) => builder.choice([close, ...extra(false, again)]));
      return count > 0 ? loop : builder.choice([close, ...extra(true, loop)]);
    }
    const next = this.#tail(shape, extras, count + 1, close);
    return builder.choice([close, ...extra(count === 0, next)]);
  }

  #property(isFirst: boolean, name: Regex, schemas: readonly SchemaRef[], next: number): number {
    const builder = this.#builder;
    const value = builder.text(
      concat(literal(':'), SPACE),
      builder.call(this.#ruleOf(schemas), next),
    );
    return this.#separated(isFirst, builder.literal('"', builder.quoted(name, value)));
  }

  /** The names of properties that clauses give a schema or require, in order. */
  #namesOf({ clauses, required, forbidden, names }: ObjectShape): string[] {
    const named = clauses.flatMap(({ properties }) => [...properties.keys()]);
    return [...new Set([...named, ...required])].filter(
      (name) => !forbidden.has(name) && !isEmpty(and(names, literal(name))),
    );
  }

  /** The schemas that the value of a property must follow. */
  #schemasOf({ clauses }: ObjectShape, name: string): SchemaRef[] {
    return clauses.flatMap(({ properties, patterns, additional }) => {
      const own = properties.get(name);
      const matching = patterns.flatMap(({ regex, schema }) =>
        isEmpty(and(regex, literal(name))) ? [] : [schema],
      );
      const schemas = [...(own ? [own] : []), ...matching];
      return schemas.length > 0 ? schemas : additional ? [additional] : [];
    });
  }

  /** The properties that an object may have beyond those named: sets of names, each with its schemas. */
  #extras(shape: ObjectShape, named: readonly string[]): Extra[] {
    const { clauses, isClosed, names, forbidden } = shape;
    const patterns = clauses.flatMap((clause) => clause.patterns);
    if (patterns.length > MAX_PATTERNS) {
      throw schemaError(
        '#',
        `has ${patterns.length} patternProperties; at most ${MAX_PATTERNS} can be enforced.`,
      );
    }
    const isNamed = clauses.some(({ properties }) => properties.size > 0);
    const isOpen =
      clauses.some(({ additional }) => additional) || (!isNamed && patterns.length === 0);
    const taken = or(...[...named, ...forbidden].map(literal));
    const all = taken === EMPTY ? names : and(names, not(taken));
    const extras: Extra[] = [];
    for (let chosen = 0; chosen < 2 ** patterns.length; chosen++) {
      const has = (i: number): boolean => ((chosen >> i) & 1) === 1;
      if (chosen === 0 && (!isOpen || (isClosed && !clauses.some(({ additional }) => additional))))
        continue;
      const matching = and(all, ...patterns.map(({ regex }, i) => (has(i) ? regex : not(regex))));
      if (isEmpty(matching)) continue;
      const schemas = clauses.flatMap((clause) => {
        const own = clause.patterns.filter((pattern) => has(patterns.indexOf(pattern)));
        if (own.length > 0) return own.map(({ schema }) => schema);
        return clause.additional ? [clause.additional] : [];
      });
      extras.push({ names: matching, schemas });
    }
    return extras;
  }
}

interface Extra {
  readonly names: Regex;
  readonly schemas: readonly SchemaRef[];
}
