// Which variants of kernels were chosen on a GPU, so that later loads need not time them again.
import { createStore, get, set, type UseStore } from 'idb-keyval';
import type { VariantChoice } from '../types/diagnosis.ts';

let database: UseStore | undefined;

/** A database of its own: idb-keyval's cannot get another table later. */
function choices(): UseStore {
  database ??= createStore('ossicle-variants', 'choices');
  return database;
}

/**
 * Reads the choices that were made before; `undefined` if there are none, or no database.
 *
 * @param key - What the choices depend on: the adapter, the browser, the kernels, the shape of the model.
 */
export async function readChoices(key: string): Promise<readonly VariantChoice[] | undefined> {
  if (globalThis.indexedDB === undefined) return undefined;
  const record: unknown = await get(key, choices()).catch(() => undefined);
  return Array.isArray(record) && [...record].every(isChoice) ? record : undefined; // a copy has no holes
}

/** Remembers choices, if the browser lets it: they only save time. */
export async function writeChoices(key: string, record: readonly VariantChoice[]): Promise<void> {
  if (globalThis.indexedDB === undefined) return;
  await set(key, record, choices()).catch(() => undefined);
}

function isChoice(value: unknown): value is VariantChoice {
  const { variant, choice, milliseconds } = (value ?? {}) as Partial<VariantChoice>;
  return (
    typeof variant === 'string' &&
    (choice === 'used' || choice === 'wrong' || choice === 'slower') &&
    (milliseconds === undefined ||
      (typeof milliseconds?.used === 'number' && typeof milliseconds.unused === 'number'))
  );
}
