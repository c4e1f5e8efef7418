import { OssicleError } from '../errors.ts';
import type { Buffers } from '../gpu/buffers.ts';
import type { Runtime } from '../model/runtime.ts';
import type { Diagnosis } from '../types/diagnosis.ts';
import type { ModelInfo } from '../types/load.ts';
import { Queue } from './queue.ts';
import { EngineSession, type Session } from './session.ts';
import { type CheckpointTokenizer, noTokenizer, type Tokenizer } from './tokenizer.ts';

/** A model on a GPU device: the library without a page or a worker. */
export interface Engine {
  /**
   * Converts text to token ids and back.
   *
   * @throws {@link OssicleError} `format-invalid` if the checkpoint has no tokenizer.json.
   */
  readonly tokenizer: Tokenizer;
  /** The model that was loaded. */
  readonly info: ModelInfo;
  /** Starts a conversation with its own keys and values. Sessions of one engine take turns. */
  createSession(): Session;
  /**
   * Runs the self-test, and describes the GPU, the kernels in use and their times. Waits for calls in progress.
   *
   * @throws {@link OssicleError} `out-of-memory`, `device-lost`, `disposed`.
   */
  diagnose(): Promise<Diagnosis>;
  /** Releases all GPU memory. Calls in progress reject with `disposed`. */
  dispose(): void;
}

/** An {@link Engine} whose weights are on the GPU. */
export class LoadedEngine implements Engine {
  readonly info: ModelInfo;
  readonly #runtime: Runtime;
  readonly #tokenizer: CheckpointTokenizer | undefined;
  readonly #buffers: Buffers;
  readonly #queue = new Queue();
  readonly #diagnose: () => Promise<Diagnosis>;
  readonly #sessions = new Set<EngineSession>();
  #isDisposed = false;

  /**
   * @param buffers - Owns the runtime's buffers; released with the engine.
   * @param diagnose - Called while nothing else runs.
   */
  constructor(
    runtime: Runtime,
    tokenizer: CheckpointTokenizer | undefined,
    buffers: Buffers,
    info: ModelInfo,
    diagnose: () => Promise<Diagnosis>,
  ) {
    this.#runtime = runtime;
    this.#tokenizer = tokenizer;
    this.#buffers = buffers;
    this.info = info;
    this.#diagnose = diagnose;
  }

  get tokenizer(): Tokenizer {
    if (!this.#tokenizer) throw noTokenizer();
    return this.#tokenizer;
  }

  createSession(): Session {
    this.#checkDisposed();
    const session = new EngineSession(this.#runtime, this.#tokenizer, this.#queue, (disposed) =>
      this.#sessions.delete(disposed),
    );
    this.#sessions.add(session);
    return session;
  }

  diagnose(): Promise<Diagnosis> {
    return this.#queue.run(() => {
      this.#checkDisposed();
      return this.#diagnose();
    });
  }

  #checkDisposed(): void {
    if (!this.#isDisposed) return;
    throw new OssicleError('disposed', 'The engine was disposed of. Create another one.');
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    for (const session of this.#sessions) session.dispose();
    void this.#queue.run(async () => {
      this.#buffers.dispose();
      this.#runtime.gpu.dispose();
    });
  }
}
