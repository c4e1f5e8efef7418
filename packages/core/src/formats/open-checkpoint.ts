import type { ByteSource } from '../sources/byte-source.ts';
import type { Checkpoint } from './checkpoint.ts';
import { openGguf } from './gguf-checkpoint.ts';
import { chooseGguf, ggufPath, onlyGguf } from './gguf-files.ts';
import { openSafetensors } from './safetensors-checkpoint.ts';

/**
 * Opens a checkpoint: the GGUF file that the source's id names, or the only one that it lists; otherwise safetensors
 * files in Hugging Face's or OpenAI's original layout, at the source's root or below `original/`. Reads the JSON files
 * and the headers of the weights.
 *
 * @throws {@link OssicleError} `download-failed` if files are missing, `format-invalid` or `integrity` if they are
 * broken, `format-unsupported` if the weights are in a format that ossicle does not read.
 */
export async function openCheckpoint(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const path = await findGguf(source, signal);
  return path === undefined ? openSafetensors(source, signal) : openGguf(source, path, signal);
}

/** The GGUF file to open; `undefined` if the source has a safetensors checkpoint. */
async function findGguf(source: ByteSource, signal?: AbortSignal): Promise<string | undefined> {
  const named = ggufPath(source.id);
  const isPicked = source.id.startsWith('files:');
  if (named !== undefined && !isPicked) return named;
  const paths = await source.list(signal);
  return named === undefined ? chooseGguf(source.id, paths) : onlyGguf(paths);
}
