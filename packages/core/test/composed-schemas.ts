/** A schema, a text that follows it, and one that does not. */
export type Example = readonly [schema: unknown, follows: string, not: string];

/** An object without other properties. */
export const node = { type: 'object', additionalProperties: false };

/** Schemas of several keywords, all of which are enforced. */
export const COMPOSED: readonly Example[] = [
  // Unions, also of what looks alike
  [
    {
      anyOf: [
        { type: 'array', items: { type: 'integer' } },
        { type: 'array', items: { type: 'null' } },
      ],
    },
    '[null]',
    '[1,null]',
  ],
  [
    {
      anyOf: [
        {
          ...node,
          properties: {
            kind: { const: 'circle' },
            radius: { type: 'number', exclusiveMinimum: 0 },
          },
          required: ['kind', 'radius'],
        },
        {
          ...node,
          properties: {
            kind: { const: 'box' },
            sides: {
              type: 'array',
              items: { type: 'integer', minimum: 1 },
              minItems: 2,
              maxItems: 3,
            },
          },
          required: ['kind', 'sides'],
        },
      ],
    },
    '{"kind":"box","sides":[1,20]}',
    '{"kind":"circle","sides":[1,2]}',
  ],
  [
    { anyOf: [{ const: 'a' }, { const: 'ab' }, { type: 'string', pattern: '^b+$' }] },
    '"ab"',
    '"abb"',
  ],
  [{ type: ['integer', 'boolean', 'array'], maxItems: 1, maximum: 9 }, '[null]', '10'],
  [
    {
      oneOf: [
        { type: 'string', maxLength: 2 },
        { type: 'string', minLength: 3, pattern: '^x' },
      ],
    },
    '"xyz"',
    '"abc"',
  ],
  [
    {
      anyOf: [{ $ref: '#/$defs/even' }, { type: 'null' }],
      $defs: { even: { type: 'integer', multipleOf: 2 } },
    },
    '-4',
    '3',
  ],
  // Recursion, also of two schemas in each other
  [
    {
      $ref: '#/$defs/tree',
      $defs: {
        tree: {
          ...node,
          properties: { left: { $ref: '#/$defs/leaf' }, right: { $ref: '#/$defs/leaf' } },
          required: ['left', 'right'],
        },
        leaf: { anyOf: [{ type: 'integer' }, { $ref: '#/$defs/tree' }] },
      },
    },
    '{"left":1,"right":{"left":2,"right":3}}',
    '{"left":1}',
  ],
  [
    {
      $defs: {
        list: {
          type: 'array',
          items: { anyOf: [{ type: 'boolean' }, { $ref: '#/$defs/list' }] },
          maxItems: 3,
        },
      },
      $ref: '#/$defs/list',
    },
    '[[true],[[],false]]',
    '[[1]]',
  ],
  [
    {
      ...node,
      properties: {
        op: { enum: ['+', '-'] },
        args: { type: 'array', items: { $ref: '#/$defs/term' }, minItems: 2, maxItems: 2 },
      },
      required: ['op', 'args'],
      $defs: { term: { anyOf: [{ type: 'integer', minimum: 0, maximum: 99 }, { $ref: '#' }] } },
    },
    '{"op":"+","args":[1,{"op":"-","args":[2,3]}]}',
    '{"op":"+","args":[1]}',
  ],
  [{ type: 'object', additionalProperties: { $ref: '#' } }, '{"a":{"b":{}}}', '{"a":1}'],
  [
    { $ref: '#/properties/a', properties: { a: { type: 'string', maxLength: 3 } } },
    '"abc"',
    '"abcd"',
  ],
  // Nested objects and arrays
  [
    {
      ...node,
      properties: {
        user: {
          ...node,
          properties: {
            name: { type: 'string', minLength: 1 },
            tags: { type: 'array', items: { type: 'string', maxLength: 5 } },
          },
          required: ['name'],
        },
      },
      required: ['user'],
    },
    '{"user":{"name":"é","tags":["x"]}}',
    '{"user":{}}',
  ],
  [
    {
      type: 'array',
      items: {
        type: 'array',
        items: { type: 'array', items: { type: 'number' }, minItems: 1 },
        minItems: 1,
      },
      maxItems: 2,
    },
    '[[[1.5]]]',
    '[[[]]]',
  ],
  [
    {
      type: 'array',
      prefixItems: [
        { type: 'string' },
        { ...node, properties: { n: { type: 'null' } } },
        { enum: [1, 2] },
      ],
      items: { type: 'boolean' },
    },
    '["a",{"n":null},2,true]',
    '["a",{"n":null},3]',
  ],
  [
    {
      type: 'object',
      patternProperties: { '^\\d+$': { type: 'array', items: { const: 0 } } },
      additionalProperties: false,
      maxProperties: 2,
    },
    '{"12":[0,0]}',
    '{"a":[]}',
  ],
  [
    {
      allOf: [
        { $ref: '#/$defs/named' },
        { type: 'object', properties: { age: { type: 'integer', minimum: 0 } } },
      ],
      $defs: {
        named: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
      },
    },
    '{"name":"a","age":3}',
    '{"age":3}',
  ],
  [
    {
      ...node,
      properties: { a: { type: 'integer' }, b: { type: 'integer' }, c: { type: 'integer' } },
      dependentRequired: { a: ['c'], b: ['c'] },
      minProperties: 1,
    },
    '{"c":1}',
    '{"b":1}',
  ],
  [
    {
      type: 'object',
      properties: { '': { type: 'boolean' }, __proto__x: { type: 'null' } },
      required: [''],
      additionalProperties: false,
    },
    '{"":true}',
    '{"__proto__x":null}',
  ],
  // Numbers
  [{ type: 'number', minimum: -0.5, maximum: 0.5 }, '-0.25', '0.75'],
  [{ type: 'number', exclusiveMinimum: 99.5 }, '99.51', '99.5'],
  [{ type: 'integer', minimum: 1000, maximum: 1e6 }, '1000000', '999'],
  [{ type: 'integer', multipleOf: 12, exclusiveMaximum: 0 }, '-24', '12'],
  [{ allOf: [{ type: 'integer', multipleOf: 4 }, { multipleOf: 6 }] }, '12', '8'],
  [{ enum: [0, -1, 1.5, 1e21, 1e-7] }, '1.5', '2'],
  // Patterns and Unicode
  [
    { type: 'string', pattern: '^(?:[A-Z]{2}\\d{2}(?: \\d{4}){1,3})$' },
    '"DE12 3456 7890"',
    '"DE12"',
  ],
  [{ type: 'string', pattern: '^#[0-9a-fA-F]{6}$' }, '"#00aaFF"', '"#0aF"'],
  [{ type: 'string', pattern: '^[^\\s,]+(,[^\\s,]+)*$', maxLength: 20 }, '"a,é,😀"', '"a,,b"'],
  [{ type: 'string', pattern: '^\\p{Script=Cyrillic}{2,8}$' }, '"Привет"', '"Hallo"'],
  [{ type: 'string', pattern: '^[\\u3040-\\u309f]+$', maxLength: 6 }, '"ねこ"', '"ネコ"'],
  [{ type: 'string', pattern: 'q$', maxLength: 4, not: { pattern: 'z' } }, '"abq"', '"zq"'],
  [{ type: 'string', pattern: '^\\t\\u0000?\\n$' }, '"\\t\\n"', '"tn"'],
  [{ type: 'string', format: 'date', pattern: '^20' }, '"2024-01-31"', '"1999-01-31"'],
  [
    {
      ...node,
      properties: { 名前: { type: 'string', maxLength: 4 }, 'a b': { const: 'ü' } },
      required: ['名前', 'a b'],
    },
    '{"名前":"花","a b":"ü"}',
    '{"名前":"花"}',
  ],
  [{ enum: ['👩‍🚀', 'ﬀ', '\u2028', '\u0000'] }, '"👩‍🚀"', '"👩"'],
];
