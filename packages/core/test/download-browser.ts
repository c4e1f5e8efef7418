// A browser that can be killed while it stores a model, and started again.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { build } from 'vite';
import { chromeOptions } from '../../../scripts/browser.ts';
import { type FolderServer, serveFolder } from '../../../scripts/static-server.ts';
import { sourceAliases } from '../../../vite.config.ts';
import type { SourceFile } from '../src/sources/byte-source.ts';
import type { StoredModel } from '../src/store/stored-models.ts';
import type { VerifyResult } from '../src/store/verification.ts';
import type { AdapterSummary, LoadOptions, LoadProgress } from '../src/types/load.ts';
import type { StoreWorker } from './store-client.ts';

const PAGE = 'download-page.html';

/** A folder to download. */
export interface DownloadTask {
  /** The folder's URL. */
  readonly url: string;
  /** Its files. */
  readonly files: readonly SourceFile[];
  /** The SHA-256 of its files by path. */
  readonly integrity: Readonly<Record<string, string>>;
  /** The chunk size. Default: the library's. */
  readonly chunkBytes?: number;
  /** See `DownloadFaults`. */
  readonly isLoad?: boolean;
}

/** A part of a download or of a load. */
export interface Stretch {
  /** As in `LoadProgress`. */
  readonly phase: LoadProgress['phase'];
  /** Bytes of the phase that were done at its start. */
  readonly startBytes: number;
  /** Bytes of the phase that were done at its end. */
  readonly endBytes: number;
  /** Its duration. */
  readonly seconds: number;
}

/** The globals of the page. */
interface PageGlobals {
  readonly worker: StoreWorker;
  readonly store: typeof import('../src/page/model-store.ts').store;
  readonly load: typeof import('../src/page/load.ts').load;
}

/** Starts browsers, one after another, that share a profile and thus their storage. */
export class DownloadBrowser {
  readonly #folder: string;
  readonly #server: FolderServer;
  #browser: Browser | undefined;
  #page: Page | undefined;

  private constructor(folder: string, server: FolderServer) {
    this.#folder = folder;
    this.#server = server;
  }

  /** @param folder - Where to put the profile. Default: the system's temporary folder. */
  static async create(folder: string = tmpdir()): Promise<DownloadBrowser> {
    const own = await mkdtemp(join(folder, 'ossicle-download-'));
    await build({
      configFile: false,
      root: fileURLToPath(new URL('.', import.meta.url)),
      logLevel: 'error',
      resolve: { alias: sourceAliases },
      worker: { format: 'es' },
      build: {
        outDir: join(own, 'page'),
        target: 'es2023',
        emptyOutDir: false,
        rollupOptions: { input: PAGE },
      },
    });
    return new DownloadBrowser(own, await serveFolder(join(own, 'page')));
  }

