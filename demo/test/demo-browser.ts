import puppeteer, { type Browser, type BrowserContext, type Page } from 'puppeteer-core';
import { afterAll, beforeAll } from 'vitest';
import { chromeOptions } from '../../scripts/browser.ts';
import { type FolderServer, serveFolder } from '../../scripts/static-server.ts';
import { type RecordingProxy, startRecordingProxy } from './recording-proxy.ts';

const WEBGPU_FLAGS = /webgpu|vulkan/i;
/** Chrome asks its maker about the forms of a page; the record of requests is to hold the page's own only. */
const CHROME_SILENT = ['--disable-features=AutofillServerCommunication'];
/** A software adapter may keep a busy machine from drawing for long. */
const PATIENCE_MS = 180_000;

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
   * Serves demo/dist and starts Chrome.
   *
   * @param hasAdapter false: without any adapter for WebGPU.
   */
  static async start({ hasAdapter = true }: { hasAdapter?: boolean } = {}): Promise<DemoBrowser> {
    const [server, proxy, options] = await Promise.all([
      serveFolder('demo/dist'),
      startRecordingProxy(),
      chromeOptions(),
    ]);
    const args = (options.args ?? []).filter((flag) => hasAdapter || !WEBGPU_FLAGS.test(flag));
    args.push(...CHROME_SILENT, ...(hasAdapter ? [] : ['--disable-gpu']));
    return new DemoBrowser(await puppeteer.launch({ ...options, args }), server, proxy);
  }

  /** The address of the demo. */
  get url(): string {
    return `${this.#server.url}/`;
  }

  /**
   * Opens the demo as a browser that has never seen it.
   *
   * @param query of the address, with its question mark.
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

  /** Cuts the network for good: the server is gone, and so is the way to it. */
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

/** A browser for the tests of a file, and a page in it where the embedded model is loaded. */
export interface Visit {
  readonly browser: DemoBrowser;
  readonly demo: DemoPage;
}

/** Starts a browser before the tests of a file, opens the demo and waits until it can answer. */
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

/** Makes every new date one moment: the date is part of the prompt, and a tiny model answers other dates otherwise. */
function stopCalendar(): void {
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...parts: unknown[]) {
      super(...((parts.length === 0 ? ['2026-11-20T05:30:00Z'] : parts) as [string]));
    }
  } as DateConstructor;
}

/** One opened page of the demo, as a person uses it. */
export class DemoPage {
  readonly page: Page;
  /** What the page and its workers wrote to the console as errors or warnings, and errors that nobody caught. */
  readonly complaints: string[] = [];
  readonly #context: BrowserContext;

  constructor(context: BrowserContext, page: Page) {
    this.#context = context;
    this.page = page;
    page.setDefaultTimeout(PATIENCE_MS);
    page.on('console', (message) => {
      const type = message.type();
      if (type === 'error' || type === 'warn') this.complaints.push(`${type}: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.complaints.push(String(error)));
  }

  /** Waits until a model can answer. */
  async ready(): Promise<this> {
    await this.page.waitForSelector('[data-status=ready]');
    return this;
  }

  /** Starts a new chat with the settings of a first visit. */
  async startOver(): Promise<void> {
    await this.page.evaluate(() => {
      for (const dialog of document.querySelectorAll<HTMLDialogElement>('dialog[open]'))
        dialog.close();
      const buttons = '.failure [aria-label=Dismiss], #new-chat, #reset-settings';
      for (const button of document.querySelectorAll<HTMLElement>(buttons)) button.click();
    });
  }

  /** Types a question and sends it. */
  async send(question: string): Promise<void> {
    await this.page.type('#prompt', question);
    await this.page.keyboard.press('Enter');
  }

  /** Waits until nothing is being generated, and returns the text of the last answer. */
  async answer(): Promise<string> {
    await this.page.waitForSelector('.turn:last-child .reply[aria-busy=false]');
    return this.text('.turn:last-child .markdown');
  }

  /** Asks and waits for the answer. */
  async ask(question: string): Promise<string> {
    await this.send(question);
    return this.answer();
  }

  /** The visible text of the first element that the selector finds; empty where there is none. */
  text(selector: string): Promise<string> {
    return this.page.evaluate(
      // biome-ignore lint/performance/useDomNodeTextContent: a test asks what a person sees
      (wanted) => document.querySelector<HTMLElement>(wanted)?.innerText ?? '',
      selector,
    );
  }

  /** How many elements the selector finds. */
  count(selector: string): Promise<number> {
    return this.page.evaluate((wanted) => document.querySelectorAll(wanted).length, selector);
  }

  /** Waits until what the selector finds has such a text, and returns it. */
  async textLike(selector: string, pattern: RegExp): Promise<string> {
    await this.page.waitForFunction(
      (wanted, source) =>
        // biome-ignore lint/performance/useDomNodeTextContent: a test asks what a person sees
        new RegExp(source).test(document.querySelector<HTMLElement>(wanted)?.innerText ?? ''),
      {},
      selector,
      pattern.source,
    );
    return this.text(selector);
  }

  /** Clicks what the selector finds, wherever it is. */
  async click(selector: string): Promise<void> {
    await this.page.locator(selector).click();
  }

  /** Opens the model panel and loads what is typed there. */
  async loadFrom(source: string): Promise<void> {
    await this.click('#model-button');
    await this.page.evaluate(() =>
      document.querySelector<HTMLInputElement>('#model-source')?.select(),
    );
    await this.page.keyboard.type(source);
    await this.page.keyboard.press('Enter');
  }

  /** Waits until the service worker serves this page. */
  async keptForOffline(): Promise<void> {
    await this.page.waitForFunction(
      () => navigator.serviceWorker.controller?.state === 'activated',
    );
  }

  /** Closes the page and forgets what it stored. */
  close(): Promise<void> {
    return this.#context.close();
  }
}
