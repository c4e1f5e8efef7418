import { beforeEach, expect, test, vi } from 'vitest';

/** Names of the caches that the origin holds. */
let names: Set<string>;

beforeEach(() => {
  names = new Set();
  const keys = async () => [...names];
  const open = async (name: string) => {
    names.add(name);
    return { addAll: async () => undefined, match: async () => undefined };
  };
  vi.stubGlobal('caches', { keys, open, delete: async (name: string) => names.delete(name) });
  vi.stubGlobal('clients', { claim: async () => undefined });
  vi.stubGlobal('skipWaiting', async () => undefined);
  return () => vi.unstubAllGlobals();
});

/** Installs and activates a version of the page that is served in a folder. */
async function deploy(folder: string, version: string): Promise<void> {
  const listeners = new Map<string, (event: unknown) => void>();
  vi.stubGlobal('addEventListener', (type: string, listener: () => void) =>
    listeners.set(type, listener),
  );
  vi.stubGlobal('location', new URL(`https://demo.example${folder}service-worker.js`));
  vi.stubGlobal('PRECACHE', { version, files: ['index.html'] });
  vi.resetModules();
  await import('./service-worker.ts');
  for (const type of ['install', 'activate']) {
    const work: Promise<unknown>[] = [];
    listeners.get(type)?.({ waitUntil: (promise: Promise<unknown>) => work.push(promise) });
    await Promise.all(work);
  }
}

test('a new version replaces the cache of the old one', async () => {
  await deploy('/', '1');
  const old = [...names];
  await deploy('/', '2');
  expect(names.size).toBe(1);
  expect([...names]).not.toEqual(old);
});

test('deployments on one origin leave each other’s caches alone, and those of others', async () => {
  names.add('another app');
  const folders = ['/', '/a/', '/a/b/', '/a/ 1/'];
  for (const folder of folders) await deploy(folder, '1');
  expect(names.size).toBe(5);
  for (const folder of folders) await deploy(folder, '2');
  expect(names.size).toBe(5);
  expect(names).toContain('another app');
  for (const name of names) expect(name).not.toMatch(/ 1$/);
});
