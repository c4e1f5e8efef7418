import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createCheckpoint } from '../../packages/core/test/checkpoint.ts';
import { type Config, PRESETS } from '../../packages/core/test/config.ts';
import { createGguf } from '../../packages/core/test/gguf-checkpoint.ts';
import { writeOnnxModel } from './onnx-model.ts';

/** The packages that peers need, by peer, at the versions that were compared. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'transformers.js': ['@huggingface/transformers@4.3.1'],
  wllama: ['@wllama/wllama@3.8.1'],
  'llama.cpp': ['node-llama-cpp@3.22.1'],
};

/** Two layers of gpt-oss-20b at their true widths, with 8 experts and a small vocabulary: what fits in any memory. */
export const PEER_CONFIG: Config = {
  ...PRESETS['20b-2layers'],
  experts: 8,
  vocabulary: 2048,
  specialIds: { bos: 2045, pad: 2046, eos: 2047 },
};

/** Names of models change with what is written: old ones in a scratch folder are not used. */
const VERSION = 1;

/** Installs the packages of some peers into a folder of the user's cache, and writes the models there. Returns the folder. */
export async function prepareScratch(peers: readonly string[]): Promise<string> {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const folder = join(cache, 'ossicle', 'peers');
  await mkdir(folder, { recursive: true });
  await installPackages(folder, peers);
  for (const page of ['transformers.html', 'wllama.html']) {
    await copyFile(join('bench/peers', page), join(folder, page));
  }
  if (peers.includes('transformers.js')) await writeOnnxFolder(join(folder, 'models'));
  if (peers.some((peer) => peer !== 'transformers.js')) await writeGgufFile(ggufPath(folder));
  return folder;
}

/** Where the GGUF file of a scratch folder is. */
export function ggufPath(folder: string): string {
  return join(folder, 'models', `model-${VERSION}.gguf`);
}

async function installPackages(folder: string, peers: readonly string[]): Promise<void> {
  const file = join(folder, 'package.json');
  const { dependencies = {} } = existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : {};
  const missing = peers
    .flatMap((peer) => PACKAGES[peer] ?? [])
    .filter((name) => {
      const [, path = '', version = ''] = /^(.+)@([^@]+)$/.exec(name) ?? [];
      const isThere = existsSync(join(folder, 'node_modules', path));
      return !isThere || !String(dependencies[path]).endsWith(version);
    });
  if (missing.length === 0) return;
  console.error(`Installing ${missing.join(', ')} in ${folder}`);
  if (!existsSync(file)) await writeFile(file, '{"private":true}');
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', [...args, ...missing], { cwd: folder, stdio: ['ignore', 2, 2] });
}

/** The folder that transformers.js loads by its name. */
async function writeOnnxFolder(models: string): Promise<void> {
  const folder = join(models, `gpt-oss-onnx-${VERSION}`); // transformers.html names it
  if (existsSync(folder)) return;
  console.error(`Writing ${folder}`);
  const config = PEER_CONFIG;
  const partial = `${folder}.partial`;
  await mkdir(join(partial, 'onnx'), { recursive: true });
  await writePieces(join(partial, 'onnx', 'model_q4.onnx'), writeOnnxModel(config));
  const json = {
    architectures: ['GptOssForCausalLM'],
    model_type: 'gpt_oss',
    hidden_size: config.hidden,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    vocab_size: config.vocabulary,
    num_local_experts: config.experts,
    num_experts_per_tok: config.expertsPerToken,
    sliding_window: config.window,
    eos_token_id: config.specialIds?.eos,
    pad_token_id: config.specialIds?.pad,
    'transformers.js_config': { use_external_data_format: false },
  };
  await writeFile(join(partial, 'config.json'), JSON.stringify(json));
  const generation = { eos_token_id: config.specialIds?.eos, pad_token_id: config.specialIds?.pad };
  await writeFile(join(partial, 'generation_config.json'), JSON.stringify(generation));
  await rename(partial, folder);
}

async function writePieces(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (const piece of pieces) await file.writeFile(piece); // appends
  } finally {
    await file.close();
  }
}

/** Q8_0 and MXFP4, as ggml-org publishes gpt-oss. Every letter is a token: llama.cpp wants a tokenizer. */
async function writeGgufFile(path: string): Promise<void> {
  if (existsSync(path)) return;
  console.error(`Writing ${path}`);
  await mkdir(join(path, '..'), { recursive: true });
  const { tensors } = createCheckpoint(PEER_CONFIG);
  const { eos = 0 } = PEER_CONFIG.specialIds ?? {};
  const [file] = createGguf(PEER_CONFIG, tensors, {
    dense: 'Q8_0',
    tokenizer: {
      added_tokens: [{ id: eos, content: '<|return|>' }],
      model: {
        vocab: Object.fromEntries(byteCharacters().map((character, id) => [character, id])),
        merges: [],
      },
    },
    metadata: {
      'gpt-oss.attention.value_length': ['u32', PEER_CONFIG.headDim],
      'tokenizer.ggml.eos_token_id': ['u32', eos],
      'tokenizer.ggml.add_bos_token': ['bool', 0],
    },
  });
  await writePieces(`${path}.partial`, [new Uint8Array(await (file as File).arrayBuffer())]);
  await rename(`${path}.partial`, path);
}

/** The characters that stand for bytes in byte-level vocabularies. */
function byteCharacters(): string[] {
  let others = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    return String.fromCodePoint(isPrintable ? byte : others++);
  });
}
