import { OssicleError } from '../errors.ts';
import type { SourceFile } from '../sources/byte-source.ts';
import { type ByteSource, missing } from '../sources/byte-source.ts';
import type { Checkpoint } from './checkpoint.ts';
import {
  type CheckpointExperts,
  type CheckpointTensor,
  joinTensors,
  type PublishedTensor,
} from './checkpoint-tensor.ts';
import { type GgufHeader, invalid, readGgufHeader } from './gguf.ts';
import { ggufConfig } from './gguf-config.ts';
import { splitParts } from './gguf-files.ts';
import { ggufTokenizer } from './gguf-tokenizer.ts';
import { type Json, readJson } from './json-file.ts';
import { publishedNames } from './tensor-names.ts';

/**
 * Opens a GGUF file, or all parts of a split one. A tokenizer.json beside it is used in place of its own tokenizer.
 *
 * @param path - The file, or one of the parts.
 * @throws {@link OssicleError} `download-failed` where files are missing, `format-invalid` or `integrity` where they are
 * not what they should be.
 */
export async function openGguf(
  source: ByteSource,
  path: string,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const weights = await Promise.all(
    splitParts(path).map(async (part) => {
      const sizeBytes = await source.size(part, signal);
      if (sizeBytes === undefined) throw missing(part, source.id);
      return { path: part, sizeBytes };
    }),
  );
  const headers = await Promise.all(
    weights.map((file) => readGgufHeader(source, file.path, file.sizeBytes, signal)),
  );
  checkSplit(weights, headers);
  const [first] = weights;
  const { metadata } = headers[0] ?? {};
  if (!first || !metadata) throw missing(path, source.id);
  const tensors = mergeTensors(weights, headers);
  const embedding = tensors.get('token_embd.weight');
  const config = ggufConfig(first.path, metadata, embedding?.shape[0]);
  const sizeBytes = await source.size('tokenizer.json', signal);
  const tokenizer = sizeBytes === undefined ? undefined : { path: 'tokenizer.json', sizeBytes };
  const readTokenizer = (abort?: AbortSignal): Promise<unknown> =>
    tokenizer
      ? readJson(source, tokenizer.path, abort)
      : ggufTokenizer(source, first, metadata, abort);
  const files = tokenizer ? [tokenizer, ...weights] : weights;
  return new GgufCheckpoint(config, files, tensors, readTokenizer);
}

/** A checkpoint of one GGUF file, or of a split one. */
class GgufCheckpoint implements Checkpoint {
  readonly config: Readonly<Json>;
  readonly layout = 'gguf';
  readonly files: readonly SourceFile[];
  readonly tokenizer: (signal?: AbortSignal) => Promise<unknown>;
  readonly #tensors: ReadonlyMap<string, PublishedTensor>;

  constructor(
    config: Readonly<Json>,
    files: readonly SourceFile[],
    tensors: ReadonlyMap<string, PublishedTensor>,
    tokenizer: (signal?: AbortSignal) => Promise<unknown>,
  ) {
    this.config = config;
    this.files = files;
    this.tokenizer = tokenizer;
    this.#tensors = tensors;
  }

  get totalBytes(): number {
    return this.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  tensor(name: string): CheckpointTensor {
    const pieces = publishedNames(name, 'gguf').map((published) => {
      const tensor = this.#tensors.get(published);
      if (tensor) return tensor;
      throw new OssicleError(
        'format-invalid',
        `${this.files.at(-1)?.path} has no tensor ${published} (${name}) among its ${this.#tensors.size}. ` +
          'It is not a gpt-oss checkpoint, or not all of one.',
      );
    });
    return joinTensors(name, pieces, /\.mlp1_/.test(name) ? 'alternating' : 'consecutive');
  }

  experts(name: string): CheckpointExperts {
    return { form: 'rows', weight: this.tensor(name) };
  }
}

/** Each part of a split file says which it is, and how many tensors all have; files that are whole may say nothing. */
function checkSplit(files: readonly SourceFile[], headers: readonly GgufHeader[]): void {
  const tensors = headers.reduce((sum, header) => sum + header.tensors.size, 0);
  const check = (key: string, expected: (part: number) => number): void => {
    headers.forEach(({ metadata }, part) => {
      const value = metadata.get(key);
      const isWhole = files.length === 1 && (value === undefined || value === 0);
      if (value === expected(part) || isWhole) return;
      throw invalid(
        files[part]?.path ?? '',
        `it says ${key} ${String(value)} where ${expected(part)} was expected`,
      );
    });
  };
  check('split.no', (part) => part);
  check('split.count', () => files.length);
  check('split.tensors.count', () => tensors);
}

function mergeTensors(
  files: readonly SourceFile[],
  headers: readonly GgufHeader[],
): Map<string, PublishedTensor> {
  const tensors = new Map<string, PublishedTensor>();
  files.forEach(({ path }, i) => {
    for (const [name, { type: encoding, ...place }] of headers[i]?.tensors ?? []) {
      const other = tensors.get(name);
      if (other) throw invalid(path, `it has the tensor ${name}, which is in ${other.path} too`);
      tensors.set(name, { name, path, encoding, ...place });
    }
  });
  return tensors;
}
