import { formatInvalid } from '../errors.ts';
import {
  type ByteSource,
  findFile,
  requireFiles,
  type SourceFile,
} from '../sources/byte-source.ts';
import type { Checkpoint } from './checkpoint.ts';
import { type CheckpointTensor, joinTensors, type PublishedTensor } from './checkpoint-tensor.ts';
import { type GgufHeader, invalid, readGgufHeader } from './gguf.ts';
import { ggufConfig } from './gguf-config.ts';
import { splitParts } from './gguf-files.ts';
import { ggufTokenizer } from './gguf-tokenizer.ts';
import { readJson } from './json-file.ts';
import { publishedNames } from './tensor-names.ts';
import { checkTypes, ggufAdapter } from './unsupported.ts';

/**
 * Opens a GGUF file, or all parts of a split one. A tokenizer.json beside it replaces its own tokenizer.
 *
 * @param path - The file, or any part of it.
 * @throws {@link OssicleError} `download-failed` if files are missing, `format-invalid` or `integrity` if they are
 * broken, `format-unsupported` if its tensors have types that cannot be read, or it is an adapter.
 */
export async function openGguf(
  source: ByteSource,
  path: string,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const parts = await requireFiles(source, splitParts(path), signal);
  const headers = await Promise.all(parts.map((part) => readGgufHeader(source, part, signal)));
  checkSplit(parts, headers);
  const [first] = parts as [SourceFile];
  const [{ metadata }] = headers as [GgufHeader];
  if (metadata.get('general.type') === 'adapter') throw ggufAdapter(first.path);
  const tensors = mergeTensors(parts, headers);
  const layers = metadata.get('gpt-oss.block_count');
  if (metadata.get('general.architecture') === 'gpt-oss') {
    checkTypes(first.path, { num_hidden_layers: layers }, tensors);
  }
  const config = ggufConfig(first.path, metadata, tensors.get('token_embd.weight')?.shape[0]);
  const tokenizer = await findFile(source, 'tokenizer.json', signal);
  const tensor = (name: string): CheckpointTensor => {
    const pieces = publishedNames(name, 'gguf').map((published) => {
      const found = tensors.get(published);
      if (found) return found;
      throw formatInvalid(
        `${parts.at(-1)?.path} has no tensor ${published} (${name}) among its ${tensors.size}. ` +
          'It is not a gpt-oss checkpoint, or not a complete one.',
      );
    });
    return joinTensors(name, pieces, /\.mlp1_/.test(name) ? 'alternating' : 'consecutive');
  };
  return {
    config,
    layout: 'gguf',
    files: tokenizer ? [tokenizer, ...parts] : parts,
    tokenizer: async (abort) =>
      tokenizer
        ? readJson(source, tokenizer.path, { signal: abort })
        : ggufTokenizer(source, first, metadata, abort),
    tensor,
    experts: (name) => ({ form: 'rows', weight: tensor(name) }),
  };
}

/** Each part of a split file has its number and the tensor count of all parts; whole files may have neither. */
function checkSplit(parts: readonly SourceFile[], headers: readonly GgufHeader[]): void {
  const tensors = headers.reduce((sum, header) => sum + header.tensors.size, 0);
  const check = (key: string, expected: (part: number) => number): void => {
    headers.forEach(({ metadata }, part) => {
      const value = metadata.get(key);
      const isWhole = parts.length === 1 && (value === undefined || value === 0);
      if (value === expected(part) || isWhole) return;
      const { path } = parts[part] as SourceFile;
      throw invalid(path, `it says ${key} ${String(value)}, but ${expected(part)} was expected`);
    });
  };
  check('split.no', (part) => part);
  check('split.count', () => parts.length);
  check('split.tensors.count', () => tensors);
}

function mergeTensors(
  parts: readonly SourceFile[],
  headers: readonly GgufHeader[],
): Map<string, PublishedTensor> {
  const tensors = new Map<string, PublishedTensor>();
  parts.forEach(({ path }, i) => {
    for (const [name, { type: encoding, ...place }] of headers[i]?.tensors ?? []) {
      const other = tensors.get(name);
      if (other) throw invalid(path, `it has the tensor ${name}, which is also in ${other.path}`);
      tensors.set(name, { name, path, encoding, ...place });
    }
  });
  return tensors;
}
