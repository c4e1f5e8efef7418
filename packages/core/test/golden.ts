/** Reads the golden files in `golden/`, in Node and in Chrome. */

import { type Config, parseConfig } from './config.ts';
import { readTestFile, readTestJson } from './files.ts';
import { readSafetensors, type Tensor } from './safetensors-file.ts';

const FOLDER = 'packages/core/test/golden';

/** Reads a golden JSON file, given its path in `golden/`. */
export function readGoldenJson<T>(path: string): Promise<T> {
  return readTestJson<T>(`${FOLDER}/${path}`);
}

/** Reads the tensors of a golden safetensors file, given its path in `golden/`. */
export async function readGoldenTensors(path: string): Promise<Map<string, Tensor>> {
  return readSafetensors(await readTestFile(`${FOLDER}/${path}`));
}

const TINY_FILES = {
  hf: [
    'config.json',
    'generation_config.json',
    'model.safetensors.index.json',
    'model-00000-of-00002.safetensors',
    'model-00001-of-00002.safetensors',
    'model-00002-of-00002.safetensors',
  ],
  original: ['config.json', 'dtypes.json', 'model.safetensors'],
} as const;

/** Reads the tiny checkpoint as a GGUF file. */
export async function readTinyGguf(): Promise<File> {
  return new File([await readTestFile(`${FOLDER}/tiny/gguf/model.gguf`)], 'model.gguf');
}

/** The tiny checkpoint. */
export interface TinyCheckpoint {
  /** Its configuration, from config.json. */
  readonly config: Config;
  /** Its tensors, by their names in the layout. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The files for an engine to load. */
  readonly files: readonly File[];
}

/** Reads the tiny checkpoint in one of its layouts. */
export async function readTiny(layout: keyof typeof TINY_FILES): Promise<TinyCheckpoint> {
  const files = await Promise.all(
    TINY_FILES[layout].map(async (name) => ({
      name,
      bytes: await readTestFile(`${FOLDER}/tiny/${layout}/${name}`),
    })),
  );
  const shards = files.filter(({ name }) => name.endsWith('.safetensors'));
  return {
    config: parseConfig(await readGoldenJson(`tiny/${layout}/config.json`)),
    tensors: new Map(shards.flatMap(({ bytes }) => [...readSafetensors(bytes)])),
    files: files.map(({ name, bytes }) => new File([bytes], name)),
  };
}

/** Prompts for the tiny checkpoint. */
export interface TinyPrompts {
  /** Token ids by the name of the prompt. */
  readonly prompts: { readonly [name: string]: { readonly tokens: readonly number[] } };
}

/** The greedy continuations of the tiny checkpoint. */
export interface TinyGreedy {
  /** 64 tokens after each prompt; `margin` is the top-1 minus the top-2 logit. */
  readonly continuations: {
    readonly [name: string]: {
      readonly prompt: readonly number[];
      readonly tokens: readonly number[];
      readonly steps: readonly { readonly token: number; readonly margin: number }[];
    };
  };
}

/** The first position with golden logits in each prompt, and the number of rows. */
export interface TinyLogitRows {
  /** By the name of the prompt. */
  readonly prompts: {
    readonly [name: string]: { readonly first_position: number; readonly rows: number };
  };
}

/** `nano.json`: recorded greedy conversations of the embedded model. */
export interface NanoGolden {
  readonly conversations: readonly {
    readonly skill: string;
    readonly prompt: string;
    readonly prompt_ids: readonly number[];
    readonly completion: string;
    readonly completion_ids: readonly number[];
    /** The smallest gap between the two best logits over the completion. */
    readonly min_margin: number;
  }[];
}
