import { OssicleError } from '../errors.ts';
import type { SourceFile } from '../sources/byte-source.ts';
import { type ByteSource, isSafePath, missing } from '../sources/byte-source.ts';
import type { Checkpoint } from './checkpoint.ts';
import {
  type CheckpointExperts,
  type CheckpointTensor,
  joinTensors,
  type PublishedTensor,
} from './checkpoint-tensor.ts';
import { type Json, readJson } from './json-file.ts';
import { readSafetensorsHeader, type SafetensorsEntry } from './safetensors.ts';
import { publishedNames } from './tensor-names.ts';

const MAX_CONFIG_BYTES = 2 ** 20;
const MAX_SHARDS = 256;

/** The most shards that are looked for where no index names them. */
const MAX_GUESSED_SHARDS = 16;

type Directory = ReadonlyMap<string, PublishedTensor>;

/** A checkpoint of safetensors files. */
class SafetensorsCheckpoint implements Checkpoint {
  readonly config: Readonly<Json>;
  readonly layout: 'hf' | 'original';
  readonly files: readonly SourceFile[];
  readonly #source: ByteSource;
  readonly #directory: Directory;

  constructor(
    source: ByteSource,
    directory: Directory,
    config: Readonly<Json>,
    files: readonly SourceFile[],
  ) {
    this.#source = source;
    this.#directory = directory;
    this.config = config;
    this.files = files;
    this.layout = directory.has('model.embed_tokens.weight') ? 'hf' : 'original';
  }

  get totalBytes(): number {
    return this.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  tokenizer(signal?: AbortSignal): Promise<unknown> {
    const file = this.files.find(({ path }) => /(^|\/)tokenizer\.json$/.test(path));
    return file ? readJson(this.#source, file.path, signal) : Promise.resolve(undefined);
  }

  tensor(name: string): CheckpointTensor {
    const pieces = this.#names(name).map((published) => {
      const entry = this.#directory.get(published);
      if (entry) return entry;
      const alias = published === name ? '' : ` (${published})`;
      throw invalid(
        `${this.#source.id} has no tensor ${name}${alias} among the ${this.#directory.size} in its files. ` +
          'It is not a gpt-oss checkpoint, or not all of one.',
      );
    });
    return joinTensors(name, pieces);
  }

  experts(name: string): CheckpointExperts {
    // What transformers has unpacked, to train it, it saves as numbers, under the name that the blocks' begins with.
    if (this.layout === 'hf' && this.#names(name).every((part) => this.#directory.has(part))) {
      return { form: 'columns', weight: this.tensor(name) };
    }
    const [blocks, scales] = [this.tensor(`${name}.blocks`), this.tensor(`${name}.scales`)];
    return { form: 'blocks-and-scales', blocks, scales };
  }

  #names(name: string): readonly string[] {
    return this.layout === 'hf' ? publishedNames(name, 'hf') : [name];
  }
}

/**
 * Opens a checkpoint in Hugging Face's layout or in OpenAI's original one, at the source's root or below `original/`.
 * Reads its JSON files and the headers of its weights.
 *
 * @throws {@link OssicleError} `download-failed` where files are missing, `format-invalid` or `integrity` where they are
 * not what they should be.
 */
export async function openSafetensors(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  let folderWithConfig: string | undefined;
  for (const folder of ['', 'original/']) {
    const config = await readJson(source, `${folder}config.json`, signal, MAX_CONFIG_BYTES);
    if (!config) continue;
    folderWithConfig ??= folder;
    const found = await findWeights(source, folder, signal);
    if (found) return open(source, folder, config, found, signal);
  }
  if (folderWithConfig === undefined) {
    throw new OssicleError(
      'download-failed',
      `${source.id} has no config.json, neither at its root nor below original/. Check the name of the source; ` +
        'of a GGUF file, give the address of the file itself, or owner/name/file.gguf.',
    );
  }
  throw new OssicleError(
    'download-failed',
    `${source.id} has ${folderWithConfig}config.json, but beside it neither model.safetensors.index.json, nor ` +
      'model.safetensors, nor shards of it. Check that the checkpoint is complete, and in safetensors format.',
  );
}

