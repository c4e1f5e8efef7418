import { formatInvalid } from '../errors.ts';
import { isSafePath } from '../sources/byte-source.ts';
import { displayName } from '../sources/display-name.ts';
import { claimedId, parseRepo } from '../sources/repo.ts';

/** How llama.cpp names the parts of a split file. */
const SPLIT_NAME = /^(.*)-(\d{5})-of-(\d{5})(\.gguf)$/i;

const MAX_PARTS = 256;

/** The GGUF file that a source's id names, if it names one; of a split one, any part. */
export function ggufPath(id: string): string | undefined {
  const name = claimedId(id);
  const repo = parseRepo(name);
  if (repo) return repo.file;
  return /(?:^files:|\/)([^/#]+\.gguf)(?:#[\da-f]*)?$/i.exec(name)?.[1];
}

/**
 * The GGUF model directly in a picked folder; of a split one, the first part.
 *
 * @throws {@link OssicleError} `format-invalid` with the names, if there are several.
 */
export function onlyGguf(paths: readonly string[]): string | undefined {
  const models = ggufModels(paths.filter((path) => !path.includes('/')));
  if (models.length > 1) {
    throw formatInvalid(
      `There are ${models.length} GGUF models in one folder: ${models.join(', ')}. Pick the files of one of them.`,
    );
  }
  return models[0];
}

/** The GGUF models among a source's files: the only file or the first part of each. */
function ggufModels(paths: readonly string[]): string[] {
  const models = new Map<string, string>();
  for (const path of paths.filter((name) => /\.gguf$/i.test(name)).sort()) {
    const model = path.replace(SPLIT_NAME, '$1$4');
    if (!models.has(model)) models.set(model, path);
  }
  return [...models.values()];
}

/**
 * The GGUF model of a repo without safetensors files; `undefined` if there is none.
 *
 * @throws {@link OssicleError} `format-invalid` with the names, if there are several.
 */
export function chooseGguf(id: string, paths: readonly string[]): string | undefined {
  if (paths.some((path) => /^(original\/)?[^/]+\.safetensors$/.test(path))) return undefined;
  const [model, ...others] = ggufModels(paths.filter(isSafePath));
  if (model === undefined || others.length === 0) return model;
  const { name = id, revision = 'main' } = parseRepo(claimedId(id)) ?? {};
  const at = revision === 'main' ? '' : `@${revision}`;
  throw formatInvalid(
    `${displayName(id)} has ${others.length + 1} GGUF models: ${[model, ...others].join(', ')}. Name one of them as the source, as in ` +
      `${JSON.stringify(`${name}/${model}${at}`)}.`,
  );
}

/**
 * The names of all parts of a split file, given any of them; other names stand for themselves.
 *
 * @throws {@link OssicleError} `format-invalid` if the numbers in the name are impossible.
 */
export function splitParts(path: string): readonly string[] {
  const [, stem, number, count, extension] = SPLIT_NAME.exec(path) ?? [];
  if (stem === undefined) return [path];
  const parts = Number(count);
  if (!(parts >= 1 && parts <= MAX_PARTS && Number(number) >= 1 && Number(number) <= parts)) {
    throw formatInvalid(
      `${path} names part ${Number(number)} of ${parts}; 1 to ${MAX_PARTS} parts can be loaded. Check the name.`,
    );
  }
  return Array.from({ length: parts }, (_, i) => {
    const digits = String(i + 1).padStart(5, '0');
    return `${stem}-${digits}-of-${count}${extension}`;
  });
}
