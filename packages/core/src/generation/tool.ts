import type { ToolDefinition } from '@ossicle/harmony';
import type { JSONSchema } from '../types/generate.ts';

/** A schema of a library that follows Standard JSON Schema (standardschema.dev), such as Zod 4.2 or ArkType. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly jsonSchema?: {
      readonly input: (options: { readonly target: 'draft-2020-12' }) => JSONSchema;
    };
  };
}

/** What a schema says of a value. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** What is wrong with a value. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A tool whose `execute` takes what its schema describes. */
export interface TypedTool<Input> extends Omit<ToolDefinition, 'parameters' | 'execute'> {
  readonly parameters: StandardSchema<Input>;
  readonly execute?: (
    input: Input,
    options: { readonly signal: AbortSignal; readonly toolCallId: string },
  ) => unknown;
}

/**
 * Defines a tool by a schema of Zod, ArkType, …: the model is given its JSON Schema, `execute` gets arguments that it has
 * validated, typed as it says.
 *
 * @throws TypeError if the library cannot write the schema as JSON Schema.
 */
export function tool<Input>({ parameters, execute, ...rest }: TypedTool<Input>): ToolDefinition {
  const { jsonSchema, validate } = parameters['~standard'];
  if (!jsonSchema) {
    throw new TypeError(
      `The schema of the tool ${rest.name} cannot be written as JSON Schema. Use a library that follows Standard JSON ` +
        'Schema, such as Zod 4.2, or give the JSON Schema itself, without tool().',
    );
  }
  return {
    ...rest,
    parameters: jsonSchema.input({ target: 'draft-2020-12' }),
    validate: async (input) => {
      const result = await validate(input);
      if (result.issues) throw new TypeError(result.issues.map(describe).join('; '));
      return result.value;
    },
    ...(execute && { execute: execute as ToolDefinition['execute'] & object }),
  };
}

function describe({ message, path = [] }: SchemaIssue): string {
  const keys = path.map((part) => String(typeof part === 'object' ? part.key : part));
  return keys.length > 0 ? `${keys.join('.')}: ${message}` : message;
}