async function open(
  source: ByteSource,
  folder: string,
  config: Json,
  { index, shards }: Weights,
  signal: AbortSignal | undefined,
): Promise<Checkpoint> {
  // Tokenizer files lie at the root of a repo, also for the weights below original/.
  const find = async (name: string): Promise<SourceFile | undefined> => {
    for (const path of new Set([folder + name, name])) {
      const sizeBytes = await source.size(path, signal);
      if (sizeBytes !== undefined) return { path, sizeBytes };
    }
    return undefined;
  };
  const [configFile, indexFile, tokenizer, headers] = await Promise.all([
    find('config.json'),
    index && find('model.safetensors.index.json'),
    find('tokenizer.json'),
    Promise.all(
      shards.map(({ path, sizeBytes }) => readSafetensorsHeader(source, path, sizeBytes, signal)),
    ),
  ]);
  const small = [configFile, indexFile, tokenizer].filter((file) => file !== undefined);
  const directory = mergeHeaders(source, folder, shards, headers, index);
  return new SafetensorsCheckpoint(source, directory, config, [...small, ...shards]);
}

interface Weights {
  /** Tensor name to file name, where an index says so. */
  readonly index: ReadonlyMap<string, string> | undefined;
  readonly shards: readonly SourceFile[];
}

async function findWeights(
  source: ByteSource,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<Weights | undefined> {
  const indexPath = `${folder}model.safetensors.index.json`;
  const json = await readJson(source, indexPath, signal);
  if (json) {
    const index = parseIndex(json, indexPath);
    const names = [...new Set(index.values())].sort();
    return {
      index,
      shards: await sizes(
        source,
        names.map((name) => folder + name),
        signal,
      ),
    };
  }
  const single = `${folder}model.safetensors`;
  const sizeBytes = await source.size(single, signal);
  if (sizeBytes !== undefined) return { index: undefined, shards: [{ path: single, sizeBytes }] };
  const names = await guessShards(source, folder, signal);
  return names && { index: undefined, shards: await sizes(source, names, signal) };
}

/**
 * The shards' names where no index gives them: `model--00001-of-00007` is OpenAI's way, `model-00000-of-00002`, of which
 * there are three, gpt-oss's own, and `model-00001-of-00003` Hugging Face's. The second before the third, whose first
 * file it also has.
 */
async function guessShards(
  source: ByteSource,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<string[] | undefined> {
  const name = (prefix: string, number: number, last: number): string =>
    `${folder}${prefix}${digits(number)}-of-${digits(last)}.safetensors`;
  const numbers = Array.from({ length: MAX_GUESSED_SHARDS }, (_, i) => i + 1);
  const schemes = numbers.flatMap((last) => [
    numbers.slice(0, last).map((number) => name('model--', number, last)),
    [0, ...numbers.slice(0, last)].map((number) => name('model-', number, last)),
    numbers.slice(0, last).map((number) => name('model-', number, last)),
  ]);
  const found = await Promise.all(schemes.map(([first = '']) => source.size(first, signal)));
  return schemes.find((_, i) => found[i] !== undefined);
}

function digits(number: number): string {
  return String(number).padStart(5, '0');
}

function sizes(
  source: ByteSource,
  paths: readonly string[],
  signal: AbortSignal | undefined,
): Promise<SourceFile[]> {
  return Promise.all(
    paths.map(async (path) => {
      const sizeBytes = await source.size(path, signal);
      if (sizeBytes === undefined) throw missing(path, source.id);
      return { path, sizeBytes };
    }),
  );
}

function parseIndex({ weight_map: map }: Json, path: string): Map<string, string> {
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw invalid(`${path} has no weight_map.`);
  }
  const index = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !isSafePath(file) || !file.endsWith('.safetensors')) {
      throw invalid(
        `${path} puts ${name} into the file ${JSON.stringify(file)}, which is no safetensors file beside it.`,
      );
    }
    index.set(name, file);
  }
  const count = new Set(index.values()).size;
  if (count === 0 || count > MAX_SHARDS) {
    throw invalid(`${path} names ${count} files; 1 to ${MAX_SHARDS} can be loaded.`);
  }
  return index;
}

function mergeHeaders(
  source: ByteSource,
  folder: string,
  shards: readonly SourceFile[],
  headers: readonly ReadonlyMap<string, SafetensorsEntry>[],
  index: ReadonlyMap<string, string> | undefined,
): Directory {
  const directory = new Map<string, PublishedTensor>();
  shards.forEach(({ path }, i) => {
    for (const [name, { dtype: encoding, ...place }] of headers[i] ?? []) {
      const other = directory.get(name);
      if (other) throw invalid(`${source.id} has ${name} both in ${other.path} and in ${path}.`);
      directory.set(name, { name, path, encoding, ...place });
    }
  });
  for (const [name, file] of index ?? []) {
    if (directory.get(name)?.path !== folder + file) {
      throw invalid(`The index of ${source.id} puts ${name} into ${file}, but it is not in there.`);
    }
  }
  return directory;
}

function invalid(message: string, cause?: unknown): OssicleError {
  return new OssicleError('format-invalid', message, { cause });
}
