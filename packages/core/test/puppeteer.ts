import { defineBrowserProvider } from '@vitest/browser';
import puppeteer, { type Browser, type LaunchOptions, type Page } from 'puppeteer-core';
import type { BrowserProvider, BrowserProviderOption } from 'vitest/node';

/** A page that has not answered for this long is considered to hang; slow GPU work does not block it. */
const PAGE_SILENCE_MS = 180_000;
const PAGE_CHECK_MS = 15_000;

/**
 * Runs Vitest's browser mode in a Chrome that Puppeteer launches.
 *
 * @param launchOptions - Called once, when the first page opens.
 */
export function puppeteerProvider(
  launchOptions: () => Promise<LaunchOptions>,
): BrowserProviderOption {
  return defineBrowserProvider({
    name: 'puppeteer',
    options: {},
    providerFactory: () => new PuppeteerProvider(launchOptions),
  });
}

class PuppeteerProvider implements BrowserProvider {
  readonly name = 'puppeteer';
  readonly supportsParallelism = false;
  readonly #launchOptions: () => Promise<LaunchOptions>;
  #browser: Promise<Browser> | undefined;

  constructor(launchOptions: () => Promise<LaunchOptions>) {
    this.#launchOptions = launchOptions;
  }

  getCommandsContext(): Record<string, unknown> {
    return {};
  }

  async openPage(_sessionId: string, url: string): Promise<void> {
    this.#browser ??= this.#launchOptions().then((options) => puppeteer.launch(options));
    const page = await (await this.#browser).newPage();
    page.on('pageerror', (error) => process.stderr.write(`[page] ${String(error)}\n`));
    await page.goto(url, { timeout: 120_000 });
    void closeWhenSilent(page);
  }

  async close(): Promise<void> {
    await (await this.#browser)?.close();
  }
}

/** Closes a page whose main thread has stopped answering, so that Vitest fails instead of waiting forever. */
async function closeWhenSilent(page: Page): Promise<void> {
  while (!page.isClosed()) {
    await new Promise((resolve) => setTimeout(resolve, PAGE_CHECK_MS).unref());
    if (page.isClosed()) return;
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<'silent'>((resolve) => {
      timer = setTimeout(() => resolve('silent'), PAGE_SILENCE_MS);
      timer.unref();
    });
    const answer = await Promise.race([page.evaluate('1').catch(() => 'closed'), silence]);
    clearTimeout(timer);
    if (answer !== 'silent') continue;
    process.stderr.write(`The page did not answer for ${PAGE_SILENCE_MS / 1000} s: closing it.\n`);
    page.browser().process()?.kill('SIGKILL');
    return;
  }
}
