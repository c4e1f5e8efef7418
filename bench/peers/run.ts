// npm run bench:peers: see ../README.md.
import { appendFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { serveFolder } from '../../scripts/static-server.ts';
import { startChrome } from '../chrome-runtime.ts';
import { commitOf } from '../commit.ts';
import { adapterName, formatNumber, isSoftware, median } from '../records.ts';
import { llamaPeer, ossiclePeer, type Peer, pagePeer } from './peer.ts';
import { PACKAGES, prepareScratch } from './scratch.ts';

const USAGE = `Compares with other engines: the same shapes, greedy, in turn, in the same Chrome (llama.cpp: in Node). Installs them into the
user's cache folder.

  npm run bench:peers -- [options]

  --peers P,P     ${Object.keys(PACKAGES).join(',')}: default: all
  --prompt N,N    lengths to prefill; default: 11,64,256
  --decode N      tokens to decode after the shortest prompt; default: 8
  --repeat N      rounds, after one that is not counted; 0: the first one counts; default: 3
  --software      Chrome on SwiftShader even if there is a GPU
  --json FILE     append a line of JSON`;

/** Times of one peer by measurement; `undefined` once something failed. */
interface Contestant {
  readonly peer: Peer;
  readonly times: Map<string, number[]>;
  note: string;
  isOut: boolean;
}

/** Prints a table of times and ratios. @throws Error if ossicle itself fails. */
export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean' },
      peers: { type: 'string', default: Object.keys(PACKAGES).join(',') },
      prompt: { type: 'string', default: '11,64,256' },
      decode: { type: 'string', default: '8' },
      repeat: { type: 'string', default: '3' },
      software: { type: 'boolean', default: false },
      json: { type: 'string' },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const names = values.peers.split(',');
  const unknown = names.find((name) => !Object.hasOwn(PACKAGES, name));
  if (unknown !== undefined) throw new RangeError(`--peers: there is no ${unknown}`);
  const prompts = values.prompt.split(',').map(Number);
  const decode = Number(values.decode);
  const folder = await prepareScratch(names);
  const server = await serveFolder(folder, 0, {
    'Cross-Origin-Opener-Policy': 'same-origin', // for threads of WASM
    'Cross-Origin-Embedder-Policy': 'require-corp',
  });
  const chrome = await startChrome(values.software);
  try {
    const side = await chrome.start(process.cwd());
    const makers: Readonly<Record<string, () => Peer>> = {
      'transformers.js': () =>
        pagePeer('transformers.js', chrome.browser, `${server.url}/transformers.html`),
      wllama: () => pagePeer('wllama', chrome.browser, `${server.url}/wllama.html`),
      'llama.cpp': () => llamaPeer(folder),
    };
    const peers = [ossiclePeer(side), ...names.map((name) => (makers[name] as () => Peer)())];
    const contestants = peers.map(
      (peer): Contestant => ({ peer, times: new Map(), note: '', isOut: false }),
    );
    for (const each of contestants)
      await attempt(each, 'open', async () => {
        each.note = await each.peer.open();
      });
    await compete(contestants, prompts, decode, Number(values.repeat));
    const title = `${adapterName(side.adapter)}, Chrome ${chrome.version}`;
    console.log(`\n${title}\n\n${markdownTable(contestants)}`);
    if (isSoftware(side.adapter)) console.log('\nA software adapter: only ratios mean anything.');
    if (values.json !== undefined) {
      const results = contestants.map(({ peer, times, note }) => ({
        name: peer.name,
        note,
        milliseconds: Object.fromEntries(times),
      }));
      const line = {
        date: new Date().toISOString(),
        commit: commitOf(process.cwd()),
        command: `npm run bench:peers -- ${args.join(' ')}`,
        adapter: side.adapter,
        packages: names.flatMap((name) => PACKAGES[name] ?? []),
        results,
      };
      await appendFile(values.json, `${JSON.stringify(line)}\n`);
    }
    for (const { peer } of contestants) await peer.close();
    if (contestants[0]?.isOut) throw new Error(contestants[0].note);
  } finally {
    await chrome.dispose();
    await server.close();
  }
}

/** In each round, everyone takes each measurement in turn. */
async function compete(
  contestants: readonly Contestant[],
  prompts: readonly number[],
  decode: number,
  repeat: number,
): Promise<void> {
  for (let round = 0; round <= repeat; round++) {
    for (const tokens of prompts) {
      for (const each of contestants) {
        const isLast = tokens === Math.min(...prompts);
        await attempt(each, `round ${round} of ${repeat}, ${tokens} tokens`, async () => {
          const firstMs = await each.peer.generate(tokens, 1);
          const samples: [string, number][] = [[`first token of ${tokens}`, firstMs]];
          if (isLast) {
            const allMs = await each.peer.generate(tokens, 1 + decode);
            samples.push(['decoded token', (allMs - firstMs) / decode]);
          }
          if (round === 0 && repeat > 0) return;
          for (const [name, ms] of samples) {
            each.times.set(name, [...(each.times.get(name) ?? []), ms]);
          }
        });
      }
    }
  }
}

/** A peer that fails is out, and the table says why. */
async function attempt(each: Contestant, what: string, work: () => Promise<void>): Promise<void> {
  if (each.isOut) return;
  console.error(`${each.peer.name}: ${what}`);
  try {
    await work();
  } catch (error) {
    each.isOut = true;
    each.note = `${what} failed: ${error instanceof Error ? error.message.split('\n')[0] : error}`;
    console.error(each.note);
  }
}

/** Milliseconds, and how many times ours they are. */
function markdownTable(contestants: readonly Contestant[]): string {
  const [ours] = contestants as [Contestant];
  const rows = [...ours.times].map(([name, times]) => {
    const own = median(times);
    const cells = contestants.slice(1).map((each) => {
      const others = each.times.get(name);
      if (!others) return '';
      const ms = median(others);
      return `${formatNumber(ms)} (${(ms / own).toFixed(2)})`;
    });
    return [name, formatNumber(own), ...cells];
  });
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const titles = ['ms (times ours)', ...contestants.map(({ peer }) => peer.name)];
  const notes = contestants.filter(({ note }) => note !== '');
  return [
    line(titles),
    line(titles.map(() => '---')),
    ...rows.map(line),
    ...notes.map(({ peer, note }) => `\n${peer.name}: ${note}`),
  ].join('\n');
}
