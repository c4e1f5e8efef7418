import type { ModelConfig } from './config.ts';

/**
 * Where a checkpoint comes from: a Hugging Face repo (`owner/name`, `owner/name@revision`) or a GGUF file in one
 * (`owner/name/file.gguf`, `owner/name/file.gguf@revision`), the URL of a folder or of a GGUF file, local files, or an
 * imported model (`import:owner/name`).
 */
export type ModelSource = string | URL | Iterable<File> | FileSystemDirectoryHandle;

/** The progress of a load. Bytes count the current phase only. */
export interface LoadProgress {
  /**
   * `download`: from the source to the store; `verify`: checking stored files; `upload`: weights to the GPU; `compile`:
   * waiting for shaders, before and after the upload, without bytes; `ready`: done.
   */
  readonly phase: 'download' | 'verify' | 'upload' | 'compile' | 'ready';
  /** Bytes done in this phase. */
  readonly loadedBytes: number;
  /** All bytes of this phase. */
  readonly totalBytes: number;
  /** The mean speed over the last few seconds. */
  readonly bytesPerSecond: number;
  /** Seconds left in this phase at that speed; `undefined` until there is an estimate. */
  readonly etaSeconds?: number;
}

/** How the GPU stores dense weights (attention and both embeddings): 8 bits in groups of 32, or as published. */
export type DenseFormat = 'int8' | 'bf16';

/** How the GPU stores keys and values: `int8` in 7-bit integers, of which four share a scale. */
export type KvCacheFormat = 'int8' | 'f16' | 'f32';

/** How a prefill multiplies: in float, or activations rounded to 8 bits in groups of 32. */
export type PrefillArithmetic = 'float' | 'int8';

/** How Hugging Face repos are read. */
export interface HuggingFaceOptions {
  /**
   * An access token, for private and gated repos. It is sent to the host of {@link HuggingFaceOptions.baseUrl} only,
   * even if that redirects elsewhere, and is neither stored nor shown. Anyone who uses the page can read it: use their
   * own token, or a read-only one.
   */
  readonly token?: string;
  /**
   * The address of a mirror with the same paths, such as `https://hf-mirror.example`. What is read through a mirror is
   * stored apart, and served to loads through that mirror only. Default: `https://huggingface.co`.
   */
  readonly baseUrl?: string;
}

/** Options of a load, shared by page and engine. */
export interface LoadOptions {
  /** The most tokens that a conversation may hold. Default: 8192, or the model's own limit if that is less. */
  readonly contextLength?: number;
  /** How dense weights are stored. Default: `int8`. */
  readonly dense?: DenseFormat;
  /**
   * How keys and values are stored. `int8` takes half the memory of `f16`, and half the bytes that attention reads; it
   * changes the answers a little: see docs/performance.md. Default: `f16` with `int8` weights, `f32` with `bf16` weights.
   */
  readonly kvCache?: KvCacheFormat;
  /**
   * How long prompts are multiplied with the weights. `int8` takes about half the instructions, and changes the answers a
   * little: see docs/performance.md. It applies to matrices of `int8` from 33 tokens in a pass, and to experts from 33 tokens
   * for each, on average: 257 in a pass of gpt-oss-20b, 1,025 of gpt-oss-120b, which takes a larger `prefillChunkLength`.
   * Default: `float`.
   */
  readonly prefill?: PrefillArithmetic;
  /** The most tokens in one forward pass: more read the weights less often, fewer take less memory. Default: 512. */
  readonly prefillChunkLength?: number;
  /** Whether to keep the files in the browser's private file system. Default: true. */
  readonly store?: boolean;
  /**
   * Whether to time the variants of kernels that this GPU can run, and use the faster ones: up to two seconds in the first
   * load, remembered for later ones. Otherwise, all variants are used that pass the self-test. Default: true.
   */
  readonly tune?: boolean;
  /** How Hugging Face repos are read. */
  readonly huggingFace?: HuggingFaceOptions;
  /**
   * The SHA-256 that files must have, in hexadecimal digits, by their paths within the source. They replace those from
   * Hugging Face and those built in for openai/gpt-oss-20b. Checked when the files are stored: requires the store.
   */
  readonly integrity?: Readonly<Record<string, string>>;
  /**
   * The least bytes per second that a connection must bring: one that is slower for a minute is given up and requested
   * again, and after 8 of those in a row the load fails. 0 waits for as long as any byte arrives within 30 seconds.
   * Default: 1000.
   */
  readonly minBytesPerSecond?: number;
  /**
   * Called as bytes arrive, at most about ten times a second, and at each change of phase. If it throws, the error is
   * reported like that of an event listener, and the load goes on.
   */
  readonly onProgress?: (progress: LoadProgress) => void;
  /**
   * The worker to run in, made from the file `ossicle/worker`, or a function that makes one. For pages whose
   * Content-Security-Policy does not allow `worker-src blob:`, or that require Trusted Types. It serves one load, and is
   * terminated with the model. Default: a worker that the library makes from a blob.
   */
  readonly worker?: Worker | (() => Worker);
  /** Aborts the load; what is stored stays. */
  readonly signal?: AbortSignal;
}

/** A GPU adapter, as the browser describes it. */
export interface AdapterSummary {
  /** For example `apple`. */
  readonly vendor: string;
  /** For example `metal-3`. */
  readonly architecture: string;
  /** A name for people, if the browser gives one. */
  readonly description: string;
  /** The largest buffer, in bytes. */
  readonly maxBufferBytes: number;
  /** The largest binding of a storage buffer, in bytes. */
  readonly maxBindingBytes: number;
}

/** A loaded model. */
export interface ModelInfo {
  /** Its source: `owner/name@revision`, a folder's address, or `files:…`. */
  readonly id: string;
  /** The hyperparameters from config.json. */
  readonly config: ModelConfig;
  /** The number of weights in the whole model. */
  readonly parameterCount: number;
  /** The most tokens that a conversation may hold. */
  readonly contextLength: number;
  /** How dense weights are stored. */
  readonly dense: DenseFormat;
  /** How keys and values are stored. */
  readonly kvCache: KvCacheFormat;
  /** How a prefill multiplies. */
  readonly prefill: PrefillArithmetic;
  /** GPU memory in bytes: weights, activations and one conversation that fills the context. */
  readonly gpuBytes: number;
  /** The adapter that it runs on. */
  readonly adapter: AdapterSummary;
}
