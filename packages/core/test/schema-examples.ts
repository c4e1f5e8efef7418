/** A schema, a text that follows it, and one that does not. */
export type Example = readonly [schema: unknown, follows: string, not: string];

const node = { type: 'object', additionalProperties: false };

/** Schemas whose every keyword is enforced. */
export const EXAMPLES: readonly Example[] = [
  [true, '{"a":[1,{"b":null}],"é\\u00e9":1.5e3}', 'tru'],
  [{}, '"\\ud7ff\\n"', "'a'"],
  [{ type: 'null' }, 'null', '0'],
  [{ type: 'boolean' }, 'false', 'no'],
  [{ type: ['string', 'null'] }, 'null', '1'],
  [{ type: 'string', minLength: 2, maxLength: 3 }, '"a😀é"', '"a"'],
  [{ type: 'string', maxLength: 5000 }, '"ab"', '1'],
  [{ type: 'string', pattern: 'a' }, '"bab"', '"b"'],
  [{ type: 'string', pattern: '^\\p{L}+$', minLength: 3 }, '"äbc"', '"äb"'],
  [{ type: 'string', minLength: 2, pattern: '^a*$' }, '"aa"', '"a"'],
  [{ type: 'string', pattern: '^[\\u{1f600}-\\u{1f64f}]$' }, '"😀"', '"\\n"'],
  [{ type: 'string', pattern: '^"\\\\$' }, '"\\"\\\\"', '"a"'],
  [{ type: 'string', format: 'date' }, '"2024-02-29"', '"2023-02-29"'],
  [{ type: 'string', format: 'time' }, '"10:20:30Z"', '"25:00:00Z"'],
  [{ type: 'string', format: 'date-time' }, '"2020-01-01T00:00:00.5+02:00"', '"2020-01-01"'],
  [{ type: 'string', format: 'duration' }, '"P3DT4H5S"', '"3D"'],
  [{ type: 'string', format: 'email' }, '"a.b@c.example"', '"a.b"'],
  [{ type: 'string', format: 'hostname' }, '"a-b.example"', '"-a"'],
  [{ type: 'string', format: 'ipv4' }, '"192.168.0.1"', '"256.1.1.1"'],
  [{ type: 'string', format: 'ipv6' }, '"2001:db8::1"', '"1.2.3.4"'],
  [{ type: 'string', format: 'uuid' }, '"123e4567-e89b-12d3-a456-426614174000"', '"123"'],
  [{ type: 'string', format: 'uri' }, '"https://a.example/b?c=d"', '"a b"'],
  [{ type: 'string', format: 'a format of its own' }, '"anything"', '5'],
  [{ type: 'number' }, '-1.5e3', '01'],
  [{ type: 'integer' }, '-12', '1.5'],
  [{ type: 'integer', minimum: 0, maximum: 150 }, '150', '151'],
  [{ type: 'integer', minimum: -9007199254740991, maximum: 9007199254740991 }, '-7', '1e3'],
  [{ type: 'integer', exclusiveMinimum: -5, exclusiveMaximum: -2 }, '-3', '-5'],
  [{ type: 'integer', multipleOf: 7 }, '-21', '20'],
  [{ type: 'integer', multipleOf: 5, minimum: 100 }, '105', '95'],
  [{ type: 'number', minimum: 0.5, maximum: 2 }, '1.5', '2.01'],
  [{ type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 }, '0.001', '0'],
  [{ type: 'number', minimum: -1.25, maximum: 99.99 }, '-1.2', '-1.3'],
  [{ type: 'number', minimum: 1e-7 }, '0.0000001', '0.00000009'],
  [{ const: 'x' }, '"x"', '"y"'],
  [{ const: 4.5 }, '4.5', '4'],
  [{ enum: [1, 'a', null, { a: [1], b: {} }, [], [true]] }, '{"a":[1],"b":{}}', '{"a":[2],"b":{}}'],
  [{ type: 'string', enum: ['a', 1, 'b'] }, '"b"', '1'],
  [{ enum: ['ab', 'b', 'abc'], minLength: 2 }, '"abc"', '"b"'],
  [{ type: 'array' }, '[1, "a", []]', '{}'],
  [{ type: 'array', items: { type: 'integer' }, minItems: 1, maxItems: 3 }, '[1, 2]', '[]'],
  [{ type: 'array', items: { type: 'boolean' }, maxItems: 0 }, '[]', '[true]'],
  [{ type: 'array', items: { type: 'null' }, minItems: 3 }, '[null,null,null,null]', '[null]'],
  [
    { type: 'array', prefixItems: [{ type: 'integer' }, { type: 'string' }], items: false },
    '[1]',
    '["a"]',
  ],
  [
    { type: 'array', prefixItems: [{ const: 1 }], items: { const: 2 }, minItems: 2 },
    '[1,2,2]',
    '[1]',
  ],
  [{ type: 'object' }, '{"a":1}', '[]'],
  [
    { ...node, properties: { a: { type: 'integer' }, b: { type: 'string' } }, required: ['b'] },
    '{"b": "x"}',
    '{"a": 1}',
  ],
  [
    { ...node, properties: { a: {}, 'b"\\é': {} }, required: ['a', 'b"\\é'] },
    '{"a":1,"b\\"\\\\é":2}',
    '{"a":1}',
  ],
  [{ properties: { a: false, b: true } }, '{"b":1}', '{"a":1}'],
  [{ type: 'object', additionalProperties: { type: 'integer' } }, '{"x":1,"y":2}', '{"x":"a"}'],
  [
    {
      type: 'object',
      properties: { a: { type: 'string' } },
      additionalProperties: { type: 'integer' },
    },
    '{"a":"","b":1}',
    '{"a":1}',
  ],
  [
    { ...node, patternProperties: { '^x': { type: 'integer' }, y$: { minimum: 5 } } },
    '{"xy":6}',
    '{"xy":4}',
  ],
  [{ type: 'object', propertyNames: { pattern: '^a' } }, '{"ab":1}', '{"b":1}'],
  [
    { type: 'object', propertyNames: { maxLength: 2 }, maxProperties: 2 },
    '{"a":1,"bb":2}',
    '{"ccc":1}',
  ],
  [
    { ...node, properties: { a: {}, b: {}, c: {} }, minProperties: 2, maxProperties: 2 },
    '{"a":1,"c":2}',
    '{"a":1}',
  ],
  [
    { type: 'object', required: ['a'], additionalProperties: { type: 'boolean' } },
    '{"a":true}',
    '{}',
  ],
  [
    { ...node, properties: { a: {}, b: {} }, dependentRequired: { a: ['b'] } },
    '{"a":1,"b":2}',
    '{"a":1}',
  ],
  [
    {
      anyOf: [
        { type: 'integer', minimum: 5 },
        { type: 'string', maxLength: 1 },
      ],
    },
    '7',
    '4',
  ],
  [{ oneOf: [{ type: 'integer' }, { type: 'string' }, { const: true }] }, 'true', 'false'],
  [
    {
      oneOf: [
        { properties: { t: { const: 'a' }, x: { type: 'integer' } }, required: ['t', 'x'] },
        { properties: { t: { const: 'b' } }, required: ['t'] },
      ],
      type: 'object',
    },
    '{"t":"a","x":1}',
    '{"t":"a"}',
  ],
  [
    {
      allOf: [
        { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] },
        { properties: { a: { minLength: 2 }, b: { type: 'integer' } }, required: ['b'] },
      ],
    },
    '{"a":"xy","b":1}',
    '{"a":"x","b":1}',
  ],
  [{ allOf: [{ minimum: 3 }, { type: 'integer' }, { maximum: 5 }, { multipleOf: 4 }] }, '4', '3'],
  [
    { allOf: [{ items: { type: 'integer' } }, { items: { minimum: 3 }, type: 'array' }] },
    '[3,4]',
    '[2]',
  ],
  [
    {
      allOf: [{ properties: { a: {} } }],
      properties: { b: {} },
      type: 'object',
      unevaluatedProperties: false,
    },
    '{"b":1,"a":2}',
    '{"c":1}',
  ],
  [{ not: { type: ['string', 'object'] } }, '[1]', '{}'],
  [{ type: 'string', not: { enum: ['a', 'b'] } }, '"ab"', '"a"'],
  [{ type: 'string', not: { pattern: '^x' } }, '"ax"', '"xa"'],
  [
    {
      $ref: '#/$defs/n',
      $defs: {
        n: {
          ...node,
          properties: { next: { anyOf: [{ $ref: '#/$defs/n' }, { type: 'null' }] } },
          required: ['next'],
        },
      },
    },
    '{"next":{"next":null}}',
    '{"next":1}',
  ],
  [
    {
      ...node,
      properties: { v: { type: 'integer' }, children: { type: 'array', items: { $ref: '#' } } },
      required: ['v'],
    },
    '{"v":1,"children":[{"v":2},{"v":3,"children":[]}]}',
    '{"v":1,"children":[{}]}',
  ],
  [{ definitions: { 'a/b~c': { const: 1 } }, $ref: '#/definitions/a~1b~0c' }, '1', '2'],
  [{ title: 'x', description: 'y', default: 1, examples: [2], 'x-own': {}, const: 3 }, '3', '1'],
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

