import { OssicleError } from '../errors.ts';
import { type ByteSource, isSafePath, missing } from './byte-source.ts';
import { type Dtype, readSafetensorsHeader, type SafetensorsEntry } from './safetensors.ts';
import { publishedNames } from './tensor-names.ts';

const MAX_CONFIG_BYTES = 2 ** 20;
const MAX_SHARDS = 256;

/** The most shards that are looked for where no index names them. */
const MAX_GUESSED_SHARDS = 16;

/** A file of a checkpoint. */
export interface CheckpointFile {
  /** Its path within the source. */
  readonly path: string;
  /** Its size. */
  readonly sizeBytes: number;
}

/** A contiguous part of a file. */
export interface TensorPiece {
  /** The file's path within the source. */
  readonly path: string;
  /** Where the part begins, from the file's start. */
  readonly offsetBytes: number;
  /** How long it is. */
  readonly sizeBytes: number;
}

/** A tensor as it lies in the checkpoint. */
export interface CheckpointTensor {
  /** Its name in OpenAI's original layout. */
  readonly name: string;
  /** The type of its elements. */
  readonly dtype: Dtype;
  /** Its extents, outermost first. */
  readonly shape: readonly number[];
  /** Its bytes: the pieces one after another, each of whole rows of the first dimension. */
  readonly pieces: readonly TensorPiece[];
}

type Json = Record<string, unknown>;
type Directory = ReadonlyMap<string, SafetensorsEntry & { readonly path: string }>;

/** A gpt-oss checkpoint whose headers are read and checked: its config, its files, and where its tensors lie. */
export class Checkpoint {
  /** The parsed config.json, in the fields of its layout. */
  readonly config: Readonly<Json>;
  /** Whose names the files use: Hugging Face's, or those of OpenAI's `original/`. */
  readonly layout: 'hf' | 'original';
  /** Every file that loading needs, in a fixed order. */
  readonly files: readonly CheckpointFile[];
  /** The parsed generation_config.json, where there is one. */
  readonly generationConfig: Readonly<Json> | undefined;
  /** The parsed tokenizer_config.json, where there is one. */
  readonly tokenizerConfig: Readonly<Json> | undefined;
  readonly #source: ByteSource;
  readonly #directory: Directory;

  /** @internal Made by {@link openCheckpoint}. */
  constructor(
    source: ByteSource,
    directory: Directory,
    parts: Pick<Checkpoint, 'config' | 'files' | 'generationConfig' | 'tokenizerConfig'>,
  ) {
    this.#source = source;
    this.#directory = directory;
    this.config = parts.config;
    this.files = parts.files;
    this.generationConfig = parts.generationConfig;
    this.tokenizerConfig = parts.tokenizerConfig;
    this.layout = directory.has('model.embed_tokens.weight') ? 'hf' : 'original';
  }

