import { describe, expect, test } from 'vitest';
import { renderSchemaType } from './schema-type.ts';

describe('a schema', () => {
  test.each([
    [{ type: 'string' }, 'string'],
    [{ type: 'number' }, 'number'],
    [{ type: 'integer' }, 'number'],
    [{ type: 'boolean' }, 'boolean'],
    [{ type: 'string', enum: ['a', 'b"c'] }, '"a" | "b"c"'],
    [{ type: ['integer', 'string', 'null'] }, 'number | string | null'],
    [{ type: 'array', items: { type: 'integer' } }, 'number[]'],
    [{ type: 'array' }, 'Array<any>'],
    [{ const: 'on' }, '"on"'],
    [{ type: 'object' }, '{\n}'],
    [{ type: 'null' }, 'any'],
    [{ enum: [] }, 'any'],
    [{}, 'any'],
    [{ type: 'object', description: 'Top.\nTwo.' }, '// Top.\nTwo.\n{\n}'],
    [
      {
        oneOf: [
          { type: 'string', description: 'Text.' },
          { type: 'number', nullable: true, default: 3 },
        ],
      },
      '\n | string // Text.\n | number | null // default: 3',
    ],
  ])('%j is %j', (schema, type) => {
    expect(renderSchemaType(schema)).toBe(type);
  });

  test('of an object lists its properties with everything known about them', () => {
    const schema = {
      type: 'object',
      properties: {
        city: {
          type: 'string',
          title: 'City',
          description: 'Where.\nIn full.',
          examples: ['Rome', 3],
        },
        days: { type: 'integer', default: 1 },
        unit: { type: 'string', enum: ['c', 'f'], default: 'c' },
        note: { type: 'string', nullable: true, default: 'none' },
        tags: { type: 'array', items: { type: 'string' }, default: ['a', 'b'] },
      },
      required: ['city'],
    };
    expect(renderSchemaType(schema)).toBe(
      '{\n// City\n//\n// Where.\nIn full.\n// Examples:\n// - "Rome"\ncity: string,\n' +
        'days?: number, // default: 1\nunit?: "c" | "f", // default: c\n' +
        'note?: string | null, // default: "none"\ntags?: string[], // default: ["a","b"]\n}',
    );
  });

  test('of nested objects is indented and repeats their descriptions', () => {
    const inner = { type: 'object', description: 'Inner.', properties: { x: { type: 'number' } } };
    expect(renderSchemaType({ type: 'object', properties: { inner }, required: ['inner'] })).toBe(
      '{\n// Inner.\ninner:     // Inner.\n{\n    x?: number,\n    },\n}',
    );
  });

  test('of alternatives puts each on its own line', () => {
    const properties = {
      id: {
        description: 'Which one.',
        default: 20,
        oneOf: [
          { type: 'string', description: 'Not shown.', default: 'x' },
          { type: 'number', description: 'By number.' },
          { type: 'boolean', description: 'Which one.' },
        ],
      },
    };
    expect(renderSchemaType({ type: 'object', properties })).toBe(
      '{\n// Which one.\n// default: 20\nid?:\n | string // default: "x"\n | number // By number.\n | boolean\n,\n}',
    );
  });

  test('of alternatives does not repeat the description of the first', () => {
    const properties = {
      id: { description: 'Same.', oneOf: [{ type: 'string', description: 'Same.' }] },
    };
    expect(renderSchemaType({ type: 'object', properties })).toBe('{\nid?:\n | string\n,\n}');
  });

  test('treats anyOf as oneOf, and as nullable if one branch is null', () => {
    const properties = {
      a: { anyOf: [{ type: 'string' }, { type: 'null' }], description: 'Maybe.' },
      b: { anyOf: [{ type: 'string' }, { type: 'number' }] },
    };
    expect(renderSchemaType({ type: 'object', properties })).toBe(
      '{\n// Maybe.\na?: string | null,\nb?:\n | string\n | number\n,\n}',
    );
  });

  test.each([
    [{ enum: ['a', 1, null] }, '"a" | 1 | null'],
    [{ const: 3 }, '3'],
    [{ type: 'string', const: 'on' }, '"on"'],
    [{ type: 'integer', const: 3 }, '3'],
    [{ type: ['string', 'null'], enum: ['a', null] }, '"a" | null'],
    [{ type: ['object', 'null'], properties: { a: {} } }, '{\na?: any,\n} | null'],
    [{ type: ['object', 'null'] }, 'object | null'],
    [{ type: ['array', 'null'], items: { type: 'string' } }, 'string[] | null'],
    [{ anyOf: [{ type: 'string' }] }, 'string'],
    [{ anyOf: [{ type: 'null' }] }, 'any'],
    [{ type: 'string', anyOf: [{ minLength: 1 }, { pattern: 'a' }] }, 'string'],
    [
      { type: 'array', items: { anyOf: [{ type: 'string' }, { type: 'null' }] } },
      '\n | string | null[]',
    ],
    [{ allOf: [{ type: 'string', enum: ['a'] }, { minLength: 1 }] }, '"a"'],
    [{ allOf: [] }, 'any'],
  ])('%j says more than its type: %j', (schema, type) => {
    expect(renderSchemaType(schema)).toBe(type);
  });

  test('of several schemas that all apply has the properties of all', () => {
    const schema = {
      type: 'object',
      allOf: [
        { $ref: '#/$defs/Base' },
        { properties: { b: { type: 'number' } }, required: ['b'], description: 'More.' },
      ],
      properties: { c: { type: 'boolean' } },
      required: ['c'],
      $defs: {
        Base: { properties: { a: { type: 'string' } }, required: ['a'], description: 'X.' },
      },
    };
    expect(renderSchemaType(schema)).toBe('// More.\n{\na: string,\nb: number,\nc: boolean,\n}');
  });

  test('has its local references resolved', () => {
    const schema = {
      type: 'object',
      properties: {
        at: { $ref: '#/$defs/Place', description: 'Where.' },
        by: { $ref: 'other.json' },
      },
      $defs: { Place: { type: 'string', enum: ['here'] } },
    };
    expect(renderSchemaType(schema)).toBe('{\n// Where.\nat?: "here",\nby?: any,\n}');
  });

  test('that contains itself becomes any at that point', () => {
    const schema = {
      type: 'object',
      properties: { next: { $ref: '#' }, list: { $ref: '#/properties/list' } },
    };
    expect(renderSchemaType(schema)).toContain('any');
  });

  test('may refer into arrays of schemas', () => {
    const a = { anyOf: [{ type: 'string' }, { type: 'boolean' }] };
    const schema = { type: 'object', properties: { a, b: { $ref: '#/properties/a/anyOf/1' } } };
    expect(renderSchemaType(schema)).toContain('b?: boolean,');
  });
});

