import type { ByteSource } from '../sources/byte-source.ts';
import type { Checkpoint } from './checkpoint.ts';
import { openGguf } from './gguf-checkpoint.ts';
import { chooseGguf, ggufPath, onlyGguf } from './gguf-files.ts';
import { openSafetensors } from './safetensors-checkpoint.ts';

/**
 * Opens a checkpoint: the GGUF file that the source's id names, or the only one that it lists; or else one in Hugging Face's
 * layout or in OpenAI's original one, at the source's root or below `original/`. Reads its JSON files and the headers of
 * its weights.
 *
 * @throws {@link OssicleError} `download-failed` where files are missing, `format-invalid` or `integrity` where they are
 * not what they should be.
 */
export async function openCheckpoint(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const path = await findGguf(source, signal);
  return path === undefined ? openSafetensors(source, signal) : openGguf(source, path, signal);
}

/** The GGUF file to open; `undefined` if the source holds a safetensors checkpoint. */
async function findGguf(source: ByteSource, signal?: AbortSignal): Promise<string | undefined> {
  const named = ggufPath(source.id);
  const isPicked = source.id.startsWith('files:');
  if (named !== undefined && !isPicked) return named;
  const paths = (await source.list?.(signal)) ?? [];
  return named === undefined ? chooseGguf(source.id, paths) : onlyGguf(paths);
}
