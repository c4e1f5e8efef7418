import { readFile, writeFile } from 'node:fs/promises';
import type { Browser, CDPSession } from 'puppeteer-core';

/** How often memory is looked at. */
const INTERVAL_MS = 100;

/** What a browser's processes took. */
export interface MemoryPeak {
  /** The most that the page's renderer had resident above what it had before, in bytes: of all, the one that grew most. */
  readonly rendererBytes: number;
  /** The most that the GPU's process had resident, in bytes. */
  readonly gpuBytes: number;
}

/** Watches a browser's processes. Only on Linux, which tells their peaks in /proc. */
export class MemoryWatch {
  readonly #session: CDPSession;
  /** What renderers had resident before, by their process ids. Chrome starts others later, for pages to come. */
  readonly #idleBytes: ReadonlyMap<number, number>;
  readonly #timer: NodeJS.Timeout;
  #rendererBytes = 0;
  #gpuBytes = 0;
  #reading: Promise<void> = Promise.resolve();

  private constructor(session: CDPSession, idleBytes: ReadonlyMap<number, number>) {
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
    const idleBytes = new Map<number, number>();
    for (const { pid, type } of await processes(session)) {
      if (type !== 'renderer') continue;
      await writeFile(`/proc/${pid}/clear_refs`, '5'); // forgets the peak so far
      idleBytes.set(pid, (await memoryOf(pid)).nowBytes);
    }
    return new MemoryWatch(session, idleBytes);
  }

  /** Ends. Processes that are gone by now count as they were looked at last. */
  async stop(): Promise<MemoryPeak> {
    clearInterval(this.#timer);
    await this.#reading;
    await this.#read().catch(() => undefined); // the browser was killed
    return { rendererBytes: this.#rendererBytes, gpuBytes: this.#gpuBytes };
  }

  async #read(): Promise<void> {
    for (const { pid, type } of await processes(this.#session)) {
      const idleBytes = this.#idleBytes.get(pid);
      if (idleBytes === undefined && type !== 'GPU') continue;
      const { peakBytes } = await memoryOf(pid);
      if (type === 'GPU') this.#gpuBytes = Math.max(this.#gpuBytes, peakBytes);
      else this.#rendererBytes = Math.max(this.#rendererBytes, peakBytes - (idleBytes ?? 0));
    }
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
