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
    get(id: string): Promise<{ readonly type: string; readonly url: string } | undefined>;
  };
  readonly registration: { readonly installing: unknown; readonly waiting: unknown };
  skipWaiting(): Promise<void>;
  addEventListener(type: 'install' | 'activate', listener: (event: Extendable) => void): void;
  addEventListener(type: 'fetch', listener: (event: Fetch) => void): void;
  addEventListener(type: 'message', listener: (event: ExtendableMessage) => void): void;
}
interface Extendable {
  waitUntil(work: Promise<unknown>): void;
}
/** What a page tells: the script that it runs, to hear whether that belongs to this version; or that the user agrees to an update. */
interface ExtendableMessage extends Extendable {
  readonly data: { readonly script?: unknown } | 'take over';
  readonly source: { postMessage(answer: string): void } | null;
}
interface Fetch {
  readonly request: Request;
  readonly clientId: string;
  respondWith(response: Promise<Response>): void;
}

const scope = globalThis as unknown as WorkerScope;

/** The page's folder is part of the name: other deployments on this origin have caches of their own. */
const CACHE_PREFIX = `ossicle-page ${new URL('.', scope.location.href).pathname} `;
const CACHE = CACHE_PREFIX + PRECACHE.version;
const FOLDER = new URL('.', scope.location.href).href;
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

/** @param client the URL of the worker's script, which its page knows. */
function record(
  url: string,
  who: 'worker' | 'service worker',
  bytes?: number,
  client?: string,
): void {
  const entry = { id: crypto.randomUUID(), at: Date.now(), url, who, bytes, client };
  if (records.push(entry) > MAX_RECORDS) records.shift();
  channel.postMessage(entry);
}

/** Records a request that a worker makes to the network; the page itself sees those of the page, with their bytes. */
async function recordPassed({ request, clientId }: Fetch): Promise<void> {
  const client = await scope.clients.get(clientId);
  if (client?.type !== 'worker') return;
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get('range') ?? '') ?? [];
  const bytes = to === undefined ? undefined : Number(to) - Number(from) + 1;
  record(request.url, 'worker', bytes, client.url);
}

/** Fetches these files into the cache of this version. */
async function fill(urls: Iterable<string>): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.addAll([...urls].map((url) => new Request(url, { cache: 'no-cache' })));
  for (const url of urls)
    record(url, 'service worker', (await (await cache.match(url))?.blob())?.size);
}

scope.addEventListener('install', (event) => {
  event.waitUntil(fill(files)); // then waits until no page of another version is open, or the user agrees to the update
});

scope.addEventListener('activate', (event) => {
  const begin = async (): Promise<void> => {
    await refill().catch(() => undefined); // offline: what is missing is fetched when it is asked for
    await tidy();
    await scope.clients.claim();
  };
  event.waitUntil(begin());
});

/** Fetches what is missing: while the worker waited, the browser or an older version may have deleted some. */
async function refill(): Promise<void> {
  const cache = await caches.open(CACHE);
  const isThere = await Promise.all([...files].map((url) => cache.match(url)));
  const missing = [...files].filter((_, index) => isThere[index] === undefined);
  if (missing.length > 0) await fill(missing);
}

/**
 * Deletes the caches of versions that no page runs any more: each page holds a lock that is named after its script. An
 * update that is installed or waits has a cache, too, before any page runs it: then nothing is deleted.
 */
async function tidy(): Promise<void> {
  const [names, { held = [] }] = await Promise.all([caches.keys(), navigator.locks.query()]);
  if (scope.registration.installing || scope.registration.waiting) return;
  const scripts = held.flatMap(({ name = '' }) => (name.startsWith(FOLDER) ? [name] : []));
  for (const name of names) {
    if (!name.startsWith(CACHE_PREFIX) || name === CACHE) continue;
    const cache = await caches.open(name);
    const isUsed = await Promise.all(
      scripts.map(async (url) => (await cache.match(url)) !== undefined),
    );
    if (!isUsed.includes(true)) await caches.delete(name);
  }
}

scope.addEventListener('message', (event) => {
  const { data, source } = event;
  if (data === 'take over') event.waitUntil(scope.skipWaiting());
  else if (typeof data.script === 'string') {
    if (!files.has(data.script)) source?.postMessage('outdated');
    event.waitUntil(tidy());
  }
});

scope.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url);
  url.search = '';
  url.hash = '';
  if (url.pathname.endsWith('/')) url.pathname += 'index.html';
  const isAsset = url.href.startsWith(`${FOLDER}assets/`);
  if (event.request.method !== 'GET' || !(files.has(url.href) || isAsset)) void recordPassed(event);
  else event.respondWith(fromCache(event.request, url.href));
});

/** Serves the files of this version, so that they belong together, and for open pages of older versions those of theirs. */
async function fromCache(request: Request, url: string): Promise<Response> {
  const cached = await caches.match(url, { cacheName: CACHE });
  if (cached) return cached;
  for (const name of await caches.keys()) {
    const older = name.startsWith(CACHE_PREFIX) && (await caches.match(url, { cacheName: name }));
    if (older) return older;
  }
  return fetch(request);
}
