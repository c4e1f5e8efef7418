import { INTEGER, NUMBER } from './numbers.ts';
import { ALL, or, type Regex } from './regex.ts';
import { schemaError } from './schema-error.ts';
import {
  type Fields,
  limits,
  listAt,
  numberRegex,
  patternAt,
  stringRegex,
  typesOf,
} from './schema-keywords.ts';
import {
  type ArrayShape,
  intersect,
  isScalar,
  type ObjectShape,
  type PropertyClause,
  type Scalar,
  type ScalarShape,
  type SchemaRef,
  type Shape,
  scalarShape,
  without,
} from './schema-shapes.ts';

/** More alternatives than these in one schema are refused. */
const MAX_SHAPES = 256;

/** Keywords that restrict values in a way that is not enforced. */
const REFUSED = [
  'if',
  'contains',
  'dependentSchemas',
  'dependencies',
  '$dynamicRef',
  '$recursiveRef',
  'unevaluatedItems',
];

/** Reads the schemas of a document of JSON Schema, draft 2020-12. */
export class SchemaReader {
  readonly #root: unknown;
  readonly #refs = new Map<string, SchemaRef>();
  readonly #shapes = new Map<number, readonly Shape[]>();

  constructor(root: unknown) {
    this.#root = root;
  }

  /** The schema of the document. */
  get root(): SchemaRef {
    return this.#refAt('#', this.#root);
  }

  /** The values that all of several schemas allow. */
  shapesOfAll(refs: readonly SchemaRef[]): Shape[] {
    const [first, ...rest] = refs;
    if (!first) return anything();
    return rest.reduce(
      (shapes, ref) => product(ref.place, shapes, this.shapes(ref)),
      [...this.shapes(first)],
    );
  }

  /**
   * The values that a schema allows.
   *
   * @throws RangeError if it is not a schema, or has what cannot be enforced.
   */
  shapes(ref: SchemaRef, expanding: readonly number[] = []): readonly Shape[] {
    const found = this.#shapes.get(ref.id);
    if (found) return found;
    if (expanding.includes(ref.id))
      throw schemaError(ref.place, 'refers to itself without an end.');
    const shapes = this.#read(ref, [...expanding, ref.id]);
    this.#shapes.set(ref.id, shapes);
    return shapes;
  }

