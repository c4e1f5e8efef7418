import { formatInvalid } from '../errors.ts';
import { type ByteSource, type ReadOptions, readAll } from '../sources/byte-source.ts';
import { displayName } from '../sources/display-name.ts';

/** A JSON object. */
export type Json = Record<string, unknown>;

/** Checks whether a parsed JSON value is an object. */
export function isJsonObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads a file that contains a JSON object; `undefined` if there is no such file.
 *
 * @throws {@link OssicleError} `format-invalid` if it contains anything else; the errors of {@link readAll}.
 */
export async function readJson(
  source: ByteSource,
  path: string,
  options?: ReadOptions,
): Promise<Json | undefined> {
  const bytes = await readAll(source, path, options);
  if (!bytes) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw formatInvalid(`${path} of ${displayName(source.id)} is not JSON.`, cause);
  }
  if (isJsonObject(value)) return value;
  throw formatInvalid(`${path} of ${displayName(source.id)} is not a JSON object.`);
}
