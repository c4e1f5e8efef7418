// Global setup of the full-size tests: the reference's logits, kept in the user's cache folder because they take half a
// minute to compute.
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { PRESETS } from './config.ts';
import { createReference } from './reference.ts';
import { createSyntheticValues } from './synthetic-values.ts';

/** One of this many logits is kept. */
const STRIDE = 61;

/** Logits of a synthetic checkpoint with two layers of 20b, 8-bit dense weights and a float16 cache. */
export interface LargeReference {
  /** The prompt. */
  readonly tokens: readonly number[];
  /** The distance between the ids of {@link LargeReference.rows}. */
  readonly stride: number;
  /** For each token, the logits after it for the ids 0, stride, 2 stride... */
  readonly rows: readonly (readonly number[])[];
  /** For each token, the likeliest id after it. */
  readonly likeliest: readonly number[];
}

declare module 'vitest' {
  interface ProvidedContext {
    /** See {@link LargeReference}. */
    largeReference: LargeReference;
  }
}

export default async function setup(project: TestProject): Promise<void> {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const folder = join(cache, 'ossicle', 'reference');
  const file = join(folder, `${await hashOfSources()}.json`);
  let reference = await readFile(file, 'utf8').then(JSON.parse, () => undefined);
  if (!reference) {
    reference = await evaluate();
    await mkdir(folder, { recursive: true });
    await writeFile(`${file}.partial`, JSON.stringify(reference));
    await rename(`${file}.partial`, file);
  }
  project.provide('largeReference', reference);
}

async function evaluate(): Promise<LargeReference> {
  const config = PRESETS['20b-2layers'];
  const reference = createReference(createSyntheticValues(config), config, {
    dense: 'int8',
    kvCache: 'f16',
  });
  const tokens = [200006, 17360, 0, 201087, 9906, 31337];
  const { logits } = await reference.forward(tokens);
  const rows = tokens.map((_, i) =>
    logits.subarray(i * config.vocabulary, (i + 1) * config.vocabulary),
  );
  return {
    tokens,
    stride: STRIDE,
    rows: rows.map((row) => [...row.filter((_, id) => id % STRIDE === 0)]),
    likeliest: rows.map((row) => row.indexOf(row.reduce((a, b) => Math.max(a, b)))),
  };
}

/** The sources that the reference depends on: a change to any of them invalidates the cached one. */
const SOURCES = [
  'config',
  'large-reference',
  'number-formats',
  'oracles',
  'random',
  'reference',
  'reference-weights',
  'safetensors-file',
  'synthetic-values',
  'tensor-reader',
  'tensor-table',
];

async function hashOfSources(): Promise<string> {
  const folder = fileURLToPath(new URL('.', import.meta.url));
  const hash = createHash('sha256');
  for (const name of SOURCES) hash.update(await readFile(join(folder, `${name}.ts`)));
  return hash.digest('hex').slice(0, 16);
}