  /** The bytes of all files. */
  get totalBytes(): number {
    return this.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** Reads and parses tokenizer.json; `undefined` where there is none. */
  tokenizer(signal?: AbortSignal): Promise<unknown> {
    const file = this.files.find(({ path }) => /(^|\/)tokenizer\.json$/.test(path));
    return file ? readJson(this.#source, file.path, signal) : Promise.resolve(undefined);
  }

  /**
   * Finds a tensor.
   *
   * @param name - Its name in OpenAI's original layout, for example `block.0.attn.qkv.weight`.
   * @throws {@link OssicleError} `format-invalid` where it is not there, or its parts do not fit together.
   */
  tensor(name: string): CheckpointTensor {
    const names = this.layout === 'hf' ? publishedNames(name) : [name];
    const parts = names.map((published) => {
      const entry = this.#directory.get(published);
      if (!entry) {
        const alias = published === name ? '' : ` (${published})`;
        throw invalid(
          `${this.#source.id} has no tensor ${name}${alias} among the ${this.#directory.size} in its files. ` +
            'It is not a gpt-oss checkpoint with MXFP4 experts, or not all of one.',
        );
      }
      return { ...entry, published };
    });
    const [first] = parts as [(typeof parts)[number]];
    for (const { published, path, dtype, shape } of parts) {
      if (dtype !== first.dtype || shape.slice(1).join() !== first.shape.slice(1).join()) {
        throw invalid(
          `${published} in ${path} is ${format(dtype, shape)}, which does not go with ` +
            `${first.published} in ${first.path}, ${format(first.dtype, first.shape)}.`,
        );
      }
    }
    return {
      name,
      dtype: first.dtype,
      shape:
        parts.length === 1
          ? first.shape
          : [parts.reduce((rows, { shape }) => rows + (shape[0] ?? 0), 0), ...first.shape.slice(1)],
      pieces: parts.map(({ path, offsetBytes, sizeBytes }) => ({ path, offsetBytes, sizeBytes })),
    };
  }

  /**
   * Finds a tensor that must have a given type and shape.
   *
   * @param dtype - The type, or those that will do.
   * @throws {@link OssicleError} `format-invalid` where it is not there, or is something else.
   */
  expect(
    name: string,
    dtype: Dtype | readonly Dtype[],
    shape: readonly number[],
  ): CheckpointTensor {
    const tensor = this.tensor(name);
    const dtypes: readonly Dtype[] = typeof dtype === 'string' ? [dtype] : dtype;
    if (!dtypes.includes(tensor.dtype) || tensor.shape.join() !== shape.join()) {
      const paths = new Set(tensor.pieces.map(({ path }) => path));
      throw invalid(
        `${name} in ${[...paths].join(', ')} is ${format(tensor.dtype, tensor.shape)}; ` +
          `the model's config asks for ${format(dtypes.join(' or '), shape)}.`,
      );
    }
    return tensor;
  }
}

/**
 * Opens a checkpoint in Hugging Face's layout or in OpenAI's original one, at the source's root or below `original/`.
 * Reads its JSON files and the headers of its weights.
 *
 * @throws {@link OssicleError} `download-failed` where files are missing, `format-invalid` or `integrity` where they are
 * not what they should be.
 */
export async function openCheckpoint(
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
      `${source.id} has no config.json, neither at its root nor below original/. Check the name of the source.`,
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
  const find = async (name: string): Promise<CheckpointFile | undefined> => {
    for (const path of new Set([folder + name, name])) {
      const sizeBytes = await source.size(path, signal);
      if (sizeBytes !== undefined) return { path, sizeBytes };
    }
    return undefined;
  };
  const [configFile, indexFile, generation, tokenizerConfig, tokenizer, headers] =
    await Promise.all([
      find('config.json'),
      index && find('model.safetensors.index.json'),
      find('generation_config.json'),
      find('tokenizer_config.json'),
      find('tokenizer.json'),
      Promise.all(
        shards.map(({ path, sizeBytes }) => readSafetensorsHeader(source, path, sizeBytes, signal)),
      ),
    ]);
  const small = [configFile, indexFile, generation, tokenizerConfig, tokenizer];
  return new Checkpoint(source, mergeHeaders(source, folder, shards, headers, index), {
    config,
    files: [...small.filter((file) => file !== undefined), ...shards],
    generationConfig: generation && (await readJson(source, generation.path, signal)),
    tokenizerConfig: tokenizerConfig && (await readJson(source, tokenizerConfig.path, signal)),
  });
}

interface Weights {
  /** Tensor name to file name, where an index says so. */
  readonly index: ReadonlyMap<string, string> | undefined;
  readonly shards: readonly CheckpointFile[];
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
): Promise<CheckpointFile[]> {
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
  shards: readonly CheckpointFile[],
  headers: readonly ReadonlyMap<string, SafetensorsEntry>[],
  index: ReadonlyMap<string, string> | undefined,
): Directory {
  const directory = new Map<string, SafetensorsEntry & { path: string }>();
  shards.forEach(({ path }, i) => {
    for (const [name, entry] of headers[i] ?? []) {
      const other = directory.get(name);
      if (other) throw invalid(`${source.id} has ${name} both in ${other.path} and in ${path}.`);
      directory.set(name, { ...entry, path });
    }
  });
  for (const [name, file] of index ?? []) {
    if (directory.get(name)?.path !== folder + file) {
      throw invalid(`The index of ${source.id} puts ${name} into ${file}, but it is not in there.`);
    }
  }
  return directory;
}

/** Reads a file that holds a JSON object; `undefined` where there is no such file. */
async function readJson(
  source: ByteSource,
  path: string,
  signal: AbortSignal | undefined,
  maxBytes?: number,
): Promise<Json | undefined> {
  const bytes = await source.readAll(path, signal, maxBytes);
  if (!bytes) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw invalid(`${path} of ${source.id} is not JSON.`, cause);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw invalid(`${path} of ${source.id} is not a JSON object.`);
}

function format(dtype: string, shape: readonly number[]): string {
  return `${dtype} [${shape.join(', ')}]`;
}

function invalid(message: string, cause?: unknown): OssicleError {
  return new OssicleError('format-invalid', message, { cause });
}
