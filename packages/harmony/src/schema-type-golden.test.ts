import { describe, expect, test } from 'vitest';
import { readSchemaGoldens } from '../test/golden.ts';
import { renderSchemaType } from './schema-type.ts';

describe("OpenAI's renderer", () => {
  test.each(readSchemaGoldens())('renders schema %# to the same bytes', ({ schema, type }) => {
    expect(renderSchemaType(schema)).toBe(type);
  });
});
