import type { BrowserContext, Page } from 'puppeteer-core';

/** A software adapter on a busy machine may take long to draw. */
const PATIENCE_MS = 180_000;

/** One opened page of the demo, used as a user would. */
export class DemoPage {
  readonly page: Page;
  /** Errors and warnings that the page and its workers logged, and uncaught errors. */
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

  /** Opens the same URL, or another one, in another tab of the same browser. */
  async openTab(url: string = this.page.url()): Promise<DemoPage> {
    const page = await this.#context.newPage();
    const tab = new DemoPage(this.#context, page);
    await page.goto(url);
    return tab;
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

  /** Waits until the last answer is finished, and returns its text. */
  async answer(): Promise<string> {
    await this.page.waitForSelector('.turn:last-child .reply[aria-busy=false]');
    return this.text('.turn:last-child .markdown');
  }

  /** Asks and waits for the answer. */
  async ask(question: string): Promise<string> {
    await this.send(question);
    return this.answer();
  }

  /** The visible text of the first element that the selector finds, its spaces plain; empty if there is none. */
  async text(selector: string): Promise<string> {
    const text = await this.page.evaluate(
      // biome-ignore lint/performance/useDomNodeTextContent: a test asks what a user sees
      (wanted) => document.querySelector<HTMLElement>(wanted)?.innerText ?? '',
      selector,
    );
    return text.replaceAll('\u00a0', ' ');
  }

  /** How many elements the selector finds. */
  count(selector: string): Promise<number> {
    return this.page.evaluate((wanted) => document.querySelectorAll(wanted).length, selector);
  }

  /** Waits until the text of what the selector finds matches, and returns it. */
  async textLike(selector: string, pattern: RegExp): Promise<string> {
    await this.page.waitForFunction(
      (wanted, source) => {
        // biome-ignore lint/performance/useDomNodeTextContent: a test asks what a user sees
        const text = document.querySelector<HTMLElement>(wanted)?.innerText ?? '';
        return new RegExp(source).test(text.replaceAll('\u00a0', ' '));
      },
      { polling: 100 }, // a tab in the background draws no frames
      selector,
      pattern.source,
    );
    return this.text(selector);
  }

  /** Scrolls to what the selector finds and clicks it. */
  async click(selector: string): Promise<void> {
    await this.page.locator(selector).click();
  }

  /** Drops a file of exported chats on the page. */
  async dropChats(...chats: readonly object[]): Promise<void> {
    const json = JSON.stringify({ format: 'ossicle-chats', version: 1, chats });
    await this.page.evaluate((text) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([text], 'chats.json', { type: 'application/json' }));
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true }));
    }, json);
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

  /** Opens the model panel and waits until the list of stored models is up to date. */
  async openStored(): Promise<void> {
    await this.click('#model-button');
    await this.page.waitForSelector('.stored:not([aria-busy]) li');
  }

  /** Lets the page's folder picker return a folder of its private file system. */
  async pickFolderNext(path: string): Promise<void> {
    await this.page.evaluate((names) => {
      const pick = async (): Promise<FileSystemDirectoryHandle> => {
        let picked = await navigator.storage.getDirectory();
        for (const name of names) picked = await picked.getDirectoryHandle(name, { create: true });
        return picked;
      };
      Object.assign(window, { showDirectoryPicker: pick });
    }, path.split('/'));
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
