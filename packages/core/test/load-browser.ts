// A browser with pages that load models, for tests with servers of their own.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { build } from 'vite';
import { chromeOptions } from '../../../scripts/browser.ts';
import { type FolderServer, serveFolder } from '../../../scripts/static-server.ts';
import { sourceAliases } from '../../../vite.config.ts';
import { type FaultServer, startFaultServer } from './fault-server.ts';
import { FaultSession } from './fault-session.ts';

/** The name of the page with `load` and `store`. */
export const LOAD_PAGE = 'load-page.html';

/** The globals of the page. */
export interface LoadPage {
  readonly load: typeof import('../src/index.ts').load;
  readonly store: typeof import('../src/index.ts').store;
}

/** Builds the page into a folder. */
export async function buildLoadPage(folder: string): Promise<void> {
  await build({
    configFile: false,
    root: 'packages/core/test',
    base: './',
    logLevel: 'error',
    resolve: { alias: sourceAliases },
    worker: { format: 'es' },
    build: { outDir: folder, target: 'es2023', rolldownOptions: { input: LOAD_PAGE } },
  });
}

/** A browser, a server of a page with `load` and `store`, and a server of models. */
export class LoadBrowser {
  readonly browser: Browser;
  readonly #folder: string;
  readonly #pages: FolderServer;
  readonly #faults: FaultServer;

  private constructor(folder: string, pages: FolderServer, faults: FaultServer, browser: Browser) {
    this.#folder = folder;
    this.#pages = pages;
    this.#faults = faults;
    this.browser = browser;
  }

  /** Builds the page and starts all three. */
  static async start(): Promise<LoadBrowser> {
    const folder = await mkdtemp(join(tmpdir(), 'ossicle-load-'));
    await buildLoadPage(folder);
    return new LoadBrowser(
      folder,
      await serveFolder(folder),
      await startFaultServer('.'),
      await puppeteer.launch(await chromeOptions()),
    );
  }

  /** Serves gpt-oss-nano, from another origin than the page's. */
  serveNano(): Promise<FaultSession> {
    return FaultSession.start(this.#faults.url, { folder: 'demo/public/models/gpt-oss-nano' });
  }

  /**
   * Opens the page.
   *
   * @param prepare - Called before the page is fetched.
   */
  async openPage(prepare: (page: Page) => unknown = () => undefined): Promise<Page> {
    const page = await this.browser.newPage();
    await prepare(page);
    await page.goto(`${this.#pages.url}/${LOAD_PAGE}`);
    await page.waitForFunction('globalThis.load !== undefined', { polling: 50 });
    return page;
  }

  /** Ends everything. */
  async close(): Promise<void> {
    await this.browser.close();
    await Promise.all([this.#faults.close(), this.#pages.close()]);
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
