import type { ModelConfig } from './config.ts';

/**
 * Where a checkpoint comes from: a Hugging Face repo (`owner/name`, `owner/name@revision`) or a GGUF file of one
 * (`owner/name/file.gguf`, `owner/name/file.gguf@revision`), the URL of a folder or of a GGUF file, or local files.
 */
export type ModelSource = string | URL | Iterable<File> | FileSystemDirectoryHandle;

/** How far a load has come. Bytes count the current phase only. */
export interface LoadProgress {
  /**
   * `download`: source to store; `verify`: checking what is stored; `upload`: weights to the GPU; `compile`: waiting for
   * shaders, before and after the upload, which has no bytes; `ready`: done.
   */
  readonly phase: 'download' | 'verify' | 'upload' | 'compile' | 'ready';
  /** Bytes done in this phase. */
  readonly loadedBytes: number;
  /** Bytes that this phase has in all. */
  readonly totalBytes: number;
  /** Mean speed over the last seconds. */
  readonly bytesPerSecond: number;
  /** Seconds left in this phase at that speed; `undefined` until it can be told. */
  readonly etaSeconds?: number;
}

/** How the dense weights (attention, embedding, unembedding) are held on the GPU: 8 bits in groups of 32, or as published. */
export type DenseFormat = 'int8' | 'bf16';

/** How keys and values are held on the GPU. */
export type KvCacheFormat = 'f16' | 'f32';

/** How repos of Hugging Face are read. */
export interface HuggingFaceOptions {
  /**
   * An access token, for private repos and those whose terms have to be accepted. It is sent to the host of
   * {@link HuggingFaceOptions.baseUrl} alone, also where that redirects elsewhere, and is neither stored nor shown. Whoever
   * uses the page can read it: use their own token, or one that may only read.
   */
  readonly token?: string;
  /** The address of a mirror with the same paths, such as `https://hf-mirror.example`. Default: `https://huggingface.co`. */
  readonly baseUrl?: string;
}

/** Options of loading, shared by page and engine. */
export interface LoadOptions {
  /** The most tokens that a conversation may hold. Default: 8192, or the model's own limit where that is less. */
  readonly contextLength?: number;
  /** How dense weights are held. Default: `int8`. */
  readonly dense?: DenseFormat;
  /** How keys and values are held. Default: `f16` with `int8` weights, `f32` with `bf16` weights. */
  readonly kvCache?: KvCacheFormat;
  /** The most tokens of one forward pass: more read the weights less often, fewer take less memory. Default: 512. */
  readonly prefillChunkLength?: number;
  /** Whether the bytes are kept in the browser's private file system. Default: true. */
  readonly store?: boolean;
  /** How repos of Hugging Face are read. */
  readonly huggingFace?: HuggingFaceOptions;
  /**
   * The SHA-256 that files must have, in hexadecimal digits, by their paths within the source. They take the place of those
   * that Hugging Face tells, and of those of openai/gpt-oss-20b that the library knows. Checked when the files are stored: needs the store.
   */
  readonly integrity?: Readonly<Record<string, string>>;
  /**
   * Called as bytes arrive, at most about ten times a second and at each change of phase. What it throws is reported as
   * the error of an event listener is; the load goes on.
   */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Aborts the load; what is stored is kept. */
  readonly signal?: AbortSignal;
}

/** A GPU adapter, as far as the browser tells. */
export interface AdapterSummary {
  /** For example `apple`. */
  readonly vendor: string;
  /** For example `metal-3`. */
  readonly architecture: string;
  /** A name for people, where the browser gives one. */
  readonly description: string;
  /** The largest buffer, in bytes. */
  readonly maxBufferBytes: number;
  /** The most that one binding of a storage buffer can hold, in bytes. */
  readonly maxBindingBytes: number;
}

/** A loaded model. */
export interface ModelInfo {
  /** What it was loaded from: `owner/name@revision`, a folder's address, or `files:…`. */
  readonly id: string;
  /** The numbers of config.json. */
  readonly config: ModelConfig;
  /** Weights of the whole model. */
  readonly parameterCount: number;
  /** The most tokens that a conversation may hold. */
  readonly contextLength: number;
  /** How the dense weights are held. */
  readonly dense: DenseFormat;
  /** How keys and values are held. */
  readonly kvCache: KvCacheFormat;
  /** Bytes on the GPU: weights, activations and one conversation. */
  readonly gpuBytes: number;
  /** The adapter in use. */
  readonly adapter: AdapterSummary;
}
