/** Reduces JSON Schemas to the keywords that the prompt's TypeScript can express. */

/** A JSON Schema that is an object. */
export type Schema = Readonly<Record<string, unknown>>;

/** The most schemas in one, each counted as often as a `$ref` names it. More do not fit into 131,072 tokens. */
const MAX_PARTS = 10_000;

/** How deep schemas may be nested: deeper than a model can follow, and far from the end of the stack. */
const MAX_DEPTH = 128;

/**
 * Replaces the keywords that the format lacks by those that it has:
 *
 * - a local `$ref` by its target; within its own target it becomes `{}`, which is any value;
 * - `allOf` by one schema that has the keywords of all, the earlier ones first;
 * - `anyOf` without a `type` by `oneOf`, and its `null` branch by `nullable`;
 * - `const` by an `enum` of one value.
 *
 * The result is a finite tree.
 *
 * @param place - Names the schema at the beginning of errors.
 * @throws RangeError if it is nested more than 128 deep, or has more than 10,000 parts once references are resolved.
 */
export function resolveSchema(schema: Schema, place: string): Schema {
  return new Resolver(schema, place).resolve(schema, [], 0);
}

/** Whether a value is a schema with keywords: neither `true` nor `false`. */
export function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

class Resolver {
  readonly #root: Schema;
  readonly #place: string;
  #partCount = 0;

  constructor(root: Schema, place: string) {
    this.#root = root;
    this.#place = place;
  }

  // `seen` holds the references that are being resolved.
  resolve(value: unknown, seen: readonly string[], depth: number): Schema {
    if (!isSchema(value)) return {};
    if (depth > MAX_DEPTH) {
      throw new RangeError(
        `${this.#place} is nested more than ${MAX_DEPTH} deep, or contains itself; use $ref for a recursive schema.`,
      );
    }
    this.#partCount += 1;
    if (this.#partCount > MAX_PARTS) {
      throw new RangeError(`${this.#place} has more than ${MAX_PARTS} parts.`);
    }
    const { $ref: reference, allOf, anyOf, const: constant, ...own } = value;
    const inner = (entry: unknown): Schema => this.resolve(entry, seen, depth + 1);

    let schema: Schema = this.#resolveChildren(own, inner);
    if (typeof reference === 'string' && !seen.includes(reference)) {
      const target = this.#lookUp(reference);
      schema = merge(this.resolve(target, [...seen, reference], depth + 1), schema);
    }
    if (Array.isArray(allOf)) schema = merge([...allOf].map(inner).reduce(merge, {}), schema);
    if (constant !== undefined && schema.enum === undefined) {
      const { type: _, ...rest } = schema;
      schema = { ...rest, enum: [constant] };
    }
    const isTyped = schema.type !== undefined || Array.isArray(schema.oneOf);
    return Array.isArray(anyOf) && !isTyped ? unite([...anyOf].map(inner), schema) : schema;
  }

  #resolveChildren(schema: Schema, inner: (entry: unknown) => Schema): Schema {
    const resolved: Record<string, unknown> = { ...schema };
    if (isSchema(schema.properties)) {
      resolved.properties = Object.fromEntries(
        Object.entries(schema.properties).map(([key, property]) => [key, inner(property)]),
      );
    }
    if (schema.items !== undefined) {
      const items = inner(schema.items);
      // The format has no `nullable` for items, but for alternatives.
      const isNullable = items.nullable === true && 'anyOf' in Object(schema.items);
      resolved.items = isNullable ? { oneOf: [items] } : items;
    }
    if (Array.isArray(schema.oneOf)) resolved.oneOf = [...schema.oneOf].map(inner);
    return resolved;
  }

  // Follows references within the document only, such as `#/$defs/Place`.
  #lookUp(reference: string): unknown {
    if (!reference.startsWith('#/')) return undefined;
    let target: unknown = this.#root;
    for (const key of reference.slice(2).split('/')) {
      const name = key.replaceAll('~1', '/').replaceAll('~0', '~');
      if (typeof target !== 'object' || target === null || !Object.hasOwn(target, name)) {
        return undefined;
      }
      target = (target as Schema)[name];
    }
    return target;
  }
}

// A value must match both schemas. Where both have a keyword that cannot be merged, that of `b` counts.
function merge(a: Schema, b: Schema): Schema {
  const schema: Record<string, unknown> = { ...a, ...b };
  if (isSchema(a.properties) && isSchema(b.properties)) {
    schema.properties = { ...a.properties, ...b.properties };
  }
  if (Array.isArray(a.required) && Array.isArray(b.required)) {
    schema.required = [...a.required, ...b.required];
  }
  return schema;
}

// A value must match `schema` and one of the branches.
function unite(branches: readonly Schema[], schema: Schema): Schema {
  const values = branches.filter(({ type }) => type !== 'null');
  const nullable = values.length < branches.length ? { nullable: true } : {};
  const [only] = values;
  if (only === undefined) return schema;
  if (values.length === 1) return { ...merge(only, schema), ...nullable };
  const last = values.length - 1;
  const oneOf = values.map((branch, index) =>
    index === last ? { ...branch, ...nullable } : branch,
  );
  return { ...schema, oneOf };
}
