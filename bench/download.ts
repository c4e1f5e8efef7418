// npm run bench -- download: see README.md.
import { createHash } from 'node:crypto';
import { appendFile } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { LANES } from '../packages/core/src/store/download.ts';
import { CHUNK_BYTES } from '../packages/core/src/store/manifest.ts';
import type { AdapterSummary } from '../packages/core/src/types/load.ts';
import { PRESETS } from '../packages/core/test/config.ts';
import {
  DownloadBrowser,
  type DownloadTask,
  type Stretch,
} from '../packages/core/test/download-browser.ts';
import { startFaultServer } from '../packages/core/test/fault-server.ts';
import { FaultSession } from '../packages/core/test/fault-session.ts';
import { createLazyCheckpoint } from '../packages/core/test/lazy-checkpoint.ts';
import { commitOf } from './commit.ts';
import { formatTable } from './records.ts';
import { type MemoryPeak, MemoryWatch } from './renderer-memory.ts';

/** Help on the command line. */
const USAGE = `Downloads a synthetic checkpoint into Chrome's store, kills the browser meanwhile, verifies what is stored, and loads it.

  npm run bench -- download [options]

  --layers N        layers of gpt-oss-20b; default: 24, which is 13.76 GB in three files
  --kill P,P        percentages of the bytes after which the browser is killed; default: 1,30,70,99
  --no-hashes       do not hash whole files
  --no-gpu          stop once everything is stored and verified
  --folder F        folder of the browser's profile, which holds the store; default: the temporary folder
  --json FILE       append one line of JSON for each stretch`;

/** Most memory that a renderer may use above its idle size while it loads or verifies. */
const MAX_RENDERER_BYTES = 200e6;

/**
 * The same for a download. If responses arrive faster than they are written, as from the same machine, Chrome holds the
 * 64 MiB in flight in about twice as much memory.
 */
const MAX_DOWNLOAD_RENDERER_BYTES = 230e6;

/** Bytes of a file that are generated and hashed at a time. */
const PIECE_BYTES = 4 * 2 ** 20;

/** Positions of the KV cache: few, since this measures weights. */
const CONTEXT_LENGTH = 256;

/**
 * Measures, prints a table, and appends JSON lines.
 *
 * @throws Error if the browser fetched too much again, used too much memory, or stored anything but what was published.
 */
export async function benchDownload(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', default: false },
      layers: { type: 'string', default: String(PRESETS['20b'].layers) },
      kill: { type: 'string', default: '1,30,70,99' },
      'no-hashes': { type: 'boolean', default: false },
      'no-gpu': { type: 'boolean', default: false },
      folder: { type: 'string', default: tmpdir() },
      json: { type: 'string' },
    },
  });
  if (values.help) return void console.log(USAGE);
  const { files } = createLazyCheckpoint({ ...PRESETS['20b'], layers: Number(values.layers) });
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  console.log(`${files.length} files, ${gigabytes(totalBytes)}`);
  const integrity = values['no-hashes'] ? {} : await hashAll(files);
  const server = await startFaultServer('.', files);
  const browser = await DownloadBrowser.create(values.folder);
  try {
    const session = await FaultSession.start(server.url, {});
    const task: DownloadTask = {
      url: session.url,
      files: files.map(({ name, size }) => ({ path: name, sizeBytes: size })),
      integrity,
      isLoad: true,
    };
    const kills =
      values.kill === '' ? [] : values.kill.split(',').map((part) => Number(part) / 100);
    const bench = new DownloadBench(
      browser,
      session,
      task,
      totalBytes,
      values.json,
      `download ${args.join(' ')}`.trim(),
    );
    try {
      await bench.download(kills);
      await bench.verify();
      if (!values['no-gpu']) await bench.load();
    } finally {
      bench.print();
    }
    bench.check();
  } finally {
    await browser.close();
    await server.close();
  }
}

/** One stretch of the download or load, and its cost. */
interface StretchRecord extends Omit<Stretch, 'phase'> {
  readonly phase: Stretch['phase'] | 'store.verify';
  /** Whether the browser was killed at its end. */
  readonly isKilled?: boolean;
  /** Bytes that the server sent but that were not stored. */
  refetchedBytes?: number;
  /** Requests that resumed a response which had broken off or stalled. */
  brokenRequests?: number;
  /** Peak memory during this stretch, or during all phases of a load. */
  readonly memory?: MemoryPeak | undefined;
  /** The adapter of a load. */
  readonly adapter?: AdapterSummary;
}

/** The stretches of one run, and the bounds they must keep. */
class DownloadBench {
  readonly #browser: DownloadBrowser;
  readonly #session: FaultSession;
  readonly #task: DownloadTask;
  readonly #totalBytes: number;
  readonly #records: StretchRecord[] = [];
  readonly #broken: string[] = [];
  readonly #json: string | undefined;
  readonly #command: string;
  #version = '';
  #saved = 0;

  constructor(
    browser: DownloadBrowser,
    session: FaultSession,
    task: DownloadTask,
    totalBytes: number,
    json: string | undefined,
    command: string,
  ) {
    this.#json = json;
    this.#command = command;
    this.#browser = browser;
    this.#session = session;
    this.#task = task;
    this.#totalBytes = totalBytes;
  }

