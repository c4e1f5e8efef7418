/** Renders JSON Schemas as TypeScript types, in exactly the form that gpt-oss was trained on. */

type Schema = Readonly<Record<string, unknown>>;

/** How deep schemas may be nested. */
const MAX_DEPTH = 128;

/** The most schemas in one, each counted as often as a `$ref` names it. */
const MAX_SCHEMAS = 10_000;

/** Where a schema is. */
interface Place {
  readonly root: Schema;
  /** The references being resolved: a schema that contains itself becomes `any` at that point. */
  readonly references: readonly string[];
  readonly depth: number;
  /** The number of schemas resolved so far. */
  readonly count: { schemas: number };
}

/**
 * Renders a JSON Schema as a TypeScript type. Local `$ref`s are resolved; `anyOf` is treated as `oneOf`, and its `null`
 * branch as `nullable`. Anything that the format cannot express becomes `any`.
 *
 * @throws RangeError if it is nested more than 128 deep, or has more than 10,000 parts once references are resolved.
 */
export function renderSchemaType(schema: Schema): string {
  const place = { root: schema, references: [], depth: 0, count: { schemas: 0 } };
  return renderType(resolve(schema, place), '');
}

/** Renders text as comment lines, each ending in a line break. */
export function renderComment(text: string, indent = ''): string {
  return text
    .split(/\r?\n/)
    .map((line) => `${indent}// ${line}\n`)
    .join('');
}

function renderType(schema: Schema, indent: string): string {
  const { type, oneOf, items } = schema;
  if (Array.isArray(oneOf)) {
    return oneOf
      .filter(isSchema)
      .map((variant) => `\n${renderVariant(variant, indent, variant.description)}`)
      .join('');
  }
  if (Array.isArray(type)) {
    return type.map((name) => (name === 'integer' ? 'number' : String(name))).join(' | ');
  }
  switch (type) {
    case 'object':
      return renderObject(schema, indent);
    case 'string':
      return Array.isArray(schema.enum)
        ? schema.enum.map((value) => JSON.stringify(String(value))).join(' | ')
        : 'string';
    case 'number':
    case 'integer':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'array':
      return isSchema(items) ? `${renderType(items, indent)}[]` : 'Array<any>';
    default:
      return 'any';
  }
}

function renderObject(schema: Schema, indent: string): string {
  const properties = isSchema(schema.properties) ? schema.properties : {};
  const required = Array.isArray(schema.required) ? schema.required : [];
  let text =
    typeof schema.description === 'string' ? renderComment(schema.description, indent) : '';
  text += '{\n';
  for (const [key, property] of Object.entries(properties)) {
    const isOptional = !required.includes(key);
    text += renderProperty(key, isSchema(property) ? property : {}, isOptional, indent);
  }
  return `${text}${indent}}`;
}

function renderProperty(key: string, schema: Schema, isOptional: boolean, indent: string): string {
  const { title, description, examples, oneOf } = schema;
  const variants = Array.isArray(oneOf) ? oneOf.filter(isSchema) : undefined;
  let text = '';
  if (typeof title === 'string') text += `${renderComment(title, indent)}${indent}//\n`;
  const hasComment = typeof description === 'string' && description !== variants?.[0]?.description;
  if (hasComment) text += renderComment(description, indent);
  const strings = Array.isArray(examples)
    ? examples.filter((example) => typeof example === 'string')
    : [];
  if (strings.length > 0) {
    text += `${indent}// Examples:\n`;
    for (const example of strings) text += `${indent}// - ${JSON.stringify(example)}\n`;
  }
  const name = isOptional ? `${key}?` : key;

  if (variants) {
    if ('default' in schema) text += `${indent}// default: ${renderDefault(schema)}\n`;
    text += `${indent}${name}:\n`;
    variants.forEach((variant, index) => {
      const isRepeated = variant.description === description || (index === 0 && hasComment);
      text += `${renderVariant(variant, indent, isRepeated ? undefined : variant.description)}\n`;
    });
    return `${text}${indent},\n`;
  }
  const type = renderType(schema, `${indent}    `);
  const nullable = schema.nullable === true && !type.includes('null') ? ' | null' : '';
  const fallback = 'default' in schema ? ` // default: ${renderDefault(schema)}` : '';
  return `${text}${indent}${name}: ${type}${nullable},${fallback}\n`;
}

