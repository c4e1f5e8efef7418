import { formatInvalid, OssicleError } from '../errors.ts';
import {
  type ByteSource,
  findFile,
  isSafePath,
  requireFiles,
  type SourceFile,
} from '../sources/byte-source.ts';
import { displayName } from '../sources/display-name.ts';
import type { Checkpoint } from './checkpoint.ts';
import { type CheckpointTensor, joinTensors, type PublishedTensor } from './checkpoint-tensor.ts';
import { isJsonObject, type Json, readJson } from './json-file.ts';
import { readSafetensorsHeader } from './safetensors.ts';
import { publishedNames } from './tensor-names.ts';
import { checkQuantization, checkTensorNames, checkTypes, findOtherFormat } from './unsupported.ts';

const INDEX = 'model.safetensors.index.json';
const MAX_CONFIG_BYTES = 2 ** 20;
const MAX_SHARDS = 256;

/** The most shards that are looked for if no index names them. */
const MAX_GUESSED_SHARDS = 16;

/** The weight files of a checkpoint. */
interface Weights {
  /** Tensor name to path, if there is an index. */
  readonly index?: ReadonlyMap<string, string>;
  readonly shards: readonly SourceFile[];
}

/**
 * Opens a checkpoint in Hugging Face's or OpenAI's original layout, at the source's root or below `original/`. Reads
 * its JSON files and the headers of its weights.
 *
 * @throws {@link OssicleError} `download-failed` if files are missing, `format-invalid` or `integrity` if they are
 * broken, `format-unsupported` if the weights are in another format.
 */
export async function openSafetensors(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  let folderWithConfig: string | undefined;
  let firstConfig: Json | undefined;
  for (const folder of ['', 'original/']) {
    const options = { signal, maxBytes: MAX_CONFIG_BYTES };
    const config = await readJson(source, `${folder}config.json`, options);
    if (!config) continue;
    folderWithConfig ??= folder;
    firstConfig ??= config;
    const weights = await findWeights(source, folder, signal);
    if (!weights) continue;
    checkQuantization(source.id, config);
    const [files, tensors] = await Promise.all([
      findSmallFiles(source, folder, weights, signal),
      readTensors(source, weights, signal),
    ]);
    checkTensorNames(source.id, config, tensors.keys());
    checkTypes(source.id, config, tensors);
    return createCheckpoint(source, config, [...files, ...weights.shards], tensors);
  }
  const otherFormat = await findOtherFormat(source, firstConfig, signal);
  if (otherFormat) throw otherFormat;
  const name = displayName(source.id);
  if (folderWithConfig === undefined) {
    throw new OssicleError(
      'download-failed',
      `There is no config.json in ${name}, neither at its root nor below original/. Check the name of the source; ` +
        'for a GGUF file, give the address of the file itself, or owner/name/file.gguf.',
    );
  }
  throw new OssicleError(
    'download-failed',
    `Beside ${folderWithConfig}config.json of ${name}, there is neither ${INDEX}, nor ` +
      'model.safetensors, nor shards of it. Check that the checkpoint is complete, and in safetensors format.',
  );
}

function createCheckpoint(
  source: ByteSource,
  config: Json,
  files: readonly SourceFile[],
  tensors: ReadonlyMap<string, PublishedTensor>,
): Checkpoint {
  const layout = tensors.has('model.embed_tokens.weight') ? 'hf' : 'original';
  const tokenizer = files.find(({ path }) => /(^|\/)tokenizer\.json$/.test(path));
  const namesOf = (name: string): readonly string[] =>
    layout === 'hf' ? publishedNames(name, 'hf') : [name];
  const tensor = (name: string): CheckpointTensor => {
    const pieces = namesOf(name).map((published) => {
      const found = tensors.get(published);
      if (found) return found;
      const alias = published === name ? '' : ` (${published})`;
      throw formatInvalid(
        `There is no tensor ${name}${alias} among the ${tensors.size} of ${displayName(source.id)}. ` +
          'It is not a gpt-oss checkpoint, or not a complete one.',
      );
    });
    return joinTensors(name, pieces);
  };
  return {
    config,
    layout,
    files,
    tokenizer: async (abort) => tokenizer && readJson(source, tokenizer.path, { signal: abort }),
    tensor,
    experts: (name) => {
      // transformers unpacks experts to train them, and saves them under the name that begins those of blocks and
      // scales.
      if (layout === 'hf' && namesOf(name).every((part) => tensors.has(part))) {
        return { form: 'columns', weight: tensor(name) };
      }
      const [blocks, scales] = [tensor(`${name}.blocks`), tensor(`${name}.scales`)];
      return { form: 'blocks-and-scales', blocks, scales };
    },
  };
}

