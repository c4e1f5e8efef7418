import type { Browser, Page } from 'puppeteer-core';
import type { ToolDefinition } from '../src/index.ts';

/** What an example exports, if anything. */
interface Example {
  readonly ask?: (question: string) => Promise<string>;
  readonly weather?: ToolDefinition;
}

/** A page with the examples of the documentation as `globalThis.blocks`. */
export class ExamplePage {
  readonly #page: Page;
  #shown: string[] = [];

  private constructor(page: Page) {
    this.#page = page;
    page.on('console', (message) => message.type() === 'log' && this.#shown.push(message.text()));
    page.on('request', (request) => {
      if (request.url().includes('/notes?')) this.#shown.push(request.url());
    });
  }

  /** Opens the page, and waits until it has its examples. */
  static async open(browser: Browser, url: string): Promise<ExamplePage> {
    const page = await browser.newPage();
    const opened = new ExamplePage(page);
    await page.goto(url);
    await page.waitForFunction('globalThis.blocks !== undefined', { polling: 50 });
    return opened;
  }

  /** Runs an example; returns what the page shows, requests as a tool, logs and, if it exports one, answers. */
  async run(index: number): Promise<string> {
    this.#shown = [];
    const answers = await this.#page.evaluate(async (i) => {
      const { blocks } = globalThis as unknown as { blocks: readonly (() => Promise<Example>)[] };
      document.body.replaceChildren();
      const { ask, weather } = (await blocks[i]?.()) ?? {};
      if (weather) {
        const input = await weather.validate?.({ city: 'Rome' });
        const options = { signal: new AbortController().signal, toolCallId: 'call_1' };
        return [JSON.stringify(await weather.execute?.(input, options))];
      }
      return ask ? [await ask('What is 17 + 25?'), await ask('Thanks!')] : [];
    }, index);
    const text = await this.#page.evaluate(() => document.body.textContent.trim());
    return [text, ...this.#shown, ...answers].filter((part) => part !== '').join(' | ');
  }
}
