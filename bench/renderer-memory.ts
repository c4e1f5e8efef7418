import { readFile, writeFile } from 'node:fs/promises';
import type { Browser, CDPSession } from 'puppeteer-core';

/** Time between two readings. */
const INTERVAL_MS = 100;

/** Peak memory of a browser's processes. */
export interface MemoryPeak {
  /** Growth of the renderer that grew most: its resident peak above its size when idle, in bytes. */
  readonly rendererBytes: number;
  /** Resident peak of the GPU process, in bytes. */
  readonly gpuBytes: number;
}

/** Watches the memory of a browser's processes; on Linux only, which has their peaks in /proc. */
export class MemoryWatch {
  readonly #session: CDPSession;
  /** Resident bytes of the idle renderers, by process id. Chrome starts spare ones later, which do not count. */
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

  /** Starts watching an idle browser. @returns `undefined` if the system does not report memory. */
  static async start(browser: Browser): Promise<MemoryWatch | undefined> {
    if (process.platform !== 'linux') return undefined;
    const session = await browser.target().createCDPSession();
    const idleBytes = new Map<number, number>();
    for (const { pid, type } of await processes(session)) {
      if (type !== 'renderer') continue;
      await writeFile(`/proc/${pid}/clear_refs`, '5'); // resets the peak
      idleBytes.set(pid, (await memoryOf(pid)).nowBytes);
    }
    return new MemoryWatch(session, idleBytes);
  }

  /** Stops watching. A process that has ended counts with its last reading. */
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

/** Resident memory, shared pages included. */
async function memoryOf(pid: number): Promise<{ nowBytes: number; peakBytes: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  return { nowBytes: field('VmRSS'), peakBytes: field('VmHWM') };
}
