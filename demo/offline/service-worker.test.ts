import { beforeEach, expect, test, vi } from 'vitest';

/** Names of the caches that the origin holds, and those of the locks that its pages hold. */
let names: Set<string>;
let locks: readonly string[];

beforeEach(() => {
  names = new Set();
  locks = [];
  const keys = async () => [...names];
  const open = async (name: string) => {
    names.add(name);
    // A cache holds the script that is named after its version.
    const match = async (url: string) =>
      url.endsWith(`${name.split(' ').at(-1)}.js`) ? new Response() : undefined;
    return { addAll: async () => undefined, match };
  };
  vi.stubGlobal('caches', { keys, open, delete: async (name: string) => names.delete(name) });
  vi.stubGlobal('clients', { claim: async () => undefined });
  vi.stubGlobal('skipWaiting', async () => undefined);
  const query = async () => ({ held: locks.map((name) => ({ name })) });
  vi.stubGlobal('navigator', { locks: { query } });
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

test('the cache of an older version stays for as long as a page runs it', async () => {
  await deploy('/', '1');
  locks = ['https://demo.example/assets/1.js'];
  await deploy('/', '2');
  expect(names.size).toBe(2);
  locks = ['https://demo.example/assets/2.js'];
  await deploy('/', '3');
  expect([...names].map((name) => name.split(' ').at(-1))).toEqual(['2', '3']);
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
