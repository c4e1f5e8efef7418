import { readFile, writeFile } from 'node:fs/promises';
import type { Browser, CDPSession } from 'puppeteer-core';

/** How often memory is looked at. */
const INTERVAL_MS = 100;

/** What a browser's processes took. */
export interface MemoryPeak {
  /** The most that all renderers had resident above what they had before, in bytes. */
  readonly rendererBytes: number;
  /** The most that the GPU's process had resident, in bytes. */
  readonly gpuBytes: number;
}

/** Watches a browser's processes. Only on Linux, which tells their peaks in /proc. */
export class MemoryWatch {
  readonly #session: CDPSession;
  readonly #idleBytes: number;
  readonly #timer: NodeJS.Timeout;
  #rendererBytes = 0;
  #gpuBytes = 0;
  #reading: Promise<void> = Promise.resolve();

  private constructor(session: CDPSession, idleBytes: number) {
    this.#session = session;
    this.#idleBytes = idleBytes;
    this.#timer = setInterval(() => {
      this.#reading = this.#read().catch(() => undefined); // the browser was killed
    }, INTERVAL_MS);
  }

  /** Begins, with a browser that is idle. @returns `undefined` where the system does not tell. */
  static async start(browser: Browser): Promise<MemoryWatch | undefined> {
    if (process.platform !== 'linux') return undefined;
    const session = await browser.target().createCDPSession();
    let idleBytes = 0;
    for (const { pid, type } of await processes(session)) {
      if (type !== 'renderer') continue;
      await writeFile(`/proc/${pid}/clear_refs`, '5'); // forgets the peak so far
      idleBytes += (await memoryOf(pid)).nowBytes;
    }
    return new MemoryWatch(session, idleBytes);
  }

  /** Ends. Processes that are gone by now count as they were looked at last. */
  async stop(): Promise<MemoryPeak> {
    clearInterval(this.#timer);
    await this.#reading;
    await this.#read().catch(() => undefined); // the browser was killed
    return { rendererBytes: this.#rendererBytes - this.#idleBytes, gpuBytes: this.#gpuBytes };
  }

  async #read(): Promise<void> {
    let rendererBytes = 0;
    for (const { pid, type } of await processes(this.#session)) {
      if (type !== 'renderer' && type !== 'GPU') continue;
      const { peakBytes } = await memoryOf(pid);
      if (type === 'renderer') rendererBytes += peakBytes;
      else this.#gpuBytes = Math.max(this.#gpuBytes, peakBytes);
    }
    this.#rendererBytes = Math.max(this.#rendererBytes, rendererBytes);
  }
}

interface BrowserProcess {
  readonly pid: number;
  readonly type: string;
}

async function processes(session: CDPSession): Promise<BrowserProcess[]> {
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  return processInfo.map(({ id, type }) => ({ pid: id, type }));
}

/** Resident memory, with what is shared. */
async function memoryOf(pid: number): Promise<{ nowBytes: number; peakBytes: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  return { nowBytes: field('VmRSS'), peakBytes: field('VmHWM') };
}
