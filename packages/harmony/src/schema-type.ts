/** Renders JSON Schemas as TypeScript types, in exactly the form that gpt-oss was trained on. */

import { isSchema, resolveSchema, type Schema } from './schema-resolver.ts';

/**
 * Renders a JSON Schema as a TypeScript type.
 *
 * The keywords that OpenAI's renderer knows are rendered to the same bytes, descriptions and values unescaped and with
 * their line breaks. It says `any` or a bare type name for the others; here local `$ref`s are resolved, `allOf` is
 * merged, `anyOf` is treated as `oneOf`, `const` as an `enum` of one value, an `enum` without a single `type` lists its
 * values, and a list of types says what an object or an array contains.
 *
 * @param place - Names the schema at the beginning of errors. Default: `The schema`.
 * @throws RangeError if it is nested more than 128 deep, or has more than 10,000 parts once references are resolved.
 */
export function renderSchemaType(schema: Schema, place = 'The schema'): string {
  return renderType(resolveSchema(schema, place), '');
}

/** Renders text as comment lines, each ending in a line break. A line break at the end of the text adds no line. */
export function renderComment(text: string): string {
  return splitLines(text)
    .map((line) => `// ${line}\n`)
    .join('');
}

/** Splits text at its line breaks. One at the end does not begin another line. */
export function splitLines(text: string): string[] {
  const lines = text.split(/\r?\n/);
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

function renderType(schema: Schema, indent: string): string {
  const { type, oneOf } = schema;
  if (Array.isArray(oneOf)) {
    return oneOf
      .map((variant: Schema) => `\n${renderVariant(variant, indent, variant.description, true)}`)
      .join('');
  }
  const names = Array.isArray(type) ? type.filter((name) => typeof name === 'string') : [];
  if (typeof type !== 'string' && isEnum(schema)) {
    return schema.enum.map((value) => quote(value)).join(' | ');
  }
  if (names.length > 0) return names.map((name) => renderListed(schema, name, indent)).join(' | ');
  switch (type) {
    case 'object':
      return renderObject(schema, indent);
    case 'string': {
      const values = isEnum(schema) ? schema.enum.filter((value) => typeof value === 'string') : [];
      return values.length > 0 ? values.map(quote).join(' | ') : 'string';
    }
    case 'number':
    case 'integer':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'array':
      return isSchema(schema.items) ? `${renderType(schema.items, indent)}[]` : 'Array<any>';
    default:
      return 'any';
  }
}

// A type in a list of types. The names alone do not say what an object or an array contains.
function renderListed(schema: Schema, name: string, indent: string): string {
  if (name === 'integer') return 'number';
  const hasContent =
    (name === 'object' && isSchema(schema.properties)) || (name === 'array' && 'items' in schema);
  return hasContent ? renderType({ ...schema, type: name }, indent) : name;
}

function renderObject(schema: Schema, indent: string): string {
  const properties = isSchema(schema.properties) ? schema.properties : {};
  const required = Array.isArray(schema.required) ? schema.required : [];
  const { description } = schema;
  let text = typeof description === 'string' ? `${indent}// ${description}\n{\n` : '{\n';
  for (const [key, property] of Object.entries(properties)) {
    text += renderProperty(key, property as Schema, !required.includes(key), indent);
  }
  return `${text}${indent}}`;
}

function renderProperty(key: string, schema: Schema, isOptional: boolean, indent: string): string {
  const { title, description, examples, oneOf } = schema;
  const variants: readonly Schema[] | undefined = Array.isArray(oneOf) ? oneOf : undefined;
  const comment = typeof description === 'string' ? `${indent}// ${description}\n` : '';
  let text = typeof title === 'string' ? `${indent}// ${title}\n${indent}//\n` : '';
  if (!('oneOf' in schema)) text += comment;
  if (Array.isArray(examples) && examples.length > 0) {
    text += `${indent}// Examples:\n`;
    for (const example of examples) {
      if (typeof example === 'string') text += `${indent}// - ${quote(example)}\n`;
    }
  }
  const name = isOptional ? `${key}?` : key;
  const fallback = 'default' in schema ? `// default: ${renderDefault(schema)}` : '';

  if (variants) {
    const hasComment = comment !== '' && description !== variants[0]?.description;
    if (hasComment) text += comment;
    if (fallback !== '') text += `${indent}${fallback}\n`;
    text += `${indent}${name}:\n`;
    variants.forEach((variant, index) => {
      const isRepeated = variant.description === description || (index === 0 && hasComment);
      text += `${renderVariant(variant, indent, isRepeated ? undefined : variant.description)}\n`;
    });
    return `${text}${indent},\n`;
  }
  const type = renderType(schema, `${indent}    `);
  const remark = fallback === '' || 'oneOf' in schema ? '' : ` ${fallback}`;
  return `${text}${indent}${name}: ${type}${nullSuffix(schema, type)},${remark}\n`;
}

function renderVariant(
  variant: Schema,
  indent: string,
  description: unknown,
  isQuoted = false,
): string {
  const type = renderType(variant, `${indent}   `);
  const remarks: string[] = [];
  if (typeof description === 'string') remarks.push(description);
  if ('default' in variant) remarks.push(`default: ${renderDefault(variant, isQuoted)}`);
  const comment = remarks.length > 0 ? ` // ${remarks.join(' ')}` : '';
  return `${indent} | ${type}${nullSuffix(variant, type)}${comment}`;
}

function nullSuffix(schema: Schema, type: string): string {
  return schema.nullable === true && !type.includes('null') ? ' | null' : '';
}

// The format writes the default of an enum without quotes, except among alternatives that are not a property's.
function renderDefault(schema: Schema, isQuoted = false): string {
  const value = schema.default;
  if (typeof value === 'string' && isEnum(schema)) {
    return isQuoted ? (JSON.stringify(value) as string) : value;
  }
  return quote(value);
}

// The format does not escape strings, except inside other values. It writes numbers as Rust does: 0.000001 is 1e-6.
function quote(value: unknown): string {
  if (typeof value === 'string') return `"${value}"`;
  const json = JSON.stringify(value) ?? 'undefined';
  return json.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.e+-]*/g, (token) => {
    const size = Math.abs(Number(token));
    const isSmall = size > 0 && size < 1e-5;
    return isSmall || size >= 1e16 ? Number(token).toExponential().replace('+', '') : token;
  });
}

function isEnum(schema: Schema): schema is { readonly enum: readonly unknown[] } {
  return Array.isArray(schema.enum) && schema.enum.length > 0;
}
