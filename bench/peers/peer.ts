import { type ChildProcess, fork, type Serializable } from 'node:child_process';
import { once } from 'node:events';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'puppeteer-core';
import { huggingFaceConfig } from '../../packages/core/test/config.ts';
import type { Side } from '../side.ts';
import { ggufPath, PEER_CONFIG } from './scratch.ts';

/** An engine with a model of {@link PEER_CONFIG}. */
export interface Peer {
  readonly name: string;
  /** Loads the model. Returns what the reader of its numbers must know; mostly nothing. */
  open(): Promise<string>;
  /** Evaluates a fresh prompt and decodes greedily. Returns milliseconds from the call to the last token. */
  generate(tokens: number, newTokens: number): Promise<number>;
  close(): Promise<void>;
}

const CONTEXT = 1024;

/** This library. */
export function ossiclePeer(side: Side): Peer {
  return {
    name: 'ossicle',
    open: async () => {
      await side.open('synthetic', undefined, {
        config: JSON.parse(huggingFaceConfig(PEER_CONFIG)),
        dense: 'int8',
        chunk: 512,
        context: CONTEXT,
        prompts: [1],
        depths: [1],
        decode: 1,
        temperature: 0,
        store: false,
      });
      return '';
    },
    generate: async (tokens, newTokens) => {
      const samples = await side.measure(`generate ${tokens} ${newTokens}`);
      return samples[0]?.value ?? 0;
    },
    close: () => side.close(),
  };
}

/** What the pages of peers define. */
interface PeerPage {
  open(): Promise<string>;
  generate(tokens: number, newTokens: number): Promise<number>;
}

declare global {
  var peer: PeerPage | undefined;
}

/** An engine that runs in a page of the same browser. */
export function pagePeer(name: string, browser: Browser, url: string): Peer {
  let page: Page | undefined;
  return {
    name,
    open: async () => {
      page = await browser.newPage();
      await page.goto(url);
      await page.waitForFunction(() => globalThis.peer !== undefined);
      return page.evaluate(() => (globalThis.peer as PeerPage).open());
    },
    generate: (tokens, newTokens) =>
      (page as Page).evaluate(
        (...args) => (globalThis.peer as PeerPage).generate(...args),
        tokens,
        newTokens,
      ),
    close: async () => {
      await page?.close();
    },
  };
}

/** llama.cpp in Node, by the binaries of node-llama-cpp: on a GPU by Vulkan, CUDA or Metal, else on the CPU. */
export function llamaPeer(folder: string): Peer {
  const entry = pathToFileURL(`${folder}/node_modules/node-llama-cpp/dist/index.js`).href;
  let child: ChildProcess | undefined;
  /** Sends a message; the next one that comes back. An error if the process ends instead. */
  const ask = async (message?: Serializable): Promise<unknown> => {
    const running = child as ChildProcess;
    const settled = new AbortController();
    const ended = async (): Promise<never> => {
      if (running.connected) await once(running, 'disconnect', settled);
      throw new Error('node-llama-cpp ended: see above');
    };
    if (message !== undefined) running.send(message, () => {}); // `ended` reports that it could not be sent
    try {
      const [answer] = await Promise.race([once(running, 'message', settled), ended()]);
      return answer;
    } finally {
      settled.abort();
    }
  };
  return {
    name: 'llama.cpp',
    open: async () => {
      const execPath = process.execPath;
      child = fork('bench/peers/llama.mjs', [entry, ggufPath(folder)], { execPath, execArgv: [] });
      return `native, on ${await ask()}`;
    },
    generate: async (tokens, newTokens) => {
      return Number(await ask([tokens, newTokens]));
    },
    close: async () => {
      child?.kill();
    },
  };
}
