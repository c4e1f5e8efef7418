import { beforeEach, expect, test, vi } from 'vitest';

/** The files in the caches of the origin, by the names of the caches; and the names of the locks that its pages hold. */
let stored: Map<string, Set<string>>;
let locks: readonly string[];
/** The workers that are not active yet, as their registration shows them. */
let registration: { installing?: object | null; waiting?: object | null };

beforeEach(() => {
  stored = new Map();
  locks = [];
  registration = {};
  const open = async (name: string) => {
    const urls = stored.get(name) ?? new Set();
    stored.set(name, urls);
    const addAll = async (requests: readonly Request[]) => {
      for (const { url } of requests) urls.add(url);
    };
    return { addAll, match: async (url: string) => (urls.has(url) ? new Response() : undefined) };
  };
  const keys = async () => [...stored.keys()];
  vi.stubGlobal('caches', { keys, open, delete: async (name: string) => stored.delete(name) });
  vi.stubGlobal('clients', { claim: async () => undefined });
  vi.stubGlobal('registration', registration);
  vi.stubGlobal('skipWaiting', async () => undefined);
  const query = async () => ({ held: locks.map((name) => ({ name })) });
  vi.stubGlobal('navigator', { locks: { query } });
  return () => vi.unstubAllGlobals();
});

/** Sends an event to a worker, and waits for what it does. */
type Send = (type: 'install' | 'activate' | 'message', event?: object) => Promise<void>;

/** Installs a version of the page that is served in a folder. */
async function install(folder: string, version: string): Promise<Send> {
  const listeners = new Map<string, (event: unknown) => void>();
  vi.stubGlobal('addEventListener', (type: string, listener: () => void) =>
    listeners.set(type, listener),
  );
  vi.stubGlobal('location', new URL(`https://demo.example${folder}service-worker.js`));
  vi.stubGlobal('PRECACHE', { version, files: ['index.html', `assets/${version}.js`] });
  vi.resetModules();
  await import('./service-worker.ts');
  const send: Send = async (type, event = {}) => {
    const work: Promise<unknown>[] = [];
    const waitUntil = (promise: Promise<unknown>) => work.push(promise);
    listeners.get(type)?.({ ...event, waitUntil });
    await Promise.all(work);
  };
  await send('install');
  return send;
}

/** Installs and activates a version. */
async function deploy(folder: string, version: string): Promise<Send> {
  const send = await install(folder, version);
  await send('activate');
  return send;
}

/** The versions that have caches. */
const versions = () => [...stored.keys()].map((name) => name.split(' ').at(-1));

test('a new version replaces the cache of the old one', async () => {
  await deploy('/', '1');
  await deploy('/', '2');
  expect(versions()).toEqual(['2']);
});

test('the cache of an older version stays for as long as a page runs it', async () => {
  await deploy('/', '1');
  locks = ['https://demo.example/assets/1.js'];
  await deploy('/', '2');
  expect(versions()).toEqual(['1', '2']);
  locks = ['https://demo.example/assets/2.js'];
  await deploy('/', '3');
  expect(versions()).toEqual(['2', '3']);
});

test.each(['installing', 'waiting'] as const)(
  'the cache of an update that is %s stays when a page of the version before says what it runs',
  async (state) => {
    const script = 'https://demo.example/assets/1.js';
    const first = await deploy('/', '1');
    locks = [script];
    await install('/', '2');
    registration[state] = {};
    await first('message', { data: { script } });
    expect(versions()).toEqual(['1', '2']);
    registration[state] = null;
    await first('message', { data: { script } });
    expect(versions()).toEqual(['1']); // an update that failed
  },
);

test('a version whose cache has lost files while it waited fetches them again', async () => {
  const send = await install('/', '1');
  const [files] = stored.values();
  files?.delete('https://demo.example/assets/1.js');
  await send('activate');
  expect(files).toContain('https://demo.example/assets/1.js');
});

test('deployments on one origin leave each other’s caches alone, and those of others', async () => {
  stored.set('another app', new Set());
  const folders = ['/', '/a/', '/a/b/', '/a/ 1/'];
  for (const folder of folders) await deploy(folder, '1');
  expect(stored.size).toBe(5);
  for (const folder of folders) await deploy(folder, '2');
  expect(stored.size).toBe(5);
  expect(stored.has('another app')).toBe(true);
  for (const name of stored.keys()) expect(name).not.toMatch(/ 1$/);
});
