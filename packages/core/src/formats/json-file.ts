import { OssicleError } from '../errors.ts';
import type { ByteSource } from '../sources/byte-source.ts';

/** The fields of a JSON object. */
export type Json = Record<string, unknown>;

/**
 * Reads a file that holds a JSON object; `undefined` where there is no such file.
 *
 * @throws {@link OssicleError} `format-invalid` where it holds something else; those of {@link ByteSource.readAll}.
 */
export async function readJson(
  source: ByteSource,
  path: string,
  signal: AbortSignal | undefined,
  maxBytes?: number,
): Promise<Json | undefined> {
  const bytes = await source.readAll(path, signal, maxBytes);
  if (!bytes) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new OssicleError('format-invalid', `${path} of ${source.id} is not JSON.`, { cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw new OssicleError('format-invalid', `${path} of ${source.id} is not a JSON object.`);
}