  /** Starts a browser and opens a page in it. */
  async start(): Promise<Browser> {
    const options = { ...(await chromeOptions()), protocolTimeout: 0 }; // large models take long
    this.#browser = await puppeteer.launch({
      ...options,
      userDataDir: join(this.#folder, 'profile'),
    });
    this.#page = await this.#browser.newPage();
    await this.#page.goto(`${this.#server.url}/${PAGE}`);
    await this.#page.waitForFunction('globalThis.worker !== undefined');
    await this.#page.evaluate(() => {
      const { worker } = globalThis as unknown as PageGlobals;
      return worker.call('release'); // resolves once the worker has started
    });
    return this.#browser;
  }

  /** Kills the browser and all of its processes, like a crash. */
  async kill(): Promise<void> {
    const child = this.#browser?.process();
    const gone = new Promise((done) => child?.once('exit', done));
    child?.kill('SIGKILL');
    await gone;
  }

  /** Closes the browser as a user would. */
  async stop(): Promise<void> {
    await this.#browser?.close();
  }

  /** Closes the browser and its server, and deletes the profile. */
  async close(): Promise<void> {
    await this.stop();
    await this.#server.close();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
  }

  /** Downloads until everything, or at least `untilBytes`, is stored. */
  async download(task: DownloadTask, untilBytes = 1e15): Promise<Stretch> {
    const { url, ...options } = task;
    return this.#opened.evaluate(
      async (address, faults, until) => {
        const { worker } = globalThis as unknown as PageGlobals;
        let startBytes: number | undefined;
        let endBytes = 0;
        let startMs = 0;
        const isFar = new Promise<void>((resolve) => {
          worker.onProgress = (bytes) => {
            if (startBytes === undefined) startMs = performance.now();
            startBytes ??= bytes;
            endBytes = bytes;
            if (bytes >= until) resolve();
          };
        });
        await Promise.race([worker.call('download', address, faults), isFar]);
        const seconds = (performance.now() - startMs) / 1000;
        return { phase: 'download' as const, startBytes: startBytes ?? 0, endBytes, seconds };
      },
      url,
      options,
      untilBytes,
    );
  }

  /** Loads a model through the public API and disposes of it. Returns the phases of the load and the adapter. */
  async load(
    url: string,
    options: Omit<LoadOptions, 'onProgress' | 'signal'>,
  ): Promise<{ readonly phases: readonly Stretch[]; readonly adapter: AdapterSummary }> {
    return this.#opened.evaluate(
      async (address, plain) => {
        const { load } = globalThis as unknown as PageGlobals;
        type Phase = { phase: LoadProgress['phase']; startBytes: number; endBytes: number };
        const phases: (Phase & { startMs: number })[] = [];
        const model = await load(address, {
          ...plain,
          onProgress: ({ phase, loadedBytes }) => {
            let last = phases.at(-1);
            if (last?.phase !== phase) {
              last = { phase, startBytes: loadedBytes, endBytes: 0, startMs: performance.now() };
              phases.push(last);
            }
            last.endBytes = loadedBytes;
          },
        });
        const { adapter } = model.info;
        await model.dispose();
        const stretches = phases.slice(0, -1).map(({ startMs, ...phase }, i) => ({
          ...phase,
          seconds: ((phases[i + 1]?.startMs ?? startMs) - startMs) / 1000,
        }));
        return { phases: stretches, adapter };
      },
      url,
      options,
    );
  }

  /** Starts a download, and clears the site's data once `atBytes` are stored. Returns the error, and when it came. */
  async clearDuring(
    task: DownloadTask,
    atBytes: number,
    storageTypes: string,
  ): Promise<{ readonly code: string; readonly seconds: number }> {
    const { url, ...options } = task;
    await this.#opened.evaluate(
      async (address, faults, until) => {
        const { worker } = globalThis as unknown as PageGlobals;
        const isFar = new Promise<void>((resolve) => {
          worker.onProgress = (bytes) => {
            if (bytes >= until) resolve();
          };
        });
        const ended = worker.call('download', address, faults).then(
          () => 'none',
          (error) => `${error.code}`,
        );
        Object.assign(globalThis, { ended });
        await isFar;
      },
      url,
      options,
      atBytes,
    );
    const session = await this.#opened.createCDPSession();
    const { origin } = new URL(this.#opened.url());
    await session.send('Storage.clearDataForOrigin', { origin, storageTypes });
    const startMs = performance.now();
    const code = await this.#opened.evaluate(async () => {
      const { ended } = globalThis as unknown as { readonly ended: Promise<string> };
      const never = new Promise<string>((resolve) => setTimeout(resolve, 60_000, 'nothing'));
      return Promise.race([ended, never]);
    });
    return { code, seconds: (performance.now() - startMs) / 1000 };
  }

  /** Opens the page again, like a reload. */
  async reload(): Promise<void> {
    await this.#opened.reload();
    await this.#opened.waitForFunction('globalThis.worker !== undefined');
  }

  /** Calls `store.verify`. */
  async verify(id: string): Promise<VerifyResult> {
    return this.#opened.evaluate((model) => {
      const { store } = globalThis as unknown as PageGlobals;
      return store.verify(model);
    }, id);
  }

  /** Calls `store.list`. */
  async list(): Promise<StoredModel[]> {
    return this.#opened.evaluate(() => (globalThis as unknown as PageGlobals).store.list());
  }

  get #opened(): Page {
    if (!this.#page) throw new Error('No browser was started');
    return this.#page;
  }
}
