// Caches the built page's own files so that it opens offline. The library stores checkpoints itself: requests for them
// pass through untouched.

export {};

/** The build's files, from vite-plugin.ts. Paths are relative to the worker; the version changes if any file does. */
declare const PRECACHE: { readonly version: string; readonly files: readonly string[] };

/** The parts of a service worker's global scope that the DOM types lack. */
interface WorkerScope {
  readonly location: Location;
  readonly clients: {
    claim(): Promise<void>;
    get(id: string): Promise<{ readonly type: string } | undefined>;
  };
  skipWaiting(): Promise<void>;
  addEventListener(type: 'install' | 'activate', listener: (event: Extendable) => void): void;
  addEventListener(type: 'fetch', listener: (event: Fetch) => void): void;
  addEventListener(type: 'message', listener: (event: ExtendableMessage) => void): void;
}
interface Extendable {
  waitUntil(work: Promise<unknown>): void;
}
/** A page asks whether the script that it runs belongs to this version. */
interface ExtendableMessage {
  readonly data: { readonly script?: unknown };
  readonly source: { postMessage(answer: string): void } | null;
}
interface Fetch {
  readonly request: Request;
  readonly clientId: string;
  respondWith(response: Promise<Response>): void;
}

/** How long the network may take before the cached page is served. */
const NETWORK_TIMEOUT_MS = 4000;

const scope = globalThis as unknown as WorkerScope;

/** The page's folder is part of the name: other deployments on this origin have caches of their own. */
const CACHE_PREFIX = `ossicle-page ${new URL('.', scope.location.href).pathname} `;
const CACHE = CACHE_PREFIX + PRECACHE.version;
const files = new Set(PRECACHE.files.map((path) => new URL(path, scope.location.href).href));

/** What the pages are told of each request, as they cannot see those of workers: request-log.ts. */
const channel = new BroadcastChannel(
  `ossicle.requests ${new URL('.', scope.location.href).pathname}`,
);
/** At most this many requests are kept for pages that ask later. */
const MAX_RECORDS = 1000;
const records: unknown[] = [];
channel.addEventListener('message', ({ data }: MessageEvent) => {
  if (data === 'which requests?') for (const record of records) channel.postMessage(record);
});

function record(url: string, who: 'worker' | 'service worker', bytes?: number): void {
  const entry = { id: crypto.randomUUID(), url, who, bytes };
  if (records.push(entry) > MAX_RECORDS) records.shift();
  channel.postMessage(entry);
}

/** Records a request that a worker makes to the network; the page itself sees those of the page, with their bytes. */
async function recordPassed({ request, clientId }: Fetch): Promise<void> {
  if ((await scope.clients.get(clientId))?.type !== 'worker') return;
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get('range') ?? '') ?? [];
  record(request.url, 'worker', to === undefined ? undefined : Number(to) - Number(from) + 1);
}

scope.addEventListener('install', (event) => {
  const fill = async (): Promise<void> => {
    const cache = await caches.open(CACHE);
    await cache.addAll([...files].map((url) => new Request(url, { cache: 'no-cache' })));
    for (const url of files)
      record(url, 'service worker', (await (await cache.match(url))?.blob())?.size);
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

scope.addEventListener('message', ({ data, source }) => {
  if (typeof data.script === 'string' && !files.has(data.script)) source?.postMessage('outdated');
});

scope.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url);
  url.search = '';
  url.hash = '';
  if (url.pathname.endsWith('/')) url.pathname += 'index.html';
  if (event.request.method !== 'GET' || !files.has(url.href)) {
    void recordPassed(event);
    return;
  }
  const isPage = event.request.mode === 'navigate';
  event.respondWith(
    isPage ? fromNetwork(event.request, url.href) : fromCache(event.request, url.href),
  );
});

/** Serves a page from the network, or from the cache if the network fails. */
async function fromNetwork(request: Request, url: string): Promise<Response> {
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(NETWORK_TIMEOUT_MS) });
    if (response.ok) return response;
  } catch {
    // Offline: the cached copy follows.
  }
  return fromCache(request, url);
}

/** Serves other files from the cache: their names hold a hash of their contents, or they change with the version. */
async function fromCache(request: Request, url: string): Promise<Response> {
  return (await caches.match(url, { cacheName: CACHE })) ?? fetch(request);
}