describe('a schema without bounds is refused', () => {
  const nested = (depth: number): Record<string, unknown> => {
    let schema: Record<string, unknown> = { type: 'string' };
    for (let i = 0; i < depth; i++) schema = { type: 'array', items: schema };
    return schema;
  };
  const cyclic: Record<string, unknown> = { type: 'object' };
  cyclic.properties = { self: cyclic };
  const doubled = Array.from({ length: 40 }, (_, i) => {
    const next = { $ref: `#/$defs/${i + 1}` };
    return [i, { type: 'object', properties: { a: next, b: next } }];
  });
  const chained = Array.from({ length: 20_000 }, (_, i) => [i, { $ref: `#/$defs/${i + 1}` }]);

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['nested 20,000 deep', nested(20_000), /more than 128 deep/],
    ['an object that contains itself', cyclic, /more than 128 deep/],
    ['20,000 references', { $ref: '#/$defs/0', $defs: Object.fromEntries(chained) }, /128 deep/],
    [
      'references that double',
      { $ref: '#/$defs/0', $defs: Object.fromEntries(doubled) },
      /more than 10000 parts/,
    ],
  ])('%s', (_, schema, message) => {
    expect(() => renderSchemaType(schema)).toThrow(RangeError);
    expect(() => renderSchemaType(schema)).toThrow(message);
  });

  test('100 levels are rendered', () => {
    expect(renderSchemaType(nested(100))).toBe(`string${'[]'.repeat(100)}`);
  });
});