  #read(ref: SchemaRef, expanding: readonly number[]): Shape[] {
    const { place, schema } = ref;
    if (schema === true) return anything();
    if (schema === false) return [];
    if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
      throw schemaError(place, 'is neither an object nor a boolean.');
    }
    const fields = schema as Fields;
    for (const name of REFUSED) {
      if (fields[name] !== undefined)
        throw schemaError(place, `has ${name}, which cannot be enforced.`);
    }
    let shapes: Shape[] = typesOf(place, fields).flatMap((type) =>
      this.#shapesOfType(type, ref, fields),
    );
    const narrow = (others: readonly Shape[]): void => {
      shapes = product(place, shapes, others);
    };
    if (fields.enum !== undefined)
      narrow(this.#enumeration(`${place}/enum`, listAt(place, fields, 'enum')));
    if (fields.const !== undefined) narrow(this.#enumeration(`${place}/const`, [fields.const]));
    if (typeof fields.$ref === 'string')
      narrow(this.shapes(this.#resolve(place, fields.$ref), expanding));
    for (const part of this.#refsAt(ref, 'allOf')) narrow(this.shapes(part, expanding));
    const choices = this.#refsAt(ref, 'anyOf');
    if (choices.length > 0) narrow(choices.flatMap((part) => this.shapes(part, expanding)));
    const exclusive = this.#refsAt(ref, 'oneOf');
    if (exclusive.length > 0) shapes = this.#oneOf(shapes, exclusive, expanding);
    if (fields.not !== undefined)
      shapes = this.#without(shapes, this.#child(ref, 'not'), expanding);
    for (const [name, needed] of Object.entries((fields.dependentRequired ?? {}) as Fields)) {
      const required = new Set([name, ...(needed as string[])]);
      narrow([
        ...otherThan('object'),
        anyObject({ forbidden: new Set([name]) }),
        anyObject({ required }),
      ]);
    }
    if (fields.unevaluatedProperties === false) {
      shapes = shapes.map((shape) =>
        shape.type === 'object' ? { ...shape, isClosed: true } : shape,
      );
    } else if (
      fields.unevaluatedProperties !== undefined &&
      fields.unevaluatedProperties !== true
    ) {
      throw schemaError(place, 'has a schema as unevaluatedProperties, which cannot be enforced.');
    }
    return shapes;
  }

  #shapesOfType(type: string, ref: SchemaRef, fields: Fields): Shape[] {
    const { place } = ref;
    if (type === 'null') return [scalarShape(null)];
    if (type === 'boolean') return [scalarShape(true), scalarShape(false)];
    if (type === 'string') return scalar('string', stringRegex(place, fields));
    if (type === 'number') return scalar('number', numberRegex(place, fields, NUMBER));
    if (type === 'integer') return scalar('number', numberRegex(place, fields, INTEGER));
    return [type === 'object' ? this.#object(ref, fields) : this.#array(ref, fields)];
  }

  #object(ref: SchemaRef, fields: Fields): ObjectShape {
    const { place } = ref;
    const children = (name: string): [string, SchemaRef][] =>
      Object.keys((fields[name] ?? {}) as Fields).map((key) => [key, this.#child(ref, name, key)]);
    const patterns = children('patternProperties').map(([pattern, schema]) => ({
      regex: patternAt(`${place}/patternProperties`, pattern),
      schema,
    }));
    const additional =
      fields.additionalProperties === undefined
        ? undefined
        : this.#child(ref, 'additionalProperties');
    const clause: PropertyClause = {
      properties: new Map(children('properties')),
      patterns,
      additional,
    };
    const names =
      fields.propertyNames === undefined ? ALL : this.#strings(this.#child(ref, 'propertyNames'));
    const { min, max } = limits(place, fields, 'minProperties', 'maxProperties');
    const required = new Set(listAt(place, fields, 'required') as string[]);
    return anyObject({ clauses: [clause], required, names, min, max });
  }

  #array(ref: SchemaRef, fields: Fields): ArrayShape {
    const { place } = ref;
    const { min, max } = limits(place, fields, 'minItems', 'maxItems');
    if (fields.uniqueItems === true && max > 1) {
      throw schemaError(place, 'has uniqueItems, which cannot be enforced.');
    }
    // Before draft 2020-12, a list of items was the prefix, and additionalItems what followed it.
    const isOld = Array.isArray(fields.items);
    const rest = isOld ? 'additionalItems' : 'items';
    const items = fields[rest] === undefined ? undefined : this.#child(ref, rest);
    const prefix = this.#refsAt(ref, isOld ? 'items' : 'prefixItems');
    return { type: 'array', clauses: [{ prefix, items }], min, max };
  }

  /** The strings that a schema allows. */
  #strings(ref: SchemaRef): Regex {
    return or(
      ...this.shapes(ref).flatMap((shape) => (shape.type === 'string' ? [shape.regex] : [])),
    );
  }

  #enumeration(place: string, values: readonly unknown[]): Shape[] {
    return values.flatMap((value, i): Shape[] => {
      if (typeof value !== 'object' || value === null) return [scalarShape(value as Scalar)];
      return [...this.shapes(this.#refAt(`${place}/${i}`, exactly(value)))];
    });
  }

  /** Narrows shapes by alternatives of which a value must match one only: they must not overlap. */
  #oneOf(
    narrowed: readonly Shape[],
    parts: readonly SchemaRef[],
    expanding: readonly number[],
  ): Shape[] {
    const all = parts.map((part) => product(part.place, narrowed, this.shapes(part, expanding)));
    for (const [i, shapes] of all.entries()) {
      for (const [j, others] of all.slice(0, i).entries()) {
        if (shapes.some((a) => others.some((b) => this.#overlap(a, b)))) {
          throw schemaError(
            parts[i]!.place,
            `may match a value together with ${parts[j]!.place}, so that oneOf cannot be enforced. Use anyOf, or a ` +
              'required property with different constants.',
          );
        }
      }
    }
    return all.flat();
  }

  /** Whether a value may have both of two shapes. */
  #overlap(a: Shape, b: Shape): boolean {
    const both = intersect(a, b);
    if (both?.type !== 'object') return both !== undefined;
    for (const name of both.required) {
      const refs = both.clauses.flatMap(({ properties }) => properties.get(name) ?? []);
      const isScalarOnly = refs.length > 1 && refs.every((ref) => this.shapes(ref).every(isScalar));
      if (isScalarOnly && this.shapesOfAll(refs).length === 0) return false;
    }
    return true;
  }

  #without(shapes: readonly Shape[], ref: SchemaRef, expanding: readonly number[]): Shape[] {
    const removed = product(ref.place, shapes, this.shapes(ref, expanding));
    const isOfTypes = Object.keys((ref.schema ?? {}) as Fields).every((key) => key === 'type');
    const types = new Set<string>(removed.map(({ type }) => type));
    const left = shapes.filter((shape) => !isOfTypes || isScalar(shape) || !types.has(shape.type));
    const parts = removed.filter((shape) => !isOfTypes || isScalar(shape));
    // A number can be written in many ways: only all of them together can be left out.
    if (
      !parts.every(
        (shape) => isScalar(shape) && (shape.type !== 'number' || shape.regex === NUMBER),
      )
    ) {
      throw schemaError(
        ref.place,
        'excludes numbers, objects or arrays, which cannot be enforced.',
      );
    }
    return without(left, parts.filter(isScalar));
  }

  #resolve(place: string, target: string): SchemaRef {
    const path = target.startsWith('#') ? target.slice(1) : undefined;
    if (path !== '' && !path?.startsWith('/')) {
      throw schemaError(
        place,
        `refers to ${JSON.stringify(target)}, which is not a place in this schema.`,
      );
    }
    let schema = this.#root;
    for (const part of path.split('/').slice(1)) {
      const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
      const isThere = typeof schema === 'object' && schema !== null && Object.hasOwn(schema, key);
      if (!isThere)
        throw schemaError(place, `refers to ${JSON.stringify(target)}, which does not exist.`);
      schema = (schema as Fields)[key];
    }
    return this.#refAt(`#${path}`, schema);
  }

  #child(parent: SchemaRef, ...keys: readonly string[]): SchemaRef {
    const schema = keys.reduce((value, key) => (value as Fields)[key], parent.schema);
    const path = keys.map((key) => key.replaceAll('~', '~0').replaceAll('/', '~1')).join('/');
    return this.#refAt(`${parent.place}/${path}`, schema);
  }

  #refsAt(ref: SchemaRef, name: string): SchemaRef[] {
    return listAt(ref.place, ref.schema as Fields, name).map((_, i) =>
      this.#child(ref, name, `${i}`),
    );
  }

  #refAt(place: string, schema: unknown): SchemaRef {
    const found = this.#refs.get(place);
    if (found) return found;
    const ref = { id: this.#refs.size, place, schema };
    this.#refs.set(place, ref);
    return ref;
  }
}

