import { and, EMPTY, literal, not, or, type Regex } from './regex.ts';
import { isEmpty } from './regex-automaton.ts';

/** A schema of a document, with its place. Each schema of a document has one reference. */
export interface SchemaRef {
  readonly id: number;
  /** Its place as a JSON pointer, such as `#/properties/city`. */
  readonly place: string;
  readonly schema: unknown;
}

/** A JSON value without parts. */
export type Scalar = string | number | boolean | null;

/** The values of one type that a schema allows; those of a schema are the union of its shapes. */
export type Shape = ScalarShape | ObjectShape | ArrayShape;

/** Strings, or the JSON texts of numbers, that an expression matches; or the literals `null`, `true` and `false`. */
export interface ScalarShape {
  readonly type: 'string' | 'number' | 'literal';
  readonly regex: Regex;
}

/** What one schema says about the properties of an object. */
export interface PropertyClause {
  readonly properties: ReadonlyMap<string, SchemaRef>;
  readonly patterns: readonly { readonly regex: Regex; readonly schema: SchemaRef }[];
  /** The schema of other properties, if it is given. */
  readonly additional: SchemaRef | undefined;
}

/** Objects that obey all of several clauses. */
export interface ObjectShape {
  readonly type: 'object';
  readonly clauses: readonly PropertyClause[];
  readonly required: ReadonlySet<string>;
  readonly forbidden: ReadonlySet<string>;
  /** What the names of properties match. */
  readonly names: Regex;
  readonly min: number;
  readonly max: number;
  /** Whether properties that no clause names are forbidden. */
  readonly isClosed: boolean;
}

/** Arrays that obey all of several clauses. */
export interface ArrayShape {
  readonly type: 'array';
  readonly clauses: readonly {
    readonly prefix: readonly SchemaRef[];
    /** The schema of items after the prefix, if it is given. */
    readonly items: SchemaRef | undefined;
  }[];
  readonly min: number;
  readonly max: number;
}

/** What both of two shapes allow; `undefined` if that is nothing. */
export function intersect(a: Shape, b: Shape): Shape | undefined {
  if (a.type === 'object' && b.type === 'object') {
    return {
      type: 'object',
      clauses: [...a.clauses, ...b.clauses],
      required: new Set([...a.required, ...b.required]),
      forbidden: new Set([...a.forbidden, ...b.forbidden]),
      names: and(a.names, b.names),
      min: Math.max(a.min, b.min),
      max: Math.min(a.max, b.max),
      isClosed: a.isClosed || b.isClosed,
    };
  }
  if (a.type === 'array' && b.type === 'array') {
    const [min, max] = [Math.max(a.min, b.min), Math.min(a.max, b.max)];
    return { type: 'array', clauses: [...a.clauses, ...b.clauses], min, max };
  }
  if (a.type !== b.type || !isScalar(a) || !isScalar(b)) return undefined;
  const regex = and(a.regex, b.regex);
  return isEmpty(regex) ? undefined : { type: a.type, regex };
}

/** Whether a shape is of values without parts. */
export function isScalar(shape: Shape): shape is ScalarShape {
  return shape.type !== 'object' && shape.type !== 'array';
}

/** The shape of one value without parts. */
export function scalarShape(value: Scalar): ScalarShape {
  if (typeof value === 'string') return { type: 'string', regex: literal(value) };
  const regex = literal(JSON.stringify(value));
  return { type: typeof value === 'number' ? 'number' : 'literal', regex };
}

/** Removes values without parts from shapes. */
export function without(shapes: readonly Shape[], removed: readonly ScalarShape[]): Shape[] {
  return shapes.flatMap((shape): Shape[] => {
    if (!isScalar(shape)) return [shape];
    const taken = or(
      ...removed.filter(({ type }) => type === shape.type).map(({ regex }) => regex),
    );
    const regex = taken === EMPTY ? shape.regex : and(shape.regex, not(taken));
    return isEmpty(regex) ? [] : [{ type: shape.type, regex }];
  });
}
