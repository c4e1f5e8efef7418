import type { ByteSource } from './byte-source.ts';
import type { CheckpointExperts, CheckpointTensor } from './checkpoint-tensor.ts';
import { openGguf } from './gguf-checkpoint.ts';
import { chooseGguf, ggufPath } from './gguf-files.ts';
import { openSafetensors } from './safetensors-checkpoint.ts';

/** A file of a checkpoint. */
export interface CheckpointFile {
  /** Its path within the source. */
  readonly path: string;
  /** Its size. */
  readonly sizeBytes: number;
}

/** A gpt-oss checkpoint whose headers are read and checked: its config, its files, and where its tensors lie. */
export interface Checkpoint {
  /** The parsed config.json, in the fields of its layout; for GGUF, the same from the metadata. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Whose names the files use: Hugging Face's, those of OpenAI's `original/`, or those of GGUF files. */
  readonly layout: 'hf' | 'original' | 'gguf';
  /** Every file that loading needs, in a fixed order. */
  readonly files: readonly CheckpointFile[];
  /** The bytes of all files. */
  readonly totalBytes: number;
  /** Reads and parses tokenizer.json, or makes one of the metadata of a GGUF file; `undefined` where there is neither. */
  tokenizer(signal?: AbortSignal): Promise<unknown>;
  /**
   * Finds a tensor.
   *
   * @param name - Its name in OpenAI's original layout, for example `block.0.attn.qkv.weight`.
   * @throws {@link OssicleError} `format-invalid` where it is not there, or its parts do not fit together.
   */
  tensor(name: string): CheckpointTensor;
  /**
   * Finds a matrix of all experts.
   *
   * @param name - Its name in OpenAI's original layout, without `.blocks` and `.scales`: `block.0.mlp.mlp1_weight`.
   * @throws {@link OssicleError} `format-invalid` where it is not there, or its parts do not fit together.
   */
  experts(name: string): CheckpointExperts;
}

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
  const listed = async () => chooseGguf(source.id, (await source.list?.(signal)) ?? []);
  const path = ggufPath(source.id) ?? (await listed());
  return path === undefined ? openSafetensors(source, signal) : openGguf(source, path, signal);
}
