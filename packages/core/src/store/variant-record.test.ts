import fc from 'fast-check';
import { beforeEach, expect, test, vi } from 'vitest';
import { changed, clonedValue, fuzz } from '../../test/fuzz.ts';
import { readChoices, writeChoices } from './variant-record.ts';

const database = vi.hoisted(() => ({ records: new Map<string, unknown>(), isBroken: false }));
vi.mock('idb-keyval', () => {
  const access = async <T>(work: () => T): Promise<T> => {
    if (database.isBroken) throw new DOMException('no database', 'UnknownError');
    return work();
  };
  return {
    createStore: () => undefined,
    get: (key: string) => access(() => database.records.get(key)),
    set: (key: string, value: unknown) => access(() => void database.records.set(key, value)),
  };
});

const CHOICES = [
  { variant: 'lib/tile_same', choice: 'used' },
  { variant: 'linear_f16', choice: 'slower', milliseconds: { used: 2, unused: 1.5 } },
] as const;

beforeEach(() => {
  vi.stubGlobal('indexedDB', {});
  database.isBroken = false;
  database.records.clear();
});

test('choices are read as they were written, by their key', async () => {
  await writeChoices('one GPU', CHOICES);
  expect(await readChoices('one GPU')).toEqual(CHOICES);
  expect(await readChoices('another')).toBeUndefined();
});

test('without a database, or with a broken one, there are no choices', async () => {
  await writeChoices('one GPU', CHOICES);
  database.isBroken = true;
  await writeChoices('one GPU', []);
  expect(await readChoices('one GPU')).toBeUndefined();
  database.isBroken = false;
  vi.stubGlobal('indexedDB', undefined);
  await writeChoices('one GPU', []);
  expect(await readChoices('one GPU')).toBeUndefined();
});

test('records that are no choices are ignored', async () => {
  await fuzz('choices', fc.oneof(clonedValue, changed(CHOICES, clonedValue)), async (record) => {
    database.records.set('one GPU', record);
    const choices = await readChoices('one GPU');
    expect(choices === undefined || choices === record).toBe(true);
    for (const { variant, choice } of choices ?? []) {
      expect(variant).toBeTypeOf('string');
      expect(['used', 'wrong', 'slower']).toContain(choice);
    }
  });
});