/** All JSON values. */
function anything(): Shape[] {
  return [...otherThan('object'), anyObject({})];
}

function otherThan(type: 'object'): Shape[] {
  const scalars: Shape[] = [
    ...scalar('string', ALL),
    ...scalar('number', NUMBER),
    ...[null, true, false].map(scalarShape),
  ];
  const arrays: Shape = { type: 'array', clauses: [], min: 0, max: Infinity };
  return type === 'object' ? [...scalars, arrays] : [];
}

function anyObject(limits: Partial<ObjectShape>): ObjectShape {
  return {
    type: 'object',
    clauses: [],
    required: new Set(),
    forbidden: new Set(),
    names: ALL,
    min: 0,
    max: Infinity,
    isClosed: false,
    ...limits,
  };
}

/** A schema of one object or array. */
function exactly(value: object): unknown {
  const constants = (values: readonly unknown[]): unknown[] =>
    values.map((item) => ({ const: item }));
  if (Array.isArray(value)) {
    return { type: 'array', prefixItems: constants(value), items: false, minItems: value.length };
  }
  const entries = Object.entries(value);
  const properties = Object.fromEntries(entries.map(([key, item]) => [key, { const: item }]));
  return { type: 'object', properties, required: Object.keys(value), additionalProperties: false };
}

/** What a shape of each of two lists allows. */
function product(place: string, a: readonly Shape[], b: readonly Shape[]): Shape[] {
  const shapes = a.flatMap((left) => b.flatMap((right) => intersect(left, right) ?? []));
  if (shapes.length > MAX_SHAPES) {
    throw schemaError(
      place,
      `combines into ${shapes.length} alternatives; at most ${MAX_SHAPES} can be enforced.`,
    );
  }
  return shapes;
}

function scalar(type: ScalarShape['type'], regex: Regex): ScalarShape[] {
  return [{ type, regex }];
}
