import { expect, expectTypeOf, test } from 'vitest';
import { type StandardSchema, tool } from './tool.ts';

/** A schema as libraries make them: an object with a `city`, which is trimmed. */
const schema: StandardSchema<{ readonly city: string }> = {
  '~standard': {
    validate: (value) => {
      const { city } = value as { city?: unknown };
      return typeof city === 'string'
        ? { value: { city: city.trim() } }
        : { issues: [{ message: 'must be a string', path: ['city'] }, { message: 'too short' }] };
    },
    jsonSchema: {
      input: ({ target }) => ({ target, type: 'object', properties: { city: { type: 'string' } } }),
    },
  },
};

test('a tool with a schema gives the model its JSON Schema, and types what execute takes', () => {
  const weather = tool({
    name: 'weather',
    parameters: schema,
    execute: (input) => {
      expectTypeOf(input).toEqualTypeOf<{ readonly city: string }>();
      return input.city;
    },
  });
  expect(weather.parameters).toEqual({
    target: 'draft-2020-12',
    type: 'object',
    properties: { city: { type: 'string' } },
  });
  const options = { signal: new AbortController().signal, toolCallId: 'call' };
  expect(weather.execute?.({ city: 'Bern' }, options)).toBe('Bern');
});

test('its arguments are validated by the schema', async () => {
  const { validate } = tool({ name: 'weather', parameters: schema });
  expect(await validate?.({ city: ' Bern ' })).toEqual({ city: 'Bern' });
  await expect(validate?.({ city: 5 })).rejects.toThrow('city: must be a string; too short');
});

test('a schema that cannot be written as JSON Schema is refused', () => {
  const { validate } = schema['~standard'];
  const parameters: StandardSchema = { '~standard': { validate } };
  expect(() => tool({ name: 'weather', parameters })).toThrow(/weather.*Standard JSON Schema/);
});
