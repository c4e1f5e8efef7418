import type { SourceFile } from '../sources/byte-source.ts';
import type { CheckpointExperts, CheckpointTensor } from './checkpoint-tensor.ts';

/** A gpt-oss checkpoint whose headers are read and checked. */
export interface Checkpoint {
  /** The parsed config.json; for GGUF, the same fields from the metadata. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Whose tensor names the files use: Hugging Face's, those of OpenAI's `original/`, or those of GGUF files. */
  readonly layout: 'hf' | 'original' | 'gguf';
  /** Every file that loading needs, in a fixed order. */
  readonly files: readonly SourceFile[];
  /** Reads tokenizer.json, or builds one from the metadata of a GGUF file; `undefined` if there is neither. */
  tokenizer(signal?: AbortSignal): Promise<unknown>;
  /**
   * Finds a tensor.
   *
   * @param name - Its name in OpenAI's original layout, for example `block.0.attn.qkv.weight`.
   * @throws {@link OssicleError} `format-invalid` if it is missing, or its parts do not match.
   */
  tensor(name: string): CheckpointTensor;
  /**
   * Finds a matrix of all experts.
   *
   * @param name - Its name in OpenAI's original layout, without `.blocks` and `.scales`: `block.0.mlp.mlp1_weight`.
   * @throws {@link OssicleError} `format-invalid` if it is missing, or its parts do not match.
   */
  experts(name: string): CheckpointExperts;
}