function renderVariant(variant: Schema, indent: string, description: unknown): string {
  const type = renderType(variant, `${indent}   `);
  const nullable = variant.nullable === true && !type.includes('null') ? ' | null' : '';
  const remarks: string[] = [];
  if (typeof description === 'string') remarks.push(description.replace(/\s*\r?\n\s*/g, ' '));
  if ('default' in variant) remarks.push(`default: ${renderDefault(variant)}`);
  const comment = remarks.length > 0 ? ` // ${remarks.join(' ')}` : '';
  return `${indent} | ${type}${nullable}${comment}`;
}

function renderDefault(schema: Schema): string {
  const value = schema.default;
  // The format writes the default of an enum without quotes.
  const isBare = typeof value === 'string' && Array.isArray(schema.enum) && !/[\r\n]/.test(value);
  return isBare ? value : (JSON.stringify(value) ?? 'undefined');
}

function resolve(value: unknown, place: Place): Schema {
  if (!isSchema(value)) return {};
  const { root, references, depth, count } = place;
  if (depth > MAX_DEPTH) {
    throw new RangeError(
      `The schema of a tool is nested more than ${MAX_DEPTH} deep, or contains itself; use $ref for a recursive schema.`,
    );
  }
  if (++count.schemas > MAX_SCHEMAS) {
    throw new RangeError(`The schema of a tool has more than ${MAX_SCHEMAS} parts.`);
  }
  const inside = { ...place, depth: depth + 1 };
  const { $ref: reference, ...schema } = value;
  if (typeof reference === 'string') {
    const target = references.includes(reference) ? undefined : lookUp(reference, root);
    return target === undefined
      ? schema
      : { ...resolve(target, { ...inside, references: [...references, reference] }), ...schema };
  }
  const resolveAll = (list: unknown): Schema[] =>
    Array.isArray(list) ? list.map((entry) => resolve(entry, inside)) : [];

  const resolved: Record<string, unknown> = { ...schema };
  if (isSchema(schema.properties)) {
    const properties = Object.entries(schema.properties);
    resolved.properties = Object.fromEntries(
      properties.map(([key, property]) => [key, resolve(property, inside)]),
    );
  }
  if (isSchema(schema.items)) resolved.items = resolve(schema.items, inside);
  if (Array.isArray(schema.oneOf)) resolved.oneOf = resolveAll(schema.oneOf);
  if (typeof schema.const === 'string' && schema.enum === undefined) {
    resolved.type = 'string';
    resolved.enum = [schema.const];
  }
  if (Array.isArray(schema.anyOf) && schema.oneOf === undefined) {
    const branches = resolveAll(schema.anyOf);
    const values = branches.filter((branch) => branch.type !== 'null');
    const nullable = values.length < branches.length ? { nullable: true } : {};
    const [only] = values;
    if (values.length === 1) return { ...only, ...resolved, ...nullable };
    if (values.length > 1) {
      const last = values.length - 1;
      resolved.oneOf = values.map((branch, index) =>
        index === last ? { ...branch, ...nullable } : branch,
      );
    }
  }
  return resolved;
}

// Follows references within the document only, such as `#/$defs/Place`.
function lookUp(reference: string, root: Schema): unknown {
  if (!reference.startsWith('#/')) return undefined;
  let target: unknown = root;
  for (const key of reference.slice(2).split('/')) {
    const name = key.replaceAll('~1', '/').replaceAll('~0', '~');
    if (!isSchema(target) || !Object.hasOwn(target, name)) return undefined;
    target = target[name];
  }
  return target;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
