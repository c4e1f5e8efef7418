import puppeteer, { type Browser } from 'puppeteer-core';
import { afterAll, beforeAll } from 'vitest';
import { chromeOptions } from '../../scripts/browser.ts';
import { type FolderServer, serveFolder } from '../../scripts/static-server.ts';
import { DemoPage } from './demo-page.ts';
import { type RecordingProxy, startRecordingProxy } from './recording-proxy.ts';

const WEBGPU_FLAGS = /webgpu|vulkan/i;
/** Keeps Chrome from asking Google about forms: only the page's own requests belong in the record. */
const CHROME_SILENT = ['--disable-features=AutofillServerCommunication'];

/** The built demo, served by itself, in a browser whose every request is recorded. */
export class DemoBrowser {
  readonly #browser: Browser;
  readonly #server: FolderServer;
  readonly proxy: RecordingProxy;

  private constructor(browser: Browser, server: FolderServer, proxy: RecordingProxy) {
    this.#browser = browser;
    this.#server = server;
    this.proxy = proxy;
  }

  /**
   * Serves the demo and starts Chrome.
   *
   * @param hasAdapter whether the browser has an adapter for WebGPU.
   * @param folder what is served; the built demo if left out.
   */
  static async start({
    hasAdapter = true,
    folder = 'demo/dist',
  }: {
    hasAdapter?: boolean;
    folder?: string;
  } = {}): Promise<DemoBrowser> {
    const [server, proxy, options] = await Promise.all([
      serveFolder(folder),
      startRecordingProxy(),
      chromeOptions(),
    ]);
    const args = (options.args ?? []).filter((flag) => hasAdapter || !WEBGPU_FLAGS.test(flag));
    args.push(...CHROME_SILENT, ...(hasAdapter ? [] : ['--disable-gpu']));
    return new DemoBrowser(await puppeteer.launch({ ...options, args }), server, proxy);
  }

  /** The URL of the demo. */
  get url(): string {
    return `${this.#server.url}/`;
  }

  /**
   * Opens the demo as a browser that has never seen it.
   *
   * @param query the rest of the URL: a path, or a query with its question mark.
   */
  async open(query = ''): Promise<DemoPage> {
    const context = await this.#browser.createBrowserContext({
      proxyServer: this.proxy.address,
      proxyBypassList: ['<-loopback>'],
    });
    const page = await context.newPage();
    await page.setViewport({ width: 1000, height: 760 });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
    await page.evaluateOnNewDocument(stopCalendar);
    const demo = new DemoPage(context, page);
    await page.goto(this.url + query);
    return demo;
  }

  /** Cuts the network for good: stops the server and the proxy that leads to it. */
  async cutNetwork(demo: DemoPage): Promise<void> {
    await demo.page.setOfflineMode(true);
    this.proxy.cut();
    await this.#server.close();
  }

  /** Stops the browser and the servers. */
  async close(): Promise<void> {
    await this.#browser.close();
    await Promise.all([this.proxy.close(), this.#server.close()]);
  }
}

/** A browser for the tests of a file, and a page in it that has loaded the embedded model. */
export interface Visit {
  readonly browser: DemoBrowser;
  readonly demo: DemoPage;
}

/** Before the tests of a file: starts a browser, opens the demo and waits until it can answer. */
export function visitDemo(): Visit {
  let browser: DemoBrowser | undefined;
  let demo: DemoPage | undefined;
  beforeAll(async () => {
    browser = await DemoBrowser.start();
    demo = await (await browser.open()).ready();
  });
  afterAll(() => browser?.close());
  const begun = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('The visit begins with the first test.');
    return value;
  };
  return {
    get browser() {
      return begun(browser);
    },
    get demo() {
      return begun(demo);
    },
  };
}

/** Fixes the date: it is part of the prompt, and the tiny model answers differently on other days. */
function stopCalendar(): void {
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...parts: unknown[]) {
      super(...((parts.length === 0 ? ['2026-11-20T05:30:00Z'] : parts) as [string]));
    }
  } as DateConstructor;
}
