import { storageKey } from '../storage-key.ts';

/** A request that this page, one of its workers or its service worker has made. */
export interface RequestRecord {
  readonly url: string;
  readonly who: 'page' | 'worker' | 'service worker';
  /** What it was for: the files of the page, or a model. */
  readonly reason: 'page' | 'model';
  /** Bytes over the network; `undefined` if the browser does not tell. */
  readonly bytes: number | undefined;
  /** Whether it was made after the model was ready. */
  readonly isLate: boolean;
}

/** What the service worker tells of a request. */
interface Message {
  readonly id: string;
  /** When the request was made, in milliseconds since 1970. */
  readonly at: number;
  readonly url: string;
  readonly who: 'worker' | 'service worker';
  readonly bytes?: number;
  /** The URL of the worker's script. */
  readonly client?: string;
}

/**
 * Every request over the network since the page was opened, from the browser's own records: `PerformanceObserver` for the
 * page, and the service worker for workers and itself. What the service worker answers from its cache is not among them.
 */
export class RequestLog {
  readonly #records: RequestRecord[] = [];
  readonly #known = new Set<string>();
  /** The URLs of the scripts of this page's workers: other tabs have others. */
  readonly #workers: ReadonlySet<string> = watchWorkers();
  readonly #listeners = new Set<() => void>();
  /** When the model was ready, on the clock of `performance.now()`. */
  #readyMs = Number.POSITIVE_INFINITY;

  constructor() {
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) this.#addEntry(entry as PerformanceResourceTiming);
    }).observe({ type: 'resource', buffered: true });
    const [opened] = performance.getEntriesByType('navigation');
    if (opened) this.#addEntry(opened as PerformanceResourceTiming);
    const channel = new BroadcastChannel(storageKey('requests'));
    channel.addEventListener('message', ({ data }: MessageEvent<Message | string>) => {
      if (typeof data === 'object') this.#addMessage(data);
    });
    channel.postMessage('which requests?');
  }

  /** All requests, first to last. */
  get records(): readonly RequestRecord[] {
    return this.#records;
  }

  /** Whether a service worker reports the requests of workers. */
  get seesWorkers(): boolean {
    return (navigator.serviceWorker?.controller ?? null) !== null;
  }

  /** Notes whether a model is ready, and nothing being loaded: requests since then are late. */
  setReady(isReady: boolean): void {
    const sinceMs = Math.min(this.#readyMs, performance.now());
    this.#readyMs = isReady ? sinceMs : Number.POSITIVE_INFINITY;
    this.#notify();
  }

  /** Calls the listener after each change. */
  subscribe(listener: () => void): void {
    this.#listeners.add(listener);
  }

  #addEntry({ name, startTime, transferSize }: PerformanceResourceTiming): void {
    if (!/^https?:/.test(name)) return;
    const { origin } = new URL(name);
    // Other hosts need not tell their sizes; this one does, and 0 means a cache of this browser.
    const isTold = origin === location.origin;
    if (isTold && transferSize === 0) return;
    this.#add(name, 'page', isTold ? transferSize : undefined, startTime);
  }

  #addMessage({ id, at, url, who, bytes, client = '' }: Message): void {
    const isOwn = who === 'service worker' || this.#workers.has(client);
    if (this.#known.has(id) || !isOwn || at < performance.timeOrigin) return;
    this.#known.add(id);
    this.#add(url, who, bytes, at - performance.timeOrigin); // when it was made, not told
  }

  #add(url: string, who: RequestRecord['who'], bytes: number | undefined, atMs: number): void {
    const folder = new URL('.', location.href).href;
    const isPage = url.startsWith(folder) && !url.startsWith(`${folder}models/`);
    const reason = isPage ? 'page' : 'model';
    this.#records.push({ url, who, reason, bytes, isLate: atMs > this.#readyMs });
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Notes the URLs of the scripts of all workers that the page starts from now on: blobs, each with a URL of its own. */
function watchWorkers(): ReadonlySet<string> {
  const urls = new Set<string>();
  globalThis.Worker = class extends Worker {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options);
      urls.add(new URL(url, location.href).href);
    }
  };
  return urls;
}