  /** @param kills - Fractions of all bytes after which the browser is killed. */
  async download(kills: readonly number[]): Promise<void> {
    let killed: { record: StretchRecord; sentBytes: number } | undefined;
    for (const part of [...kills, 1]) {
      const isKilled = part < 1;
      await this.#session.script();
      const [stretch, memory] = await this.#watched(() =>
        this.#browser.download(this.#task, isKilled ? part * this.#totalBytes : undefined),
      );
      if (killed) {
        const { record, sentBytes } = killed;
        record.refetchedBytes = sentBytes - (stretch.startBytes - record.startBytes);
      }
      const record: StretchRecord = { ...stretch, isKilled, memory };
      this.#add(record);
      if (isKilled) await this.#browser.kill();
      const sentBytes = await this.#session.sentBytes();
      const log = await this.#session.log();
      record.brokenRequests = log.filter(
        ({ range }) => range && range[0] % CHUNK_BYTES !== 0,
      ).length;
      killed = { record, sentBytes };
      if (!isKilled) record.refetchedBytes = sentBytes - (stretch.endBytes - stretch.startBytes);
    }
    await this.#save();
    await this.#browser.stop();
  }

  /** Compares everything stored with its hashes. */
  async verify(): Promise<void> {
    const { url } = this.#task;
    const [{ seconds, found, models }, memory] = await this.#watched(async () => {
      const startMs = performance.now();
      const result = await this.#browser.verify(url);
      const duration = (performance.now() - startMs) / 1000;
      return { seconds: duration, found: result, models: await this.#browser.list() };
    });
    const endBytes = found.checkedBytes;
    this.#add({ phase: 'store.verify', startBytes: 0, endBytes, seconds, memory });
    if (!found.isIntact || endBytes !== this.#totalBytes || models[0]?.complete !== true) {
      this.#broken.push(`what is stored is not whole: ${JSON.stringify({ found, models })}`);
    }
    await this.#save();
    await this.#browser.stop();
  }

  /** Loads the model from the store, without a request. */
  async load(): Promise<void> {
    await this.#session.script();
    const [{ phases, adapter }, memory] = await this.#watched(() =>
      this.#browser.load(this.#task.url, {
        contextLength: CONTEXT_LENGTH,
        integrity: this.#task.integrity,
      }),
    );
    for (const phase of phases) this.#add({ ...phase, memory, adapter });
    const requests = await this.#session.log();
    if (requests.length > 0) this.#broken.push(`the load made ${requests.length} requests`);
    await this.#save();
    await this.#browser.stop();
  }

  /** Prints the stretches. */
  print(): void {
    const rows = this.#records.map(({ memory, ...record }) => {
      const bytes = record.endBytes - record.startBytes;
      return [
        record.phase + (record.isKilled ? ', killed' : ''),
        (record.startBytes / 1e9).toFixed(2),
        (record.endBytes / 1e9).toFixed(2),
        record.seconds.toFixed(1),
        bytes > 0 ? (bytes / 1e9 / record.seconds).toFixed(3) : '',
        record.refetchedBytes === undefined ? '' : (record.refetchedBytes / 1e6).toFixed(1),
        memory ? (memory.rendererBytes / 1e6).toFixed(0) : '',
        memory ? (memory.gpuBytes / 1e6).toFixed(0) : '',
      ];
    });
    const header = [
      'stretch',
      'from GB',
      'to GB',
      's',
      'GB/s',
      'refetched MB',
      'renderer +MB',
      'GPU process MB',
    ];
    console.log(formatTable(header, rows));
  }

  /** Appends new records to the JSON file. */
  async #save(): Promise<void> {
    if (this.#json === undefined) return;
    const about = {
      runtime: this.#version,
      date: new Date().toISOString(),
      commit: commitOf(process.cwd()),
      loadAverage: loadavg()[0],
      command: this.#command,
    };
    const lines = this.#records
      .slice(this.#saved)
      .map((record) => `${JSON.stringify({ ...record, ...about })}\n`);
    this.#saved = this.#records.length;
    await appendFile(this.#json, lines.join(''));
  }

  /** @throws Error if a bound was broken. */
  check(): void {
    const inFlight = LANES * CHUNK_BYTES + this.#task.files.length; // plus one byte of each file, for its version
    for (const { phase, endBytes, refetchedBytes = 0, memory } of this.#records) {
      const place = `${phase} up to ${gigabytes(endBytes)}`;
      if (refetchedBytes > inFlight) {
        this.#broken.push(
          `${place}: ${refetchedBytes} bytes fetched again, at most ${inFlight} may have been in flight`,
        );
      }
      const maxBytes = phase === 'download' ? MAX_DOWNLOAD_RENDERER_BYTES : MAX_RENDERER_BYTES;
      if ((memory?.rendererBytes ?? 0) > maxBytes) {
        this.#broken.push(`${place}: the renderer grew by ${memory?.rendererBytes} bytes`);
      }
    }
    if (this.#broken.length > 0) throw new Error(`Bounds broken:\n${this.#broken.join('\n')}`);
  }

  /** Starts a browser, and watches its memory during `work`. */
  async #watched<T>(work: () => Promise<T>): Promise<[T, MemoryPeak | undefined]> {
    const browser = await this.#browser.start();
    this.#version = await browser.version();
    const watch = await MemoryWatch.start(browser);
    try {
      return [await work(), await watch?.stop()];
    } finally {
      await watch?.stop();
    }
  }

  #add(record: StretchRecord): void {
    this.#records.push(record);
    const { phase, startBytes, endBytes, seconds } = record;
    console.log(
      `${phase}: ${gigabytes(startBytes)} to ${gigabytes(endBytes)}, ${seconds.toFixed(1)} s`,
    );
  }
}

/** The SHA-256 of each file, in hexadecimal. */
async function hashAll(files: readonly File[]): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const file of files) {
    const hash = createHash('sha256');
    for (let at = 0; at < file.size; at += PIECE_BYTES) {
      hash.update(
        new Uint8Array(await file.slice(at, Math.min(file.size, at + PIECE_BYTES)).arrayBuffer()),
      );
    }
    hashes[file.name] = hash.digest('hex');
    console.log(`${hashes[file.name]}  ${file.size}  ${file.name}`);
  }
  return hashes;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
