import type { SourceFile } from '../sources/byte-source.ts';
import type { CheckpointExperts, CheckpointTensor } from './checkpoint-tensor.ts';

/** A gpt-oss checkpoint whose headers are read and checked: its config, its files, and where its tensors lie. */
export interface Checkpoint {
  /** The parsed config.json, in the fields of its layout; for GGUF, the same from the metadata. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Whose names the files use: Hugging Face's, those of OpenAI's `original/`, or those of GGUF files. */
  readonly layout: 'hf' | 'original' | 'gguf';
  /** Every file that loading needs, in a fixed order. */
  readonly files: readonly SourceFile[];
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