/** Schemas that are refused, and why. */
export const REFUSALS: readonly (readonly [schema: unknown, message: RegExp])[] = [
  [{ properties: { a: { if: {} } } }, /#\/properties\/a has if/],
  [{ contains: {} }, /# has contains/],
  [{ type: 'array', uniqueItems: true }, /uniqueItems/],
  [{ type: 'number', multipleOf: 0.01 }, /multipleOf 0\.01/],
  [
    { oneOf: [{ type: 'integer' }, { minimum: 3 }] },
    /#\/oneOf\/1 may match a value together with #\/oneOf\/0/,
  ],
  [{ not: { minimum: 3 } }, /#\/not excludes numbers/],
  [{ not: { type: 'object', required: ['a'] } }, /#\/not excludes/],
  [{ pattern: '(?=a)' }, /# cannot be enforced\. The pattern .* lookahead/],
  [{ pattern: '(' }, /not valid/],
  [{ maxLength: 1e6 }, /maxLength 1000000; at most 100000/],
  [{ minLength: -1 }, /minLength -1/],
  [{ minimum: '5' }, /minimum "5"; it must be a number/],
  [
    { $ref: 'https://a.example/b' },
    /refers to "https:\/\/a\.example\/b", which is not a place in this schema/,
  ],
  [{ $ref: '#/$defs/x' }, /refers to "#\/\$defs\/x", which does not exist/],
  [{ $ref: '#' }, /refers to itself without an end/],
  [{ anyOf: [{ $ref: '#' }] }, /refers to itself without an end/],
  [{ type: 'text' }, /the type "text"/],
  [{ required: 'a' }, /required, which is not a list/],
  [{ properties: { a: 5 } }, /#\/properties\/a is neither an object nor a boolean/],
  [false, /# cannot be followed/],
  [{ allOf: [{ type: 'string' }, { type: 'number' }] }, /# cannot be followed/],
  [{ properties: { a: { $ref: '#' } }, required: ['a'], type: 'object' }, /# cannot be followed/],
  [
    { allOf: Array.from({ length: 9 }, (_, i) => ({ anyOf: [{ minimum: i }, { maximum: i }] })) },
    /alternatives; at most 256/,
  ],
];
