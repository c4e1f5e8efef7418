// Keeps the built page's own files, so that it opens without a network. Checkpoints are none of its business: the library
// keeps them, and requests for them pass by untouched.

export {};

/** The build's files, put here by vite-plugin.ts. Paths are relative to the worker; the version changes with any of them. */
declare const PRECACHE: { readonly version: string; readonly files: readonly string[] };

/** What the DOM types lack of a service worker's global scope. */
interface WorkerScope {
  readonly location: Location;
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: 'install' | 'activate', listener: (event: Extendable) => void): void;
  addEventListener(type: 'fetch', listener: (event: Fetch) => void): void;
}
interface Extendable {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetch {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

const CACHE_PREFIX = 'ossicle-page-';
const CACHE = CACHE_PREFIX + PRECACHE.version;
/** A network that has not answered a page by then is taken to be down. */
const NETWORK_TIMEOUT_MS = 4000;

const scope = globalThis as unknown as WorkerScope;
const files = new Set(PRECACHE.files.map((path) => new URL(path, scope.location.href).href));

scope.addEventListener('install', (event) => {
  const fill = async (): Promise<void> => {
    const cache = await caches.open(CACHE);
    await cache.addAll([...files].map((url) => new Request(url, { cache: 'no-cache' })));
    await scope.skipWaiting();
  };
  event.waitUntil(fill());
});

scope.addEventListener('activate', (event) => {
  const tidy = async (): Promise<void> => {
    const names = await caches.keys();
    const old = names.filter((name) => name.startsWith(CACHE_PREFIX) && name !== CACHE);
    await Promise.all(old.map((name) => caches.delete(name)));
    await scope.clients.claim();
  };
  event.waitUntil(tidy());
});

scope.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url);
  url.search = '';
  url.hash = '';
  if (url.pathname.endsWith('/')) url.pathname += 'index.html';
  if (event.request.method !== 'GET' || !files.has(url.href)) return;
  const isPage = event.request.mode === 'navigate';
  event.respondWith(
    isPage ? fromNetwork(event.request, url.href) : fromCache(event.request, url.href),
  );
});

/** A page is as new as the network allows. */
async function fromNetwork(request: Request, url: string): Promise<Response> {
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(NETWORK_TIMEOUT_MS) });
    if (response.ok) return response;
  } catch {
    // The kept copy follows.
  }
  return fromCache(request, url);
}

/** Other files have their contents' hash in their names, or change with the version. */
async function fromCache(request: Request, url: string): Promise<Response> {
  return (await caches.match(url, { cacheName: CACHE })) ?? fetch(request);
}