/** Finds the other files that loading needs. Tokenizers lie at the root, even for weights below `original/`. */
async function findSmallFiles(
  source: ByteSource,
  folder: string,
  { index }: Weights,
  signal: AbortSignal | undefined,
): Promise<SourceFile[]> {
  const find = async (name: string): Promise<SourceFile | undefined> =>
    (await findFile(source, folder + name, signal)) ??
    (folder === '' ? undefined : findFile(source, name, signal));
  const names = ['config.json', ...(index ? [INDEX] : []), 'tokenizer.json'];
  const files = await Promise.all(names.map(find));
  return files.filter((file) => file !== undefined);
}

async function findWeights(
  source: ByteSource,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<Weights | undefined> {
  const json = await readJson(source, folder + INDEX, { signal });
  if (json) {
    const index = parseIndex(json, folder);
    const paths = [...new Set(index.values())].sort();
    return { index, shards: await requireFiles(source, paths, signal) };
  }
  const single = await findFile(source, `${folder}model.safetensors`, signal);
  if (single) return { shards: [single] };
  const paths = await guessShards(source, folder, signal);
  return paths && { shards: await requireFiles(source, paths, signal) };
}

/**
 * Finds shards without an index. OpenAI names them `model--00001-of-00007`, gpt-oss `model-00000-of-00002`, of which
 * there are three, and Hugging Face `model-00001-of-00003`. The second comes before the third, whose first file it also
 * has.
 */
async function guessShards(
  source: ByteSource,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<string[] | undefined> {
  const digits = (number: number): string => String(number).padStart(5, '0');
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

/** Reads the index in a folder: tensor name to path within the source. */
function parseIndex({ weight_map: map }: Json, folder: string): Map<string, string> {
  const path = folder + INDEX;
  if (!isJsonObject(map)) throw formatInvalid(`${path} has no weight_map.`);
  const index = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !isSafePath(file) || !file.endsWith('.safetensors')) {
      throw formatInvalid(
        `${path} puts ${name} in the file ${JSON.stringify(file)}, which is not a safetensors file beside it.`,
      );
    }
    index.set(name, folder + file);
  }
  const count = new Set(index.values()).size;
  if (count === 0 || count > MAX_SHARDS) {
    throw formatInvalid(`${path} names ${count} files; 1 to ${MAX_SHARDS} can be loaded.`);
  }
  return index;
}

/** Reads the headers of all shards, by tensor name. */
async function readTensors(
  source: ByteSource,
  { index, shards }: Weights,
  signal: AbortSignal | undefined,
): Promise<Map<string, PublishedTensor>> {
  const headers = await Promise.all(
    shards.map((shard) => readSafetensorsHeader(source, shard, signal)),
  );
  const tensors = new Map<string, PublishedTensor>();
  shards.forEach(({ path }, i) => {
    for (const [name, { dtype: encoding, ...place }] of headers[i] ?? []) {
      const other = tensors.get(name);
      if (other) {
        throw formatInvalid(
          `The tensor ${name} of ${displayName(source.id)} is both in ${other.path} and in ${path}.`,
        );
      }
      tensors.set(name, { name, path, encoding, ...place });
    }
  });
  for (const [name, path] of index ?? []) {
    if (tensors.get(name)?.path !== path) {
      throw formatInvalid(
        `The index of ${displayName(source.id)} puts ${name} in ${path}, but it is not there.`,
      );
    }
  }
  return tensors;
}
