import { mustBe } from '../check-values.ts';
import { OssicleError } from '../errors.ts';
import type { Buffers } from '../gpu/buffers.ts';
import type { Runtime } from '../model/runtime.ts';
import type { Diagnosis } from '../types/diagnosis.ts';
import type { ModelInfo } from '../types/load.ts';
import { restoreContext } from './conversation/restore-context.ts';
import { readDetails } from './conversation/saved-conversation.ts';
import { EngineSession, type SessionState } from './engine-session.ts';
import { Queue } from './queue.ts';
import type { Session } from './session.ts';
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
   * Restores a session from the bytes that {@link Session.save} has written, with their keys and values: nothing is
   * evaluated. If those belong to other weights or to another version of the library, are damaged, or find no memory, the
   * session has its tokens only, {@link Session.restoredTokens} is 0, and the next generation evaluates them again.
   *
   * @throws {@link OssicleError} `integrity` if the tokens themselves are damaged. TypeError if `saved` is not a Blob.
   */
  openSession(saved: Blob): Promise<Session>;
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
    return this.#create();
  }

  async openSession(saved: Blob): Promise<Session> {
    if (!(saved instanceof Blob)) throw mustBe('The saved session', 'a Blob', saved);
    const details = await readDetails(saved);
    const { messages, answer } = details;
    const context = await this.#queue.run(async () => {
      this.#checkDisposed();
      return restoreContext(this.#runtime, saved, details);
    });
    const isUnfinished = answer !== null && answer.start <= context.tokens.length;
    return this.#create({ context, messages, answer: isUnfinished ? answer : undefined });
  }

  #create(state?: SessionState): Session {
    if (this.#isDisposed) state?.context.dispose();
    this.#checkDisposed();
    const owner = {
      model: this.info.id,
      create: (forked: SessionState) => this.#create(forked),
      onDispose: (disposed: EngineSession) => this.#sessions.delete(disposed),
    };
    const session = new EngineSession(this.#runtime, this.#tokenizer, this.#queue, owner, state);
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
