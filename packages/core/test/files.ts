import { inject } from 'vitest';

/**
 * Returns the URL of a file of the repository, in Node and in Chrome. The server answers ranges with 206 and missing
 * files with 404, and allows every origin.
 *
 * @param path - Relative to the root of the repository, such as `packages/core/test/golden/mxfp4.json`.
 */
export function testFileUrl(path: string): string {
  return `${inject('fileServer')}/${path}`;
}

/**
 * Reads a file of the repository.
 *
 * @param path - Relative to the root of the repository.
 * @throws Error if there is no such file.
 */
export async function readTestFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(testFileUrl(path));
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

/**
 * Reads and parses a JSON file of the repository.
 *
 * @param path - Relative to the root of the repository.
 * @throws Error if there is no such file.
 */
export async function readTestJson<T>(path: string): Promise<T> {
  return JSON.parse(new TextDecoder().decode(await readTestFile(path)));
}
