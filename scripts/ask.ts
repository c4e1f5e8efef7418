import puppeteer, { type Browser, type LaunchOptions, type Page } from 'puppeteer-core';
import { chromeOptions } from './browser.ts';

/** A page that shows nothing new for this long hangs. */
const SILENCE_LIMIT_MS = 180_000;
const POLL_MS = 50;

/** The content of demo/headless.html. */
interface Snapshot {
  readonly state: string;
  readonly status: string;
  readonly reasoning: string;
  readonly answer: string;
}

/**
 * Asks the embedded model in a headless Chrome, and streams its reasoning (dim) and answer to the terminal.
 *
 * @param pageUrl - Address of headless.html.
 * @throws Error if the page fails, with its message, or falls silent.
 */
export async function ask(pageUrl: string, question: string): Promise<void> {
  const browser = await launch(pageUrl);
  try {
    const page = await browser.newPage();
    await page.goto(`${pageUrl}?${new URLSearchParams({ question })}`);
    await follow(page);
  } finally {
    await browser.close();
  }
}

/** Launches Chrome on the machine's GPU, or on SwiftShader if Chrome can use none. */
async function launch(pageUrl: string): Promise<Browser> {
  const browser = await puppeteer.launch(await options(true));
  const page = await browser.newPage();
  await page.goto(pageUrl); // WebGPU needs a secure context, which about:blank is not
  const hasAdapter = await page.evaluate(
    async () => (await navigator.gpu?.requestAdapter()) != null,
  );
  await page.close();
  if (hasAdapter) return browser;
  await browser.close();
  return puppeteer.launch(await options(false));
}

async function options(gpu: boolean): Promise<LaunchOptions> {
  return { ...(await chromeOptions(gpu)), protocolTimeout: SILENCE_LIMIT_MS };
}

/** Prints new text of the page until its state is `done`. */
async function follow(page: Page): Promise<void> {
  const dim = process.stdout.isTTY && !process.env.NO_COLOR ? ['\x1b[2m', '\x1b[22m'] : ['', ''];
  let last: Snapshot = { state: 'loading', status: '', reasoning: '', answer: '' };
  let changedMs = performance.now();
  while (last.state !== 'done') {
    const now = await page.evaluate(readPage);
    if (now.status !== last.status && now.state === 'loading') showStatus(now.status);
    if (now.state !== 'loading' && last.state === 'loading') showStatus('');
    const reasoning = now.reasoning.slice(last.reasoning.length);
    const answer = now.answer.slice(last.answer.length);
    if (reasoning !== '') process.stdout.write(dim[0] + reasoning + dim[1]);
    if (answer !== '') process.stdout.write((last.answer === '' ? '\n\n' : '') + answer);
    if (now.state === 'failed') throw new Error(`\n${now.status}`);
    if (JSON.stringify(now) !== JSON.stringify(last)) changedMs = performance.now();
    else if (performance.now() - changedMs > SILENCE_LIMIT_MS)
      throw new Error(`\nNothing new for ${SILENCE_LIMIT_MS / 1000} s (${now.state}). Giving up.`);
    last = now;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  process.stdout.write('\n');
}

/** Replaces the status line, if this is a terminal. */
function showStatus(status: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${status}`);
}

/** Runs in the page. */
function readPage(): Snapshot {
  const text = (id: string): string => document.getElementById(id)?.textContent ?? '';
  return {
    state: document.body.dataset.state ?? '',
    status: text('status'),
    reasoning: text('reasoning'),
    answer: text('answer'),
  };
}
